"""Quantiles by nearest rank and only where n allows, Wilson's golden numbers, merging without loss."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.stats import (
    NEEDED,
    Pairs,
    delta,
    distribution,
    fieller,
    highest_quantile,
    least_cost_per_success,
    merge,
    needed,
    pairs_of,
    quantiles,
    rank_of,
    wilson,
)

FLOATS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400)


@pytest.mark.parametrize(
    ("n", "present"), [(1, 1), (28, 1), (29, 2), (58, 2), (59, 3), (298, 3), (299, 4), (2994, 4), (2995, 5)]
)
def test_a_quantile_appears_exactly_where_n_allows_it(n, present):
    spread = distribution(np.arange(n, dtype=float))
    given_ones = [q is not None for q in (spread.p50, spread.p90, spread.p95, spread.p99, spread.p999)]
    assert given_ones == [True] * present + [False] * (5 - present)


def test_needed_is_where_the_maximum_covers_the_quantile_with_95_percent():
    for q, n in NEEDED.items():
        assert needed(q) == n
        assert q == 0.5 or q**n <= 0.05 < q ** (n - 1)
    assert needed(0.98) == math.ceil(math.log(0.05) / math.log(0.98))


def test_values_one_to_a_thousand():
    spread = distribution(np.arange(1, 1001, dtype=float), failed=3, censored=2)
    assert (spread.p50, spread.p90, spread.p95, spread.p99) == (500, 900, 950, 990)
    assert (spread.n, spread.failed, spread.censored, spread.mean, spread.max) == (1000, 3, 2, 500.5, 1000)


@pytest.mark.parametrize(("q", "n", "rank"), [(0.9, 30, 26), (0.5, 1, 0), (0.5, 2, 0), (0.5, 3, 1), (1.0, 5, 4)])
def test_rank(q, n, rank):
    assert rank_of(q, n) == rank


def test_no_values_no_figures():
    spread = distribution(np.empty(0), failed=4)
    assert (spread.n, spread.failed, spread.mean, spread.p50, spread.max) == (0, 4, None, None, None)
    assert highest_quantile(np.empty(0)) is None


@given(FLOATS)
def test_a_quantile_is_a_value_that_was_seen_and_has_its_share_below(values):
    array = np.asarray(values)
    for q, value in zip(NEEDED, quantiles(array, tuple(NEEDED)), strict=True):
        if value is not None:
            assert value in values
            assert (array <= value).sum() >= q * len(values) - 1e-6
            assert (array < value).sum() < q * len(values)


@given(FLOATS, FLOATS)
def test_merging_is_pooling(left, right):
    merged = merge([np.asarray(left), np.asarray(right)])
    assert distribution(merged) == distribution(np.asarray(left + right))


def test_highest_quantile_is_the_one_that_n_allows():
    assert highest_quantile(np.arange(10.0)) == (0.5, 4.0)
    assert highest_quantile(np.arange(299.0))[0] == 0.99


def test_wilson_golden():
    interval = wilson(124, 200)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.5511, 0.6844)
    assert wilson(0, 0) is None
    assert wilson(0, 10).low == 0 and wilson(10, 10).high == 1


@given(st.integers(1, 10_000), st.data())
def test_wilson_holds_the_share(n, data):
    k = data.draw(st.integers(0, n))
    interval = wilson(k, n)
    assert 0 <= interval.low <= k / n + 1e-12 and k / n - 1e-12 <= interval.high <= 1


# -- cost per success ---------------------------------------------------------------------------------------------

GOLDEN = Pairs(n=200, mean_cost=0.012, sd_cost=0.009, share=0.62, covariance=-0.0004)


def test_fieller_and_delta_by_their_golden_values():
    assert GOLDEN.ratio == pytest.approx(0.019355, abs=5e-7)
    exact, straight = fieller(GOLDEN), delta(GOLDEN)
    assert (exact.low, exact.high) == pytest.approx((0.016539, 0.022672), abs=5e-7)
    assert (straight.low, straight.high) == pytest.approx((0.016317, 0.022393), abs=5e-7)


def test_wilson_by_its_golden_value():
    found = wilson(124, 200)
    assert (found.low, found.high) == pytest.approx((0.5511, 0.6844), abs=5e-5)


def test_zero_right_is_a_lower_bound_and_no_interval():
    none_right = pairs_of(np.full(200, 0.012), np.zeros(200, bool))
    assert none_right.ratio is None and fieller(none_right) is None and delta(none_right) is None
    assert least_cost_per_success(200 * 0.012, 200) == pytest.approx(200 * 0.012 / 3)


def test_a_share_that_is_not_told_from_zero_has_no_interval():
    assert fieller(pairs_of(np.full(10, 0.01), np.arange(10) < 1)) is None


def test_moments_of_pairs_are_those_of_numpy():
    rng = np.random.default_rng(5)
    costs, right = rng.exponential(0.01, 300), rng.random(300) < 0.7
    pairs = pairs_of(costs, right)
    assert pairs.ratio == pytest.approx(costs.sum() / right.sum())
    assert pairs.covariance == pytest.approx(np.cov(costs, right)[0, 1])
    assert pairs_of(costs[:1], right[:1]) is None


def test_fieller_covers_a_known_ratio():
    hits = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        right = rng.random(120) < 0.5
        costs = rng.exponential(0.01, 120) * np.where(right, 0.8, 1.2)  # wrong answers think longer
        found = fieller(pairs_of(costs, right))
        hits += found.low <= 0.02 <= found.high
    assert 0.90 <= hits / 300 <= 0.99
