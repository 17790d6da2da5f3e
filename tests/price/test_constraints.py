"""The five constraints of a published 545 % as parameters, the seller's bridge in money, and the declared day."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.demand_rows import demand_curves
from harness.price.bridge.constraints import Constraints, Discount, constraint_changes
from harness.price.bridge.ratio import revenue_and_cost, revenue_over_cost
from harness.price.bridge.waterfall import logarithmic_mean, waterfall
from harness.price.day.declared import use_of_curve
from harness.price.economics import price
from harness.providers import DayTerms, Endpoint, PriceWindow, Rates
from tests.cards import H100, LLAMA_70B, deployment, price_card
from tests.price.records import record
from tests.price.run_folder import write_folder
from tests.price.test_ratio import DAY, GPUS, NODES, fleet_resized

NODE_CURVE = demand_curves()["deepseek-day-6-nodes"]
BOOKS = replace(DAY, hours=NODES * GPUS * 24)
WORKED = Constraints(
    sale_shares=(0.5, 0.5),
    discounts={0: Discount(share=0.1707, cut=0.75), 1: Discount(share=0.1707, cut=0.50)},
    monetised_share=0.5,
    usd_per_gpu_hour=2.30,
    curve=NODE_CURVE,
    idle_reuse=0.0,
    spare_share=0.10,
)
#: revenue and cost of the worked example, USD a day, and its yield, percent
ROWS = [
    ("model mix", 421_330, 87_072, 383.9),
    ("off-peak prices", 373_381, 87_072, 328.8),
    ("share that pays", 186_690, 87_072, 114.4),
    ("GPU price", 186_690, 100_133, 86.4),
    ("idle hours", 186_690, 122_765, 52.1),
    ("imbalance, spares", 186_690, 135_041, 38.2),
]


def test_the_worked_example_row_by_row():
    assert revenue_and_cost(BOOKS) == pytest.approx((562_100, 87_072), rel=1e-6)
    business = BOOKS
    for change, (name, revenue, cost, percent) in zip(constraint_changes(WORKED), ROWS, strict=True):
        business = change.apply(business)
        assert change.factor == name
        assert revenue_and_cost(business) == pytest.approx((revenue, cost), rel=1e-4)
        assert (revenue_over_cost(business) - 1) * 100 == pytest.approx(percent, abs=0.1)


def test_its_waterfall_reconciles_in_money():
    factors = waterfall(BOOKS, constraint_changes(WORKED))
    assert 562_100 + sum(factor.usd_revenue for factor in factors) == pytest.approx(186_688, abs=2)
    assert 87_072 + sum(factor.usd_cost for factor in factors) == pytest.approx(135_041, abs=1)
    assert factors[-1].rc_after - 1 == pytest.approx(0.382, abs=1e-3)
    found = {factor.factor: factor for factor in factors}
    assert found["GPU price"].usd_revenue == 0 and found["GPU price"].usd_cost > 0
    assert found["share that pays"].usd_cost == pytest.approx(0) and found["share that pays"].usd_revenue < 0


@pytest.mark.parametrize(("hits", "percent"), [(0.0, 423), (0.25, 465), (0.5625, 545), (0.75, 622)])
def test_cache_hits_act_on_both_sides(hits, percent):
    (change,) = constraint_changes(Constraints(cached_share=hits))
    start = replace(DAY, ceiling=fleet_resized)
    assert (revenue_over_cost(change.apply(start)) - 1) * 100 == pytest.approx(percent, rel=2e-3)


def test_the_third_constraint_is_whole_units():
    (change,) = constraint_changes(Constraints(units_needed=4.1, units_bought=5))
    assert revenue_over_cost(change.apply(DAY)) == pytest.approx(revenue_over_cost(DAY) * 4.1 / 5)


_share = st.floats(0.05, 1)


@given(_share, _share, _share, st.floats(0.2, 9), st.floats(0, 1), st.floats(0, 1), st.permutations(range(6)))
def test_any_constraints_reconcile_in_any_order(mix, paid, cut, hour, reuse, spare, order):
    given_ = Constraints(
        sale_shares=(mix, 1 - mix), discounts={0: Discount(share=0.2, cut=0.9 * cut)}, monetised_share=0.99 * paid,
        usd_per_gpu_hour=hour, curve=NODE_CURVE, idle_reuse=reuse, spare_share=spare, balancedness=0.9,
    )  # fmt: skip
    changes = constraint_changes(given_)
    end = BOOKS
    for change in changes:
        end = change.apply(end)
    factors = waterfall(BOOKS, changes)
    (revenue, cost), (last_revenue, last_cost) = revenue_and_cost(BOOKS), revenue_and_cost(end)
    assert revenue + sum(factor.usd_revenue for factor in factors) == pytest.approx(last_revenue, abs=0.005)
    assert cost + sum(factor.usd_cost for factor in factors) == pytest.approx(last_cost, abs=0.005)
    again = {factor.factor: factor for factor in waterfall(BOOKS, [changes[place] for place in order])}
    for factor in factors:
        assert again[factor.factor].usd_revenue == pytest.approx(factor.usd_revenue, abs=0.005)
        assert again[factor.factor].ratio == pytest.approx(factor.ratio)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_the_logarithmic_mean_lies_between(one, other):
    low, high = sorted((one, other))
    mean = logarithmic_mean(one, other)
    assert low * (1 - 1e-9) <= mean <= high * (1 + 1e-9)
    assert mean == pytest.approx(logarithmic_mean(other, one))


# -- the day of a run ---------------------------------------------------------------------------------------------

CARD = price_card(
    "card", 0.1, 1.0, 10.0,
    windows=(PriceWindow(name="night", spans=(("12:00", "24:00"),), rates=Rates(
        usd_per_mtok_input_cached=0.05, usd_per_mtok_input=0.5, usd_per_mtok_output=5.0)),),
)  # fmt: skip
OFFICE = demand_curves()["office-hours"]


def day_of(tmp_path, card=CARD, **terms):
    own = deployment(LLAMA_70B, H100, 4, "fp8", usd_per_gpu_hour=2.5, price_as_of="2026-11", **terms)
    target = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=card, deployment=own)
    return price(write_folder(tmp_path, target, [record(number) for number in range(10)]))


def test_a_share_of_the_day_meets_all_hours_of_the_card(tmp_path):
    found = day_of(tmp_path, utilisation=0.5)
    ratio = 1 + found.yield_ratio
    assert found.day.yield_ratio == pytest.approx(ratio * 0.5 * 0.75 - 1)  # half the day at half the price
    factors = {factor.factor: factor for factor in found.waterfall}
    assert factors["hours of the price card"].ratio == pytest.approx(0.75)
    assert factors["hours of the price card"].kind == "assumed"
    assert found.waterfall[-1].rc_after - 1 == pytest.approx(found.day.yield_ratio)
    assert found.day.usd_per_1k_useful == pytest.approx(2 * found.owner.usd_per_1k_useful)
    assert found.day.usd_cost == pytest.approx(4 * 24 * 2.5)
    assert found.day.usd_revenue == pytest.approx(ratio * 0.375 * 4 * 24 * 2.5)


def test_a_curve_stands_for_the_day(tmp_path):
    found = day_of(tmp_path, demand=OFFICE)
    assert (found.day.curve, found.day.kind) == ("office-hours", "assumed")
    assert found.day.utilisation == pytest.approx(use_of_curve(OFFICE)) == pytest.approx(0.3227, abs=1e-4)
    assert found.day.full_load_hours == pytest.approx(24 * found.day.utilisation)
    factors = {factor.factor: factor for factor in found.waterfall}
    assert factors["utilisation of a day"].kind == "assumed"
    assert found.waterfall[-1].rc_after - 1 == pytest.approx(found.day.yield_ratio)
    assert found.day.usd_revenue / found.day.usd_cost - 1 == pytest.approx(found.day.yield_ratio)
    assert use_of_curve(OFFICE, 1.0) == pytest.approx(1)  # idle hours that find other work are not idle


def test_the_terms_of_a_day_are_factors(tmp_path):
    terms = DayTerms(monetised_share=0.5, cached_share=0.6, balancedness=0.8, spare_share=0.25)
    found = day_of(tmp_path, price_card("flat", 0.1, 1.0, 10.0), utilisation=0.5, day=terms)
    factors = {factor.factor: factor for factor in found.waterfall}
    assert factors["share that pays"].ratio == pytest.approx(0.5)
    assert factors["imbalance, spares"].ratio == pytest.approx(0.8 / 1.25)
    assert "20% of input in this run, 60% in a day" in factors["cache hits of a day"].evidence
    assert len(factors) == 7
    assert found.waterfall[-1].rc_after - 1 == pytest.approx(found.day.yield_ratio)
    start = found.waterfall[0].rc_before * 4 * 24 * 2.5
    assert start + sum(f.usd_revenue for f in found.waterfall) == pytest.approx(found.day.usd_revenue, abs=0.005)
    cost = 4 * 24 * 2.5 + sum(f.usd_cost for f in found.waterfall)
    assert cost == pytest.approx(found.day.usd_cost, abs=0.005) == pytest.approx(4 * 24 * 2.5 * 1.25)
    assert math.prod(f.ratio for f in found.waterfall) == pytest.approx(
        (1 + found.day.yield_ratio) / (1 + found.theoretical.yield_ratio)
    )


def test_mix_units_and_the_price_of_the_day(tmp_path):
    own, other = price_card("own", 0.1, 1.0, 10.0), price_card("other", 0.05, 0.5, 5.0)
    terms = DayTerms(mix=((other, 0.4),), units_needed=2.5, usd_per_gpu_hour=3.0, spare_share=0.1)
    found = day_of(tmp_path, own, utilisation=0.5, day=terms)
    factors = {factor.factor: factor for factor in found.waterfall}
    assert factors["model mix"].ratio == pytest.approx(0.6 + 0.4 / 2)
    assert factors["spares, units, GPU price"].ratio == pytest.approx(1 / 1.1 / (3 / 2.5) / (3.0 / 2.5))
    assert "3 units for 2.5" in factors["spares, units, GPU price"].evidence
    assert found.waterfall[-1].rc_after - 1 == pytest.approx(found.day.yield_ratio)
    both = day_of(tmp_path, CARD, utilisation=0.5, day=DayTerms(mix=((other, 0.4),)))
    mixed = next(factor for factor in both.waterfall if factor.factor == "card hours and model mix")
    assert mixed.ratio == pytest.approx(0.6 * 0.75 + 0.4 / 2) and mixed.kind == "assumed"


def test_no_day_is_declared(tmp_path):
    found = day_of(tmp_path)
    assert found.day.yield_ratio is None and "`demand:`" in found.reasons["day"]
