"""Throughput at an interactivity: interpolated along the frontier, never beyond it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sweep.reach import Point, reach

LEVELS = [
    Point(interactivity=70, output_tokens_per_s=500),
    Point(interactivity=40, output_tokens_per_s=2000),
    Point(interactivity=30, output_tokens_per_s=1800),  # beaten in both by the one above
    Point(interactivity=10, output_tokens_per_s=3000),
]


def test_throughput_is_interpolated_first_and_money_follows() -> None:
    found = reach(LEVELS, 55, usd_per_s=0.002)
    assert found.how == "interpolated"
    assert found.output_tokens_per_s == pytest.approx(math.sqrt(500 * 2000))  # halfway, in logarithms
    assert found.usd_per_mtok_output == pytest.approx(0.002 / 1000 * 1e6)


@pytest.mark.parametrize(
    ("wanted", "how", "rate"),
    [(40, "measured", 2000), (71, "not_reached", None), (5, "at_least", 3000), (10, "measured", 3000)],
)
def test_ends_of_the_frontier(wanted: float, how: str, rate: float | None) -> None:
    found = reach(LEVELS, wanted, usd_per_s=0.002)
    assert (found.how, found.output_tokens_per_s) == (how, rate)
    assert (found.usd_per_mtok_output is None) == (rate is None)


def test_no_levels_reach_nothing() -> None:
    assert reach([], 10).how == "not_reached"


@given(
    st.lists(st.tuples(st.floats(1, 200), st.floats(1, 1e5)), min_size=1, max_size=12),
    st.floats(1, 200),
    st.floats(1, 200),
)
def test_a_faster_stream_never_gives_more_in_all(levels, one, other) -> None:
    points = [Point(interactivity=each, output_tokens_per_s=total) for each, total in levels]
    slow, fast = (reach(points, wanted).output_tokens_per_s for wanted in sorted((one, other)))
    if fast is not None:
        assert slow is not None and slow >= fast * (1 - 1e-9)
        assert fast <= max(total for _, total in levels)
