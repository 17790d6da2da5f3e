"""Shares that met the SLOs, smoothed near the knee."""

import heapq
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sweep.goals import goal_named
from harness.sweep.knee import HOLDING_SHARE, SPAN, Met, line_at_knee, smoothed
from harness.sweep.levels import read_levels
from harness.sweep.search import Search, Trial, chosen, next_run, standings

MANY = 10**6


def met_share(size: float, knee: float, slope: float) -> float:
    return 1 / (1 + math.exp(slope * math.log(size / knee) - math.log(9)))


def level(size: float, share: float, judged: int = MANY) -> Met:
    return Met(size, round(share * judged), judged)


@pytest.mark.parametrize("slope", [5, 13, 80])
def test_a_line_of_log_odds_is_found_again(slope: float) -> None:
    levels = [level(size, met_share(size, 52.0, slope)) for size in (48, 50, 53, 55)]
    line = line_at_knee(levels, smoothed(levels))
    assert line is not None
    assert line.share_at(52.0) == pytest.approx(HOLDING_SHARE, abs=1e-4)
    assert line.slope == pytest.approx(-slope, rel=1e-3)


def test_many_runs_beside_a_level_speak_for_it() -> None:
    """By its own requests 52 holds; its neighbours say that it does not."""
    levels = [level(48, 0.95), level(50, 0.9), level(52, 0.91, judged=100), level(54, 0.77)]
    shares = smoothed(levels)
    assert shares[2] < 0.87 < HOLDING_SHARE <= shares[1]


def test_levels_far_from_the_knee_are_left_alone() -> None:
    shares = smoothed([level(16, 1.0), level(40, 0.97), level(50, 0.93), level(53, 0.88), level(64, 0.2)])
    assert (shares[0], shares[1], shares[4]) == (1.0, 0.97, 0.2)


def test_a_knee_that_is_a_step_stays_between_its_levels() -> None:
    shares = smoothed([level(48, 1.0, 900), level(50, 1.0, 900), level(51, 0.0, 900), level(54, 0.0, 900)])
    assert [share >= HOLDING_SHARE for share in shares] == [True, True, False, False]


@pytest.mark.parametrize("shares", [[0.95, 0.97, 0.99], [0.3, 0.2, 0.1], [0.9, 0.9, 0.9]])
def test_no_line_where_nothing_is_known_of_one_side(shares: list[float]) -> None:
    levels = [level(size, share) for size, share in zip((50, 52, 54), shares, strict=True)]
    assert line_at_knee(levels, smoothed(levels)) is None


def test_two_levels_too_far_apart_make_no_line() -> None:
    levels = [level(50, 0.95), level(50 * math.exp(2.1 * SPAN), 0.5)]
    assert line_at_knee(levels, [0.95, 0.5]) is None


counts = st.integers(1, 2000).flatmap(lambda judged: st.tuples(st.integers(0, judged), st.just(judged)))


@given(st.lists(st.tuples(st.floats(40, 60), counts), min_size=1, max_size=12, unique_by=lambda pair: pair[0]))
def test_more_load_never_meets_more(found: list[tuple[float, tuple[int, int]]]) -> None:
    shares = smoothed([Met(size, met, judged) for size, (met, judged) in sorted(found)])
    assert all(0 <= share <= 1 for share in shares)
    assert all(low >= high - 1e-9 for low, high in zip(shares, shares[1:], strict=False))


class Server:
    """Eight slots and one queue; every answer takes `steps` of 3.15 ms, lognormal; SLO: a wait of at most 0.1 s."""

    SLOTS, STEP_S, SLO_S = 8, 0.00315, 0.1

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def met(self, rate: float, seconds: float, warm_up_s: float = 2.0) -> tuple[int, int]:
        """Requests that met the SLO, and all, of one run that begins with an empty server."""
        draw, free, at_s, met, judged = self._draw, [0.0] * self.SLOTS, 0.0, 0, 0
        while (at_s := at_s + draw.expovariate(rate)) < seconds:
            steps = draw.lognormvariate(math.log(24), 0.5) + draw.lognormvariate(math.log(12), 0.4)
            begun_s = max(at_s, free[0])
            heapq.heapreplace(free, begun_s + self.STEP_S * steps)
            if at_s >= warm_up_s:
                judged += 1
                met += begun_s - at_s <= self.SLO_S
        return met, judged

    def knee(self) -> float:
        """Where nine in ten meet it, from runs of half an hour."""
        levels = [Met(rate, *self.met(rate, 1800)) for rate in (49.0, 51.0, 53.0, 55.0, 57.0)]
        line = line_at_knee(levels, smoothed(levels))
        assert line is not None
        return line.middle * math.exp((math.log(9) - line.at_middle) / line.slope)


def search_on(server: Server) -> tuple[float, int]:
    """The load that is found and the runs that it took, each of 20 s."""
    asked = Search(levels=read_levels("32,64", "rate"), goal=goal_named("load"), adaptive=True, tolerance=0.02,
                   most_repeats=3, most_runs=20)  # fmt: skip
    trials: list[Trial] = []
    while (step := next_run(asked, trials)) is not None:
        met, judged = server.met(step.level.size, 20)
        trials.append(Trial(level=step.level, role=step.role, usable=True, missed=judged - met, judged=judged,
                            saturated=met < judged / 2, value=step.level.size))  # fmt: skip
    found = chosen(asked, standings(trials))
    assert found is not None
    return found.level.size, len(trials)


def test_a_queue_whose_requests_miss_together_gives_its_knee_away() -> None:
    """One run of 20 s at the knee says 90 % with a standard deviation of 7 points, which is 5 % of the load."""
    knee = Server(seed=1).knee()
    found = [search_on(Server(seed)) for seed in range(12)]
    errors = [load / knee - 1 for load, _ in found]
    assert sum(abs(error) <= 0.05 for error in errors) >= 11, errors
    assert max(map(abs, errors)) <= 0.08
