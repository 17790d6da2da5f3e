import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from harness.report import quantities as q


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "$0"), (0.0018, "$0.0018"), (0.054, "$0.054"), (0.154, "$0.154"), (3.7, "$3.70"),
     (1234.5, "$1,234"), (-0.5, "-$0.500"), (float("inf"), "-"), (1e-12, "$1.0e-12")],
)  # fmt: skip
def test_usd(value: float | None, text: str) -> None:
    assert q.usd(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.28, "+28%"), (-0.49, "-49%"), (6.3, "+630%"), (0.004, "+0.4%"), (float("nan"), "-")],
)
def test_signed_percent(value: float | None, text: str) -> None:
    assert q.signed_percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (2e-5, "20 us"), (0.00231, "2.31 ms"), (0.0231, "23.1 ms"), (0.231, "231 ms"), (1.23, "1.23 s"),
     (12.34, "12.3 s"), (204.2, "204 s"), (0.0, "0 us")],
)  # fmt: skip
def test_seconds(value: float | None, text: str) -> None:
    assert q.seconds(value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [((0.212, 0.541, 1.23), "212/541/1,230 ms"), ((31.2, 55.1, None), "31/55/- s"), ((None, None, None), "-"),
     ((0.0312, 0.0331, 0.0367), "31/33/37 ms")],
)  # fmt: skip
def test_quantiles_share_one_unit(values: tuple[float | None, ...], text: str) -> None:
    assert q.quantiles(values) == text


@given(st.text(max_size=300), st.integers(8, 90))
def test_foreign_text_becomes_one_short_line_without_control_characters(text: str, limit: int) -> None:
    shown = q.plain(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable() or shown == ""
    assert cell_len(shown) <= 2 * limit


def test_escape_sequences_and_direction_marks_are_gone() -> None:
    assert q.plain("a\x1b[31mb\u202ec\r\nd\ud800") == "a[31mbc d"


@given(st.floats(0.001, 1e9))
def test_a_share_above_nothing_has_a_bar_of_at_most_its_width(share: float) -> None:
    assert 1 <= len(q.bar(share, 20)) <= 20


@pytest.mark.parametrize("tiny", [-1e-16, -0.0, -4e-4, 0.0])
def test_nothing_is_never_negative(tiny: float) -> None:
    assert q.percent(tiny) == q.signed_percent(tiny) == "0%"
