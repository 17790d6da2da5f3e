"""Quantiles by nearest rank and only where n allows, Wilson's golden numbers, merging without loss."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.stats import NEEDED, distribution, highest_quantile, merge, needed, quantiles, rank_of, wilson

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
