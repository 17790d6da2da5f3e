"""Scenario and seed -> planned arrivals: the global plan and a worker's share of it, and the sources of Poisson.

With turns these are beginnings of conversations: as many as give the stated requests/s with their mean turns.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.load.arrivals.draws import even, exponential_gaps, gamma
from harness.load.arrivals.profile import Profile, of_day, profile, steady
from harness.load.arrivals.traces import TraceRow
from harness.load.conversations import Conversation, mean_turns
from harness.load.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Arrival:
    """One planned request. `index`: its place in the global plan, None for a Poisson source's own.

    Where a workload has turns it is the first turn of a conversation, or the next one of `talk`, planned when the
    answer before it had come.
    """

    at_s: float
    index: int | None = None
    input_tokens: int | None = None  # of a trace: how long prompt and answer were
    output_tokens: int | None = None
    blocks: tuple[int, ...] = ()
    talk: Conversation | None = None


def profile_of(scenario: Scenario) -> Profile:
    """Planned requests/s of the whole run (rate of a user x users), by its levels or its curve."""
    arrivals = scenario.arrivals
    if arrivals.curve_levels:
        shape = of_day(arrivals.curve_levels, scenario.run_time_s)
    else:
        shape = profile(arrivals.levels) if arrivals.levels else steady(1.0)
    return shape.times((arrivals.rate_per_user or 0.0) * scenario.users)


def begins_of(scenario: Scenario) -> Profile:
    """Planned beginnings a second: of requests that stand alone, or of conversations, whose turns are requests."""
    return profile_of(scenario).times(1 / mean_turns(scenario.workload))


def mean_rate(scenario: Scenario) -> float | None:
    """Planned requests/s, mean of the run; None where nothing is planned, or a trace is one moment."""
    arrivals = scenario.arrivals
    if not arrivals.open_loop:
        return None
    if arrivals.kind == "trace":
        return (arrivals.trace_rows or 0) * arrivals.time_scale / arrivals.trace_s if arrivals.trace_s else None
    return profile_of(scenario).area(scenario.run_time_s) / scenario.run_time_s


def rate_in_words(scenario: Scenario) -> str:
    """The planned rate, mean of the run; with turns, what it makes of conversations."""
    rate, turns = mean_rate(scenario) or 0.0, mean_turns(scenario.workload)
    if scenario.workload.turns is None:
        return f"{rate:.3g} requests/s"
    return f"{rate:.3g} requests/s = {rate / turns:.3g} conversations/s x {turns:.3g} turns"


def global_plan(scenario: Scenario, seed: int, trace: Sequence[TraceRow] = ()) -> Iterator[Arrival]:
    """All beginnings of the run in order, up to its run time. Constant, gamma and trace arrivals only."""
    made = _of_trace(scenario, trace) if scenario.arrivals.kind == "trace" else _of_rate(scenario, seed)
    for arrival in made:
        if arrival.at_s >= scenario.run_time_s:
            return
        yield arrival


def share_of(plan: Iterator[Arrival], worker: int, workers: int) -> Iterator[Arrival]:
    """What worker k of n sends: index = k mod n. A worker beyond the n that the run began with sends nothing."""
    if worker >= workers:
        return
    for arrival in plan:
        assert arrival.index is not None
        if arrival.index % workers == worker:
            yield arrival


def source(scenario: Scenario, seed: int, name: str, since_s: float) -> Iterator[Arrival]:
    """One user's Poisson arrivals from the moment it joined, up to the run time."""
    mine = begins_of(scenario).times(1 / scenario.users)
    area = mine.area(max(since_s, 0.0))
    for gap in exponential_gaps(seed, name):
        area += gap
        at_s = mine.moment(area)
        if at_s >= scenario.run_time_s:
            return
        yield Arrival(at_s)


def first_call_s(scenario: Scenario, user: int) -> float:
    """Closed loop: when user `user` (from 0) asks first; evenly over `stagger_s`, so that they do not march in step."""
    return scenario.arrivals.stagger_s * (user % scenario.users) / scenario.users


def _of_rate(scenario: Scenario, seed: int) -> Iterator[Arrival]:
    arrivals, rate = scenario.arrivals, begins_of(scenario)
    for index, unit in enumerate(gamma(seed, arrivals.cv) if arrivals.kind == "gamma" else even()):
        at_s = rate.moment(unit)
        if math.isinf(at_s):
            return
        yield Arrival(at_s, index)


def _of_trace(scenario: Scenario, trace: Sequence[TraceRow]) -> Iterator[Arrival]:
    for index, row in enumerate(trace):
        at_s = row.at_s / scenario.arrivals.time_scale
        yield Arrival(at_s, index, row.input_tokens, row.output_tokens, row.hash_ids)
