"""Theory held against published measurements: the stated range holds most of them, and the rest are explained."""

import pytest

from harness.config.catalog import load_catalog
from harness.config.documents import parse_document
from harness.config.theory_data import load_theory_data, read_measurements
from harness.theory.published import Held, hold

DATA = load_theory_data()
HELD = {name: held for name, row in DATA.measurements.items() if (held := hold(row)) is not None}


def test_the_stated_range_holds_four_of_five_measurements():
    inside = [name for name, held in HELD.items() if held.inside]
    assert len(HELD) >= 14
    assert len(inside) / len(HELD) >= 0.8


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_a_measurement_outside_its_range_is_explained(held: Held):
    assert held.inside == (not held.measurement.explained)


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_no_measurement_beats_physics_unless_it_says_so(held: Held):
    assert (held.bound_fraction > 1) == held.measurement.exceeds_bound


def test_150_tokens_per_second_on_two_h100_are_impossible_without_speculation():
    held = HELD["together-llama-70b-2xh100"]
    assert held.bound == pytest.approx(48.2, rel=2e-3)
    assert held.bound_fraction == pytest.approx(3.1, abs=0.05)
    assert held.measurement.explained


@pytest.mark.parametrize(
    ("name", "fraction"),
    [
        ("deepseek-day6-decode", 0.37),
        ("vllm-llama-8b-h100", 0.60),
        ("vllm-qwen3-32b-2xh100", 0.57),
        ("vllm-llama-70b-4xh100", 0.60),
        ("together-llama-70b-8xh100", 0.78),
    ],
)
def test_fractions_of_the_bound_as_published(name: str, fraction: float):
    assert HELD[name].bound_fraction == pytest.approx(fraction, abs=0.006)


@pytest.mark.parametrize(
    ("name", "mfu"),
    [
        ("sglang-ep32-prefill-1k", 0.267),
        ("sglang-ep32-prefill-2k", 0.252),
        ("sglang-ep32-prefill-4k", 0.233),
        ("deepseek-profile-prefill", 0.290),
        ("deepseek-day6-prefill", 0.149),
    ],
)
def test_prefill_as_a_share_of_peak_math(name: str, mfu: float):
    held = HELD[name]
    prior = held.measurement.conditions.prior
    assert held.measurement.tokens_per_s / (held.low / prior.low) == pytest.approx(mfu, abs=6e-4)


def test_production_derates():
    """From a profile with perfect balance to a day of service: prefill 0.514, decode 0.796."""
    rates = {name: row.tokens_per_s / row.conditions.deployment.count for name, row in DATA.measurements.items()
             if row.conditions}  # fmt: skip
    assert rates["deepseek-day6-prefill"] / rates["deepseek-profile-prefill"] == pytest.approx(0.514, abs=1e-3)
    assert rates["deepseek-day6-decode"] / rates["deepseek-profile-decode"] == pytest.approx(0.796, abs=1e-3)


def test_what_theory_cannot_express_says_what_is_missing():
    missing = [row for row in DATA.measurements.values() if row.conditions is None]
    assert missing and all(len(row.not_expressible) > 20 for row in missing)


def test_a_measurement_that_cannot_be():
    text = (
        "measurements:\n  a: {title: t, task: decode, count: 3, model: llama-3.1-9b, accelerator: h100-sxm, tp: 2,\n"
        "    precision: bf16, context: 0, prior: decode, tokens_per_s: 1, source: me, as_of: 2026-11}\n"
    )
    mistakes = []
    assert read_measurements(parse_document(text, "f"), load_catalog(), DATA.priors, mistakes) == {}
    told = "\n".join(map(str, mistakes))
    for part in ("did you mean llama-3.1-8b", "a prior of the catalog", "a.batch", "a multiple of 2"):
        assert part in told, told
