"""Planned arrivals: the distributions they claim, on one worker and on the union of four; nothing lost or doubled."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.load.arrivals.plans import (
    Arrival,
    begins_of,
    first_call_s,
    global_plan,
    mean_rate,
    profile_of,
    rate_in_words,
    share_of,
    source,
)
from harness.load.arrivals.profile import of_day, profile, steady
from harness.load.arrivals.queue import GROWTH, WAITING_SHARE, Queue, part_of
from harness.load.arrivals.timetable import Timetable
from harness.load.arrivals.traces import TraceRow
from harness.load.conversations import Conversation, turns_of
from harness.load.scenarios import Arrivals, Scenario, Workload

COUNT, RATE = 10_000, 50.0
#: far below what a fixed seed gives where the distribution is right, far above what a wrong one gives
SURE = 1e-3


def scenario(kind: str, users: int = 4, **changes: Any) -> Scenario:
    run_time_s = changes.pop("run_time_s", COUNT / RATE * 2)
    arrivals = Arrivals(**({"kind": kind, "rate_per_user": RATE / users} | changes))
    workload = Workload(families=("arithmetic",))
    return Scenario(name="s", description="d", workload=workload, users=users, run_time_s=run_time_s, arrivals=arrivals)


def times(planned: Scenario, workers: int, seed: int = 7) -> list[float]:
    """The first 10,000 arrivals of the union of `workers` workers, each of which made its own timetable."""
    tables = [timetable(planned, worker, workers, seed) for worker in range(workers)]
    merged = sorted(at_s for table in tables for at_s in islice(drained(table), 2 * COUNT))
    return merged[:COUNT]


def timetable(planned: Scenario, worker: int, workers: int, seed: int) -> Timetable:
    table = Timetable()
    if planned.arrivals.is_global:
        table.join(share_of(global_plan(planned, seed), worker, workers))
    else:
        for user in range(worker, planned.users, workers):
            table.join(source(planned, seed, f"w{worker}.{user // workers}", 0.0))
    return table


def drained(table: Timetable) -> Iterator[float]:
    while table.peek() is not None:
        yield table.take().at_s


@pytest.mark.parametrize("workers", [1, 4])
def test_poisson_gaps_are_exponential_and_independent(workers: int) -> None:
    found = times(scenario("poisson"), workers)
    gaps = np.diff(found)
    assert stats.kstest(gaps, stats.expon(scale=1 / RATE).cdf).pvalue > SURE
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.04
    counts = np.bincount((np.asarray(found) / 0.2).astype(int))[:-1]  # Poisson: variance = mean in any window
    dispersion = counts.var(ddof=1) / counts.mean()
    low, high = stats.chi2(len(counts) - 1).ppf([SURE / 2, 1 - SURE / 2]) / (len(counts) - 1)
    assert low < dispersion < high


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("cv", [0.5, 2.0])
def test_gamma_gaps_are_gamma(workers: int, cv: float) -> None:
    gaps = np.diff(times(scenario("gamma", cv=cv), workers))
    assert stats.kstest(gaps, stats.gamma(1 / cv**2, scale=cv**2 / RATE).cdf).pvalue > SURE
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.04
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)
    wrong = stats.kstest(gaps, stats.expon(scale=1 / RATE).cdf).pvalue
    assert wrong < 1e-9, "the test can tell it from Poisson"


@pytest.mark.parametrize("workers", [1, 4])
def test_constant_gaps_are_constant(workers: int) -> None:
    found = times(scenario("constant"), workers)
    assert found == pytest.approx(np.arange(COUNT) / RATE, abs=1e-9)


def test_the_workers_of_a_superposed_gamma_plan_would_fail_this_test() -> None:
    """Why there is one global plan: four independent gamma sources are not gamma."""
    single = scenario("gamma", users=1, cv=2.0, rate_per_user=RATE / 4)
    union = sorted(arrival.at_s for seed in range(4) for arrival in islice(global_plan(single, seed), COUNT // 4))
    gaps = np.diff(union[: COUNT - 2000])
    assert stats.kstest(gaps, stats.gamma(0.25, scale=4 / RATE).cdf).pvalue < 1e-9


def test_poisson_under_a_profile_is_poisson_of_its_integral() -> None:
    """Time-rescaling: the integral of the rate turns the arrivals back into a unit Poisson process."""
    planned = scenario("poisson", users=8, levels=((0, 1), (60, 4), (60, 0.5), (120, 2)))
    areas = [profile_of(planned).area(at_s) for at_s in times(planned, 4)]
    assert stats.kstest(np.diff(areas), stats.expon.cdf).pvalue > SURE


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["constant", "gamma", "trace"]),
    workers=st.integers(1, 9),
    seed=st.integers(0, 1 << 30),
    gaps=st.lists(st.floats(0, 3), max_size=200),
)
def test_no_arrival_is_lost_or_sent_twice(kind: Any, workers: int, seed: int, gaps: list[float]) -> None:
    planned = scenario(kind, run_time_s=20, time_scale=3.0, cv=1.5)
    trace = [TraceRow(at_s, 10, 10) for at_s in np.cumsum(gaps).tolist()]
    whole = list(global_plan(planned, seed, trace))
    shares = [list(share_of(global_plan(planned, seed, trace), worker, workers)) for worker in range(workers)]
    union = sorted((arrival for share in shares for arrival in share), key=lambda arrival: arrival.index or 0)
    assert union == whole
    assert [arrival.index for arrival in whole] == list(range(len(whole)))
    assert all(first.at_s <= second.at_s < 20 for first, second in pairwise(whole))
    if kind == "trace":
        assert len(whole) == sum(row.at_s / 3 < 20 for row in trace)
    assert list(share_of(global_plan(planned, seed, trace), workers, workers)) == [], "one that came later"


@given(users=st.integers(1, 9), more=st.integers(1, 9), seed=st.integers(0, 1 << 30))
@settings(max_examples=20, deadline=None)
def test_users_times_rate_is_the_load(users: int, more: int, seed: int) -> None:
    """A user keeps its own rate: more users of a Poisson scenario are more sources, of a global plan a faster one."""
    for kind in ("poisson", "constant"):
        planned = replace(scenario(kind, users=users, rate_per_user=2.0, run_time_s=100), users=users + more)
        assert profile_of(planned).area(100) == pytest.approx(200 * (users + more))
    count = sum(1 for _ in source(scenario("poisson", users=users, rate_per_user=2.0, run_time_s=500), seed, "w0.1", 0))
    assert abs(count - 1000) < 6 * math.sqrt(1000)


def test_the_same_seed_plans_the_same_arrivals_and_another_does_not() -> None:
    for kind in ("poisson", "gamma"):
        assert times(scenario(kind), 2) == times(scenario(kind), 2)
        assert times(scenario(kind), 1, seed=8)[:10] != times(scenario(kind), 1)[:10]


def test_a_user_that_joins_late_plans_nothing_before() -> None:
    late = list(source(scenario("poisson", run_time_s=60), 1, "w0.1", 30.0))
    assert late and min(arrival.at_s for arrival in late) > 30
    assert len(late) == pytest.approx(30 * RATE / 4, rel=0.25)


# -- conversations, whose beginnings are planned ------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(("turns", "mean"), [("1", 1.0), ("4", 4.0), ("uniform(2,7)", 4.5), ("empirical(1,1,10)", 4.0)])
def test_the_rate_is_of_requests_and_conversations_begin_as_much_more_rarely(
    turns: str, mean: float, workers: int
) -> None:
    planned = replace(scenario("poisson"), workload=Workload(families=("arithmetic",), turns=turns))
    planned = replace(planned, run_time_s=4 * planned.run_time_s)
    assert mean_rate(planned) == pytest.approx(RATE)
    assert begins_of(planned).rate_at(9.0) == pytest.approx(RATE / mean, rel=2e-4)
    gaps = np.diff(times(planned, workers))
    assert stats.kstest(gaps, stats.expon(scale=mean / RATE).cdf).pvalue > SURE
    even = replace(planned, arrivals=replace(planned.arrivals, kind="constant"))
    assert times(even, workers)[:100] == pytest.approx(np.arange(100) * mean / RATE, rel=2e-4)


def test_the_rate_is_said_in_requests_and_in_conversations() -> None:
    alone = scenario("poisson")
    assert rate_in_words(alone) == "50 requests/s"
    talks = replace(alone, workload=Workload(families=("arithmetic",), turns="uniform(2,7)"))
    assert rate_in_words(talks) == "50 requests/s = 11.1 conversations/s x 4.5 turns"


def test_requests_of_answered_conversations_come_at_the_stated_rate() -> None:
    """Answers of 2 s and pauses of 3 s: behind the first conversations' length the sum of all turns is the rate."""
    workload = Workload(families=("arithmetic",), turns="uniform(2,7)")
    planned = replace(scenario("gamma", cv=1.5, run_time_s=1000), workload=workload)
    sent = [
        begun.at_s + 5.0 * turn
        for begun in global_plan(planned, 3)
        for turn in range(turns_of(workload, 3, begun.index or 0))
    ]
    assert sum(100 <= at_s < 1000 for at_s in sent) / 900 == pytest.approx(RATE, rel=0.03)


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.floats(0, 2), max_size=30),
    turns=st.lists(st.floats(0, 40), max_size=30),
    stop_s=st.floats(0, 40),
)
def test_later_turns_are_taken_in_order_between_the_plan_and_none_behind_the_stop(
    gaps: list[float], turns: list[float], stop_s: float
) -> None:
    plan = [Arrival(at_s, index) for index, at_s in enumerate(np.cumsum(gaps).tolist())]
    later = [Arrival(at_s, talk=Conversation(number=0, turns=2, turn=2)) for at_s in turns]
    table = Timetable()
    table.join(iter(plan))
    for turn in later:
        table.join(iter([turn]))
    whole = sorted(arrival.at_s for arrival in [*plan, *later])
    assert [arrival.at_s for arrival in table.coming(100)] == whole, "the plan's own next ones are seen, too"
    table.leave_all(stop_s)
    assert list(drained(table)) == [at_s for at_s in whole if at_s <= stop_s]


# -- profiles -----------------------------------------------------------------------------------------------------


POINTS = st.lists(
    st.tuples(st.just(0.0) | st.floats(0.01, 10), st.just(0.0) | st.floats(0.01, 50)), min_size=1, max_size=8
).map(lambda gaps: [(sum(gap for gap, _ in gaps[: i + 1]), rate) for i, (_, rate) in enumerate(gaps)])


@given(points=POINTS, area=st.floats(0, 500))
def test_moment_inverts_area(points: list[tuple[float, float]], area: float) -> None:
    form = profile(points)
    at_s = form.moment(area)
    if math.isinf(at_s):
        assert points[-1][1] == 0
        assert form.area(1e6) < area + 1e-6
    else:
        assert form.area(at_s) == pytest.approx(area, rel=1e-6, abs=1e-4)


@given(points=POINTS, moments=st.lists(st.floats(0, 100), min_size=2, max_size=6))
def test_area_rises_as_the_rate_says(points: list[tuple[float, float]], moments: list[float]) -> None:
    form = profile(points)
    for begin, end in pairwise(sorted(moments)):
        grid = np.linspace(begin, end, 400)
        expected = np.trapezoid([form.rate_at(at_s) for at_s in grid], grid)
        assert form.area(end) - form.area(begin) == pytest.approx(expected, rel=0.02, abs=(end - begin) / 400 * 200)


def test_ramps_steps_and_spikes() -> None:
    ramp = profile([(0, 0), (10, 10)])
    assert (ramp.area(10), ramp.moment(12.5), ramp.rate_at(99)) == (50, 5, 10)
    step = profile([(0, 1), (10, 1), (10, 3)])
    assert (step.rate_at(9.999), step.rate_at(10), step.area(20)) == (1, 3, 40)
    spike = profile([(0, 1), (5, 1), (5, 9), (6, 9), (6, 1)])
    assert spike.area(10) == pytest.approx(18)
    assert steady(0.0).moment(1.0) == math.inf


def test_a_day_in_a_minute_keeps_its_form() -> None:
    levels = [1.0, 2.0, 0.0, 5.0]
    day = of_day(levels, 60).times(10)
    assert day.area(60) == pytest.approx(600), "the mean of the levels is the rate"
    assert [day.area(15 * (i + 1)) - day.area(15 * i) for i in range(4)] == pytest.approx([75, 150, 0, 375])


def test_first_calls_are_spread_over_the_stagger() -> None:
    planned = scenario("closed", users=4, stagger_s=8.0)
    assert [first_call_s(planned, user) for user in range(5)] == [0, 2, 4, 6, 0]


# -- timetable ----------------------------------------------------------------------------------------------------


def test_a_source_that_left_sends_nothing_more() -> None:
    table = Timetable()
    first = table.join(iter([Arrival(1.0), Arrival(3.0)]))
    table.join(iter([Arrival(2.0), Arrival(4.0)]))
    assert table.take().at_s == 1.0
    table.leave(first, 1.5)
    table.leave(first, 1.5)
    assert list(drained(table)) == [2.0, 4.0]
    assert table.peek() is None


def test_looking_ahead_takes_nothing_away() -> None:
    single = Timetable()
    number = single.join(iter([Arrival(float(at_s)) for at_s in range(6)]))
    assert [arrival.at_s for arrival in single.coming(3)] == [0.0, 1.0, 2.0]
    assert single.take().at_s == 0.0
    assert [arrival.at_s for arrival in single.coming(9)] == [1.0, 2.0, 3.0, 4.0, 5.0]
    single.leave(number, 3.5)
    assert list(drained(single)) == [1.0, 2.0, 3.0], "what was looked at leaves, too"
    many = Timetable()
    for offset in (0.5, 0.0, 0.7):
        many.join(iter([Arrival(offset), Arrival(offset + 1)]))
    assert [arrival.at_s for arrival in many.coming(2)] == [0.0, 0.5]
    assert list(drained(many)) == [0.0, 0.5, 0.7, 1.0, 1.5, 1.7]
    assert Timetable().coming(4) == []


def test_what_is_overdue_when_a_source_leaves_is_still_sent() -> None:
    table = Timetable()
    for offset in (0.0, 0.5):
        table.join(iter([Arrival(number + offset) for number in range(10)]))
    table.leave_all(2.2)
    assert list(drained(table)) == [0.0, 0.5, 1.0, 1.5, 2.0]


# -- a queue ------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(slots=st.integers(0, 600), ahead=st.integers(1, 100), noise=st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_a_queue_grows_until_enough_wait_and_never_shrinks(slots: int, ahead: int, noise: list[int]) -> None:
    """An endpoint that works on `slots` requests at once; the engine's counts are a little short now and then."""
    queue, before = Queue(ahead, limit=4096), 0
    for second in range(60):
        in_flight = queue.target
        queue.look(second, in_flight, max(0, in_flight - slots - noise[second % len(noise)]))
        assert queue.target >= before
        before = queue.target
    waiting = queue.target - slots
    assert waiting >= ahead and waiting >= WAITING_SHARE * queue.target
    assert queue.target <= GROWTH**2 * max(slots + ahead + 5, (slots + 5) / (1 - WAITING_SHARE)) + 2, "nor endless"
    assert queue.stood_s is not None and queue.stood_s <= 20, "2 x 1.5^n"


def test_a_queue_ends_at_its_limit_and_does_not_grow_while_calls_fail() -> None:
    queue = Queue(8, limit=100)
    for second in range(30):
        queue.look(second, queue.target, 0)
    assert (queue.target, queue.stood_s) == (100, None)
    refused = Queue(8, limit=100)
    refused.look(1.0, 8, 0, raising=False)
    assert refused.target == 8


@given(total=st.integers(0, 1000), workers=st.integers(1, 20))
def test_the_parts_of_a_queue_add_up(total: int, workers: int) -> None:
    parts = [part_of(total, worker, workers) for worker in range(workers)]
    assert sum(parts) == total and max(parts) - min(parts) <= 1
    assert part_of(total, workers, workers) == 0
