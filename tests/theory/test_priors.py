"""Priors: which regime a load is in, ranges below every bound, and prefill and decode apart."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import theory
from harness.config.theory_data import load_theory_data
from harness.providers import Layout
from harness.theory import Shape, priors
from harness.theory.outlook import Load, outlook, point_at, usd_per_mtok
from harness.theory.published import prefill_bound
from harness.theory.split import side, split_of
from harness.theory.units import Fleet
from tests import cards
from tests.cards import deployment

DATA = load_theory_data()
PRIORS = DATA.priors
MATCH = DATA.rate_match["aiconfigurator"]
ONE = deployment(cards.LLAMA_8B, cards.H100, 1, "bf16", usd_per_gpu_hour=2.0)
WIDE = deployment(cards.DEEPSEEK_V3, cards.H800, 144, "fp8", layout=Layout(ep=144, dp=144, redundant_experts=32))
#: the published unit: 4 nodes of prefill with 9 + 1 experts a GPU, 18 nodes of decode with 2 + 1
DAY = Shape(isl_tokens=3619, osl_tokens=1000, cached_share=0.5625)


def test_every_prior_says_where_it_comes_from():
    for prior in PRIORS.values():
        assert 0 < prior.low < prior.high < 1
        assert len(prior.source) > 20 and prior.as_of


@pytest.mark.parametrize(
    ("run", "batch", "regime"),
    [
        (ONE, 1, "decode-small-batch"),
        (ONE, 16, "decode-small-batch"),
        (ONE, 17, "decode-large-batch"),
        (replace(ONE, count=4, layout=Layout(tp=2)), 32, "decode-small-batch"),  # two copies
        (replace(ONE, count=4, layout=Layout(tp=2)), 33, "decode-large-batch"),
        (WIDE, 1, "decode-small-batch"),
        (WIDE, 12_672, "decode-wide-ep"),
        (replace(WIDE, layout=None), 12_672, "decode-wide-ep"),
        (deployment(cards.DEEPSEEK_V3, cards.H200, 8, "fp8"), 64, "decode-large-batch"),
    ],
)
def test_regimes_of_decode(run, batch, regime):
    assert priors.decode_regime(run, batch) == regime


@pytest.mark.parametrize(
    ("run", "regime"),
    [
        (ONE, "prefill-dense"),
        (WIDE, "prefill-moe-fp8"),
        (deployment(cards.DEEPSEEK_V3, cards.A100, 32, "bf16"), "prefill-dense"),
    ],
)
def test_regimes_of_prefill(run, regime):
    assert priors.prefill_regime(run) == regime


def test_a_service_expects_what_a_day_reached():
    served = priors.in_service(PRIORS)
    assert served["decode-wide-ep"] is PRIORS["decode-wide-ep-service"]
    assert served["decode-small-batch"] is PRIORS["decode-small-batch"]
    found = priors.expected_at(WIDE, DAY, 12_672, served)
    assert found.priors == ("decode-wide-ep-service", "prefill-moe-fp8-service")
    assert found.high < priors.expected_at(WIDE, DAY, 12_672, PRIORS).high


def test_a_range_by_hand():
    shape = Shape(isl_tokens=500, osl_tokens=1000)
    found = priors.expected_at(ONE, shape, 8, PRIORS)
    step = theory.decode_step(ONE, 8, shape.mean_context_tokens).seconds
    prefill = 2 * theory.parameters(cards.LLAMA_8B).active * 500 / 989e12
    decode, other = PRIORS["decode-small-batch"], PRIORS["prefill-dense"]
    assert found.low == pytest.approx(8 / (step / decode.low + 8 / 1000 * prefill / other.low))
    assert found.high == pytest.approx(8 / (step / decode.high + 8 / 1000 * prefill / other.high))


def test_a_long_prompt_spends_its_time_in_attention():
    run = deployment(cards.GPT_OSS_120B, cards.B200, 1, "mxfp4")
    short, long = (Shape(isl_tokens=isl, osl_tokens=1000) for isl in (1000, 100_000))
    assert priors.prefill_math_s(run, short) == priors.linear_prefill_s(run, 1000)
    assert priors.prefill_math_s(run, long) > 5 * priors.linear_prefill_s(run, 100_000)
    assert priors.expected_at(run, long, 8, PRIORS).high < 0.5 * theory.bound_at(run, long, 8).output_tokens_per_s


def test_the_published_unit_delivers_what_its_nodes_delivered():
    """4 + 18 nodes at the day's rates per node: 81,458 tokens/s out, limited by prefill, decode 30.6 % busy."""
    unit = replace(WIDE, count=176, layout=Layout(ep=176, dp=176, redundant_experts=96))
    fleet = Fleet(prefill_nodes=4, decode_nodes=18)
    found = split_of(unit, DAY, fleet, None, priors.in_service(PRIORS))
    assert found is not None and found.accelerators_per_piece == 8
    day = 4 * 73.7e3 * 168 / 608
    assert found.low.output_tokens_per_s < day < found.high.output_tokens_per_s < found.bound.output_tokens_per_s
    assert {found.low.limited_by, found.high.limited_by, found.bound.limited_by} == {"prefill"}
    matched = split_of(unit, DAY, fleet, MATCH, priors.in_service(PRIORS))
    assert matched is not None and matched.match is MATCH
    assert matched.low.output_tokens_per_s == pytest.approx(0.90 * found.low.output_tokens_per_s)
    assert matched.bound == found.bound


def test_each_side_spreads_experts_over_its_own():
    unit = replace(WIDE, count=176, layout=Layout(ep=176, dp=44, tp=4))
    assert side(unit, 32).layout == Layout(ep=32, dp=8, tp=4)
    assert side(ONE, 1) == ONE


def test_a_side_that_does_not_hold_the_model_is_none():
    run = deployment(cards.DEEPSEEK_V3, cards.H200, 16, "fp8")
    assert split_of(run, DAY, Fleet(prefill_nodes=1, decode_nodes=3), MATCH, PRIORS) is None


def test_prefill_of_cached_prompts_is_counted_with_its_cached_tokens():
    cold, warm = prefill_bound(ONE, 4000), prefill_bound(ONE, 4000, 1000)
    assert warm > 3 * cold


def test_an_outlook_keeps_its_promises():
    found = outlook(ONE, Load(shape=DAY, concurrency=8), PRIORS)
    here = found.at_concurrency
    assert here is not None and found.one_user is not None and found.at_best_load is not None
    assert here.usd_per_mtok_output_allin == pytest.approx(usd_per_mtok(2.0, 1, here.output_tokens_per_s))
    low, high = here.expected_usd_per_mtok_output_allin
    assert here.usd_per_mtok_output_allin < low < high
    assert found.power is None and here.joules_per_output_token is None
    watts = replace(ONE, accelerator=replace(cards.H100, tdp_w=700.0))
    told = outlook(watts, Load(shape=DAY, concurrency=8), PRIORS)
    assert told.power.boundary.startswith("TDP")
    assert told.at_concurrency.joules_per_output_token == pytest.approx(700 / here.output_tokens_per_s)


def test_more_than_fits_waits():
    found = outlook(ONE, Load(shape=DAY, concurrency=1e6), PRIORS)
    assert found.at_concurrency.batch == found.at_best_load.batch
    assert "the others wait" in found.notes[0]


_RUNS = st.sampled_from(
    [
        ONE,
        WIDE,
        replace(WIDE, layout=None),
        replace(ONE, tokens_per_step=2.0, tokens_per_step_low=1.2),
        deployment(cards.DEEPSEEK_V3, cards.H200, 8, "fp8", layout=Layout(tp=8)),
        deployment(cards.GPT_OSS_120B, cards.H100, 1, "mxfp4"),
    ]
)
_SHAPES = st.builds(
    Shape, isl_tokens=st.floats(1, 20_000), osl_tokens=st.floats(2, 20_000), cached_share=st.floats(0, 1)
)


@given(_RUNS, _SHAPES, st.floats(0.1, 20_000))
def test_a_range_lies_below_its_bound(run, shape, batch):
    found = priors.expected_at(run, shape, batch, PRIORS)
    bound = theory.bound_at(run, shape, batch).output_tokens_per_s
    assert 0 < found.low <= found.high <= bound


def test_the_published_day_cost_what_a_service_is_expected_to_cost():
    """$87,072 for 168 B output tokens, prefill included: $0.518 a million, above the bound and inside the range."""
    day = point_at(replace(WIDE, usd_per_gpu_hour=2.0), DAY, 12_672, priors.in_service(PRIORS))
    low, high = day.expected_usd_per_mtok_output_allin
    assert day.usd_per_mtok_output_allin < low < 87_072 / 168e3 < high
