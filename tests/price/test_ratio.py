"""R/C and the waterfall against a published day (24 h from 2025-02-27 12:00 UTC+8, figures of its operator)."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.price.bridge.ratio import Business, Sale, break_even_share, break_even_utilisation, revenue_over_cost
from harness.price.bridge.waterfall import Change, waterfall
from harness.price.owned.splits import split
from harness.price.spend.cost import Usage, blend_3to1, usage_usd
from harness.providers import Rates
from harness.theory import Shape

HITS, MISSES, OUT = 342e9, 266e9, 168e9
NODES, GPUS, USD_PER_HOUR = 226.75, 8, 2.00
PREFILL, DECODE = 73.7e3 * 266 / 608, 14.8e3  # tokens/s of a node: computed input, output
R1 = Rates(usd_per_mtok_input_cached=0.14, usd_per_mtok_input=0.55, usd_per_mtok_output=2.19)
V3 = Rates(usd_per_mtok_input_cached=0.07, usd_per_mtok_input=0.27, usd_per_mtok_output=1.10)
V31 = Rates(usd_per_mtok_input_cached=0.07, usd_per_mtok_input=0.56, usd_per_mtok_output=1.68)
V32 = Rates(usd_per_mtok_input_cached=0.028, usd_per_mtok_input=0.28, usd_per_mtok_output=0.42)
COST = NODES * GPUS * 24 * USD_PER_HOUR


def fleet_as_it_ran(shape: Shape, batch: float) -> float:
    """Output tokens/s of a GPU, from the day's totals."""
    return OUT / 86400 / (NODES * GPUS)


def fleet_resized(shape: Shape, batch: float) -> float:
    """The same, with prefill nodes for the input that the shape computes (mixed fleet)."""
    return 1 / (1 / DECODE + shape.computed_tokens / shape.osl_tokens / PREFILL) / GPUS


DAY = Business(
    shape=Shape(isl_tokens=HITS + MISSES, osl_tokens=OUT, cached_share=HITS / (HITS + MISSES)),
    ceiling=fleet_as_it_ran,
    sales=(Sale(rates=R1, share=1.0), Sale(rates=V3, share=0.0)),
    usd_per_gpu_hour=USD_PER_HOUR,
)


def selling(rates: Rates) -> Business:
    return replace(DAY, sales=(Sale(rates=rates),))


def test_the_published_day():
    day = Usage(input_tokens=HITS + MISSES, cached_tokens=HITS, output_tokens=OUT)
    assert COST == 87_072
    assert usage_usd(R1, day) == pytest.approx(562_100)
    assert revenue_over_cost(DAY) == pytest.approx(562_100 / 87_072)
    ratio = 562_027 / COST
    assert ratio - 1 == pytest.approx(5.4547, rel=1e-5)
    assert 1 - 1 / ratio == pytest.approx(0.8451, rel=1e-4)
    assert COST / OUT * 1e6 == pytest.approx(0.5183, rel=1e-4)
    assert COST / (HITS + MISSES + OUT) * 1e6 == pytest.approx(0.1122, rel=1e-4)


@pytest.mark.parametrize(
    ("rates", "revenue", "percent"), [(V3, 280_560, 222.2), (V31, 455_140, 422.7), (V32, 154_616, 77.6)]
)
def test_the_same_tokens_on_other_cards(rates, revenue, percent):
    assert revenue_over_cost(selling(rates)) * COST == pytest.approx(revenue)
    assert (revenue_over_cost(selling(rates)) - 1) * 100 == pytest.approx(percent, rel=1e-3)


@pytest.mark.parametrize(
    ("usd_per_hour", "rates", "percent"),
    [
        (2.00, R1, 15.5),
        (2.00, V3, 31.0),
        (2.00, V32, 56.3),
        (1.30, R1, 10.1),
        (2.69, V3, 41.7),
        (3.99, V32, 112),
    ],
)
def test_break_even_utilisation(usd_per_hour, rates, percent):
    business = replace(selling(rates), usd_per_gpu_hour=usd_per_hour, utilisation=0.3)
    found = break_even_utilisation(business)
    assert found * 100 == pytest.approx(percent, rel=4e-3)
    assert revenue_over_cost(replace(business, utilisation=found)) == pytest.approx(1)


def test_nothing_earned_never_breaks_even():
    assert break_even_utilisation(replace(DAY, monetised_share=0.0)) is None


@pytest.mark.parametrize(("hits", "percent"), [(0, 423), (0.25, 465), (0.5625, 545), (0.75, 622)])
def test_cache_hits_change_revenue_and_cost(hits, percent):
    shape = replace(DAY.shape, cached_share=hits)
    business = replace(DAY, shape=shape, ceiling=fleet_resized)
    assert (revenue_over_cost(business) - 1) * 100 == pytest.approx(percent, rel=2e-3)


@pytest.mark.parametrize(
    ("rates", "blend"),
    [
        (Rates(usd_per_mtok_input=2.65, usd_per_mtok_output=3.50), 2.8625),
        (Rates(usd_per_mtok_input=0.14, usd_per_mtok_output=0.28), 0.175),
        (R1, 0.960),
        (V3, 0.4775),
    ],
)
def test_the_3_to_1_blend(rates, blend):
    assert blend_3to1(rates) == pytest.approx(blend)


def test_own_mix_is_cheaper_than_the_3_to_1_blend_says():
    day = Usage(input_tokens=HITS + MISSES, cached_tokens=HITS, output_tokens=OUT)
    total = HITS + MISSES + OUT
    assert usage_usd(R1, day) / total * 1e6 == pytest.approx(0.724, rel=1e-3)
    assert usage_usd(V3, day) / total * 1e6 == pytest.approx(0.362, rel=2e-3)


def test_the_marginal_split_of_the_day():
    shares = split(COST, HITS + MISSES, 0, OUT)
    assert shares.usd_per_mtok_output == pytest.approx(0.2721, rel=1e-3)
    assert shares.usd_per_mtok_input_computed == pytest.approx(0.0680, rel=1e-3)


# -- the five constraints -----------------------------------------------------------------------------------------

NIGHT = {R1: 0.75, V3: 0.50}
NIGHT_SHARE = 0.1707


def half_is_v3(business: Business) -> Business:
    return replace(business, sales=tuple(replace(sale, share=0.5) for sale in business.sales))


def night_prices(business: Business) -> Business:
    sales = (replace(sale, discounted_share=NIGHT_SHARE, discount=NIGHT[sale.rates]) for sale in business.sales)
    return replace(business, sales=tuple(sales))


def changed(**values: float) -> Callable[[Business], Business]:
    return lambda business: replace(business, **values)


FIVE = [
    Change(factor="model mix", kind="assumed", evidence="half the tokens", apply=half_is_v3),
    Change(factor="night prices", kind="measured", evidence="income curve", apply=night_prices),
    Change(factor="monetised", kind="assumed", evidence="half is free", apply=changed(monetised_share=0.5)),
    Change(factor="GPU price", kind="assumed", evidence="rent", apply=changed(usd_per_gpu_hour=2.30)),
    Change(factor="no re-use", kind="assumed", evidence="peak fleet", apply=changed(fleet_ratio=278 / 226.75)),
    Change(factor="spares", kind="assumed", evidence="10 %", apply=changed(spare_share=0.10)),
]


def test_the_worked_example_step_by_step():
    business, ratios = DAY, []
    for change in FIVE:
        business = change.apply(business)
        ratios.append(revenue_over_cost(business))
    assert ratios == pytest.approx([4.839, 4.288, 2.144, 1.864, 1.521, 1.382], rel=5e-4)
    assert (ratios[-1] - 1) * 100 == pytest.approx(38.2, rel=2e-3)
    at_last = replace(business, monetised_share=1.0)
    assert 1 / revenue_over_cost(at_last) == pytest.approx(0.362, rel=1e-3)  # break-even share of paying tokens


def test_the_waterfall_ends_where_the_steps_end():
    factors = waterfall(DAY, FIVE)
    assert factors[0].rc_before == pytest.approx(6.4556, rel=1e-4)
    assert factors[-1].rc_after - 1 == pytest.approx(0.382, rel=2e-3)
    assert math.prod(factor.ratio for factor in factors) == pytest.approx(factors[-1].rc_after / factors[0].rc_before)
    assert sum(factor.share for factor in factors) == pytest.approx(1)
    night = next(factor for factor in factors if factor.factor == "night prices")
    assert -0.137 < math.log(night.ratio) < -0.121  # it weighs less after the mix than before it


def test_the_order_of_the_changes_is_nothing():
    once = waterfall(DAY, FIVE)
    for seed in range(5):
        shuffled = random.Random(seed).sample(FIVE, len(FIVE))
        again = waterfall(DAY, shuffled)
        assert [factor.factor for factor in again] == [factor.factor for factor in once]
        assert [factor.ratio for factor in again] == pytest.approx([factor.ratio for factor in once])


_shares = st.floats(0.01, 1)


@given(_shares, _shares, st.floats(0.1, 20), st.floats(1, 3), st.floats(0, 1), _shares)
def test_a_waterfall_always_reconciles(efficiency, utilisation, hour, reuse, spare, mix):
    def other_mix(business: Business) -> Business:
        shares = zip(business.sales, (mix, 1 - mix), strict=True)
        return replace(business, sales=tuple(replace(sale, share=share) for sale, share in shares))

    moves = {
        "efficiency": changed(efficiency=efficiency),
        "day": changed(utilisation=utilisation),
        "hour": changed(usd_per_gpu_hour=hour),
        "fleet": changed(fleet_ratio=reuse, spare_share=spare),
        "mix": other_mix,
    }
    changes = [Change(factor=name, kind="assumed", evidence="", apply=apply) for name, apply in moves.items()]
    end = DAY
    for change in changes:
        end = change.apply(end)
    factors = waterfall(DAY, changes)
    ratio = revenue_over_cost(end) / revenue_over_cost(DAY)
    assert math.prod(factor.ratio for factor in factors) == pytest.approx(ratio)
    assert factors[-1].rc_after == pytest.approx(revenue_over_cost(end))


def test_no_change_and_no_distance():
    assert waterfall(DAY, []) == ()
    still = waterfall(DAY, [Change(factor="nothing", kind="assumed", evidence="", apply=lambda business: business)])
    assert (still[0].ratio, still[0].share) == (1, None)


def test_a_waterfall_cannot_end_in_nothing():
    with pytest.raises(ValueError, match="R/C is 0 after free"):
        waterfall(DAY, [Change(factor="free", kind="assumed", evidence="", apply=changed(monetised_share=0.0))])
    with pytest.raises(ValueError, match="at most 8"):
        waterfall(DAY, FIVE[:3] * 3)


@given(_shares, _shares, st.floats(1, 3))
def test_yield_rises_with_use_and_price(low, high, dearer):
    low, high = sorted((low, high))
    poor, rich = (revenue_over_cost(replace(DAY, utilisation=use)) for use in (low, high))
    assert poor <= rich
    rates = replace(R1, usd_per_mtok_output=R1.usd_per_mtok_output * dearer)
    assert revenue_over_cost(selling(rates)) >= revenue_over_cost(selling(R1))


@given(ratio=st.floats(0.2, 8), saved=st.floats(0, 0.15), use=st.floats(0.05, 1))
def test_break_even_with_idle_power_earns_just_the_cost(ratio, saved, use):
    """u R = C (1 - s (1 - u)): at u* revenue equals the cost of worked and idle hours; more use never earns less."""
    found = break_even_share(ratio, saved)
    assert found * ratio == pytest.approx(1 - saved * (1 - found))
    assert (use * ratio >= 1 - saved * (1 - use)) == (use >= found) or use == pytest.approx(found)
    assert break_even_share(saved, saved) == math.inf
