"""Units of prefill and decode nodes: the published day's fleet, and properties of any search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.theory import units
from harness.theory.units import Fleet, NodeRates, Traffic, Units

# DeepSeek open-infra-index, day 6 (24 h from 2025-02-27 12:00 UTC+8)
DAY = Traffic(input_tokens=608e9, output_tokens=168e9)
NODE = NodeRates(prefill_tokens_per_s=73.7e3, decode_tokens_per_s=14.8e3)
UNITS = Units(prefill_nodes=4, decode_nodes=18)
REVENUE_USD = 342e3 * 0.14 + 266e3 * 0.55 + 168e3 * 2.19
GPUS_PER_NODE, USD_PER_GPU_HOUR = 8, 2.0
YIELD = units.flat_yield(REVENUE_USD / 168e3, GPUS_PER_NODE * USD_PER_GPU_HOUR)


def test_nodes_that_the_published_day_needs():
    needed = units.nodes_needed(DAY, 86_400, NODE)
    assert needed.prefill_nodes == pytest.approx(95.48, abs=0.005)
    assert needed.decode_nodes == pytest.approx(131.38, abs=0.005)
    assert needed.nodes == pytest.approx(226.86, abs=0.01)
    assert needed.nodes == pytest.approx(226.75, rel=1e-3), "the published mean: its rates are means of the fleet"
    assert units.in_whole_units(needed, UNITS) == Fleet(prefill_nodes=96, decode_nodes=144)


@pytest.mark.parametrize(
    ("prefill", "decode", "gpus", "decode_busy", "prefill_busy", "yield_percent"),
    [
        (4, 18, 176, 0.306, 1.000, 178.7),
        (8, 18, 208, 0.612, 1.000, 371.7),
        (12, 18, 240, 0.917, 1.000, 513.2),
        (13, 18, 248, 0.994, 1.000, 542.9),
        (16, 18, 272, 1.000, 0.818, 489.9),
        (28, 36, 512, 1.000, 0.934, 526.7),
    ],
)
def test_fleets_of_the_published_day(prefill, decode, gpus, decode_busy, prefill_busy, yield_percent):
    fleet = Fleet(prefill_nodes=prefill, decode_nodes=decode)
    found = units.fleet_rate(fleet, DAY, NODE)
    assert fleet.nodes * GPUS_PER_NODE == gpus
    assert found.decode_utilisation == pytest.approx(decode_busy, abs=6e-4)
    assert found.prefill_utilisation == pytest.approx(prefill_busy, abs=6e-4)
    assert found.limited_by == ("decode" if decode_busy == 1 else "prefill")
    assert 100 * YIELD(found) == pytest.approx(yield_percent, abs=0.06)


def test_the_best_ratio_is_not_the_published_unit():
    assert 18 * units.prefill_nodes_per_decode_node(DAY, NODE) == pytest.approx(13.08, abs=0.005)


def test_240_gpus_are_the_first_above_500_percent():
    steps = units.better_with_size(UNITS, DAY, NODE, YIELD, nodes_at_most=80)
    first = units.smallest_fleet(steps, 5.0)
    assert first is not None and first.delivers.fleet == Fleet(prefill_nodes=12, decode_nodes=18)
    assert [step.delivers.fleet.nodes for step in steps[:3]] == [22, 26, 30]
    assert units.smallest_fleet(steps, 6.0) is None


def test_the_first_fleet_at_the_exact_ratio():
    """52 + 72 nodes: 992 GPUs, whole units of both sides at 13 to 18."""
    steps = units.better_with_size(UNITS, DAY, NODE, YIELD, nodes_at_most=124)
    assert steps[-1].delivers.fleet == Fleet(prefill_nodes=52, decode_nodes=72)
    assert 100 * steps[-1].yield_ratio == pytest.approx(542.9, abs=0.06)


def test_a_node_that_does_both():
    assert units.mixed_output_tokens_per_s(DAY, NODE) == pytest.approx(8571, abs=1)


def test_rate_matching_takes_its_share_of_both_sides():
    rates = NodeRates(prefill_tokens_per_s=10.0, decode_tokens_per_s=10.0, prefill_share=0.90, decode_share=0.92)
    even = Traffic(input_tokens=1, output_tokens=1)
    found = units.fleet_rate(Fleet(prefill_nodes=2, decode_nodes=3), even, rates)
    assert found.output_tokens_per_s_per_node == pytest.approx(min(0.90 * 10 * 2, 0.92 * 10 * 3) / 5)
    assert found.limited_by == "prefill"


def test_a_side_without_nodes_delivers_nothing():
    found = units.fleet_rate(Fleet(prefill_nodes=0, decode_nodes=3), DAY, NODE)
    assert (found.output_tokens_per_s, found.prefill_utilisation, found.decode_utilisation) == (0, 0, 0)


_RATES = st.builds(
    NodeRates,
    prefill_tokens_per_s=st.floats(1e2, 1e6),
    decode_tokens_per_s=st.floats(1e2, 1e6),
    prefill_share=st.floats(0.1, 1),
    decode_share=st.floats(0.1, 1),
)
_TRAFFIC = st.builds(Traffic, input_tokens=st.floats(1, 1e12), output_tokens=st.floats(1, 1e12))
_NODES = st.integers(1, 60)


@given(_RATES, _TRAFFIC, _NODES, _NODES)
def test_one_side_is_always_busy_and_none_more_than_that(rates, traffic, prefill, decode):
    found = units.fleet_rate(Fleet(prefill_nodes=prefill, decode_nodes=decode), traffic, rates)
    assert max(found.prefill_utilisation, found.decode_utilisation) == pytest.approx(1)
    assert found.input_tokens_per_s <= prefill * rates.prefill_tokens_per_s * (1 + 1e-9)


@given(_RATES, _TRAFFIC)
def test_what_a_traffic_needs_delivers_exactly_that(rates, traffic):
    found = units.fleet_rate(units.nodes_needed(traffic, 3600, rates), traffic, rates)
    assert found.output_tokens_per_s * 3600 == pytest.approx(traffic.output_tokens)


@given(_RATES, _TRAFFIC, st.integers(1, 5), st.integers(1, 9))
def test_no_whole_fleet_beats_a_node_that_does_both(rates, traffic, prefill, decode):
    """Taking turns wastes nothing: a split fleet reaches that rate per node only at the exact ratio."""
    mixed = units.mixed_output_tokens_per_s(traffic, rates)
    for fleet in units.whole_fleets(Units(prefill_nodes=prefill, decode_nodes=decode), 30):
        assert units.fleet_rate(fleet, traffic, rates).output_tokens_per_s_per_node <= mixed * (1 + 1e-9)


@given(_RATES, _TRAFFIC, st.floats(0.01, 100), st.floats(0.01, 100))
def test_growing_only_gets_better(rates, traffic, revenue, cost):
    steps = units.better_with_size(UNITS, traffic, rates, units.flat_yield(revenue, cost), nodes_at_most=70)
    sizes, yields = [step.delivers.fleet.nodes for step in steps], [step.yield_ratio for step in steps]
    assert sizes == sorted(sizes) and yields == sorted(yields) and sizes[0] == 22
