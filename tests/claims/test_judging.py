"""The rule that makes a verdict, on made-up claims: only figures and tolerance decide."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.claims import Claim, Inputs, Published, Vector
from harness.config.claims import load_claims
from harness.errors import InputError
from harness.price.claims.ledger import recompute
from harness.price.claims.verdict import Figure, agrees, as_stated, in_words, judge

MADE_UP = Claim(
    id="X1", topic="made up", short="", statement="", who="nobody", said="2026", formula="quotients",
    published=(Published(name="a", value=2.0), Published(name="b", value=3.0)),
    inputs=Inputs(series={"a": (4.0, 2.0), "b": (9.0, 3.0)}), tolerance=0.01, vector=Vector(), source="", as_of="2026",
    holds_if="a is {a}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        (2.0, 3.0, "holds"), (2.01, 2.98, "holds"), (2.0, 4.0, "holds if"), (1.0, 4.0, "refuted"),
        (2.0, None, "holds if"), (1.0, None, "refuted"), (None, None, "not verifiable"),
    ],
)  # fmt: skip
def test_what_agrees_decides(a: float | None, b: float | None, word: str) -> None:
    values = {"a": a, "b": b}
    found = tuple(Figure(name=name, value=value, unit="x") for name, value in values.items() if value is not None)
    condition = replace(MADE_UP, holds_if="")
    assert judge(condition, found).verdict == word


def test_the_words_of_the_data_take_the_figures() -> None:
    assert recompute(MADE_UP).condition == "a is 2.00x"
    with pytest.raises(InputError, match=r"no 'c'"):
        recompute(replace(MADE_UP, holds_if="{c}"))
    with pytest.raises(InputError, match="expected the inputs of day_cost"):
        recompute(replace(MADE_UP, formula="day_cost"))


@given(st.floats(1e-6, 1e9), st.floats(1e-6, 1e9), st.floats(1e-4, 0.5), st.floats(1, 2))
def test_a_wider_tolerance_never_takes_a_verdict_back(value: float, found: float, narrow: float, wider: float) -> None:
    for published in (
        Published(name="a", value=value),
        Published(name="a", value=value, relation="at_most"),
        Published(name="a", value=value, relation="at_least"),
        Published(name="a", value=value, relation="within", low=value / 2, high=value * 2),
    ):
        assert agrees(published, found, narrow * wider) or not agrees(published, found, narrow)


@given(st.floats(1e-6, 1e9), st.floats(0.1, 10))
def test_a_limit_is_one_sided(value: float, factor: float) -> None:
    least = Published(name="a", value=value, relation="at_least")
    most = Published(name="a", value=value, relation="at_most")
    assert agrees(least, value * factor, 1e-9) == (factor >= 1 - 1e-9) or abs(factor - 1) < 1e-6
    assert agrees(most, value * factor, 1e-9) == (factor <= 1 + 1e-9) or abs(factor - 1) < 1e-6
    assert not agrees(least, float("inf"), 0.1)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (87_072, "USD", "$87,072"), (0.0925, "USD/M", "$0.0925/M"), (0.2, "USD/M", "$0.20/M"),
        (1.365, "USD/M", "$1.365/M"), (5.4547, "%", "545.5 %"), (6.0048, "x", "6.00x"),
        (226.75, "nodes", "226.75 nodes"), (604_290, "tok/s", "604k tok/s"), (13_127_264, "tok", "13.1 M tok"),
        (9, "", "9"), (48.199, "tok/s", "48.2 tok/s"),
    ],
)  # fmt: skip
def test_numbers_are_readable(value: float, unit: str, text: str) -> None:
    assert in_words(value, unit) == text  # type: ignore[arg-type]


def test_a_published_number_gains_no_digit() -> None:
    assert as_stated(1.7, "x") == "1.7x"
    assert as_stated(25, "x") == "25x"


HEAD = (
    "claims:\n  X1:\n    topic: t\n    short: s\n    statement: s\n    who: w\n    said: 2026-01\n"
    "    source: here\n    as_of: 2026-01\n"
)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("    formula: quotients\n    inputs: {accelerators: {gpu: h100}}\n", "did you mean"),
        ("    formula: quotients\n    inputs: {hours: {gpu: nothing-like-it}}\n", "a row of the catalog"),
        ("    formula: quotients\n    inputs: {groups: [none]}\n", "a group of this file"),
        ("    formula: q\n    inputs: {rates: {R1: {card: deepseek-flash, at: 2025-01-01}}}\n", "a moment for which"),
        ("    formula: q\n    published: {a: {at_most: 1, at_least: 2}}\n", "exactly one of"),
        ("    formula: q\n    verdict: holds\n", "an unknown key"),
        ("    formula: q\n    tolerance: 2\n", "less than 1"),
        ("    formula: q\n    bound_of: X9\n", "a claim of this file"),
        ("", "claims.X1.formula"),
    ],
)
def test_a_row_that_cannot_be(tmp_path, lines: str, message: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(HEAD + lines)
    with pytest.raises(InputError, match=message):
        load_claims(path)
