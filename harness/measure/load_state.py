"""Load: how loaded was the endpoint? A sheet of one run in, a state with its evidence out; honest about not knowing.

One run can show two extremes: an endpoint that stood idle (demand_limited), and one with a queue in front of it
(saturated). That a load is the best one under the SLOs (at_slo_knee), or which side of it a run is on, only runs at
other loads can show: `levels_of` compares them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import Outcome
from harness.measure.metrics import NS_PER_S
from harness.measure.results import Load, LoadState, RunResult
from harness.measure.sheet import Sheet

#: the endpoint had nothing to do in at least this share of the window
IDLE_SHARE = 0.05
#: at least this share of open requests waited for their first token ...
QUEUED_SHARE = 0.25
#: ... and the median wait was this many times the shortest one that this run saw
QUEUED_TTFT_RATIO = 3.0
#: at least this share of requests was turned away (429, or 503 with Retry-After)
REFUSED_SHARE = 0.01
#: a level "still gains" while its output rate grows by this share of the growth in users
GAINING = 0.5
#: SLOs hold at a load while at most this share of its requests missed one or failed
MISSING_SHARE = 0.1
_ALONE = "one run cannot show what a higher or lower load would give: use a sweep"


def load_of(sheet: Sheet, mean_in_flight: float, mean_decoding: float) -> Load:
    """State and evidence from one run alone."""
    window = sheet.window
    idle = 1 - window.busy_s(sheet.sent_ns, sheet.ended_ns) / window.seconds
    waiting = 1 - mean_decoding / mean_in_flight if mean_in_flight > 0 else 0.0
    refused = _refused_share(sheet)
    evidence = [
        f"{mean_in_flight:.1f} requests in flight on average, {waiting:.0%} of them waiting for a first token",
        f"no request in flight in {idle:.0%} of the window",
    ]
    growth = _ttft_growth(sheet)
    if growth is not None:
        evidence.append(f"median TTFT is {growth:.1f}x the shortest of this run")
    if refused >= REFUSED_SHARE:
        return Load(state="saturated", evidence=(f"{refused:.0%} of requests were refused as rate limited", *evidence))
    if waiting >= QUEUED_SHARE and growth is not None and growth >= QUEUED_TTFT_RATIO and mean_in_flight > 2:
        return Load(state="saturated", evidence=("requests queued in front of the endpoint", *evidence))
    if idle >= IDLE_SHARE:
        return Load(state="demand_limited", evidence=("the endpoint stood idle for a part of the window", *evidence))
    return Load(state="unknown", evidence=(*evidence, _ALONE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a sweep: how much was offered, what came out, and whether the SLOs held (None: there are none)."""

    users: float
    output_tokens_per_s: float
    slos_hold: bool | None = None


def slos_hold(run: RunResult) -> bool | None:
    """Nine in ten judged requests met every SLO; None where there are no SLOs or no requests."""
    useful = run.useful
    if not run.slos or not useful.total:
        return None
    missed = useful.why_not.get("slo_missed", 0) + useful.why_not.get("failed", 0)
    return missed <= MISSING_SHARE * useful.total


def judged_by_neighbours(runs: Sequence[tuple[int, RunResult]]) -> list[Load]:
    """Users and result of each valid level of a sweep, in any order; their states, in the same order.

    What a run saw itself stays as evidence, and stays the state where the neighbours show nothing or where the
    endpoint stood idle: an idle endpoint is demand_limited whatever a noisy neighbour gained.
    """
    order = sorted(range(len(runs)), key=lambda place: runs[place][0])
    offered = [_offered(*runs[place]) for place in order]
    found = {place: load for place, load in zip(order, levels_of(offered), strict=True)}
    return [_joined(run.load, found[place]) for place, (_, run) in enumerate(runs)]


def _offered(users: int, run: RunResult) -> Level:
    rate = run.throughput.output_tokens_per_s or 0.0
    return Level(users=users, output_tokens_per_s=rate, slos_hold=slos_hold(run))


def _joined(own: Load, shown: Load) -> Load:
    seen = tuple(text for text in own.evidence if text != _ALONE)
    if shown.state == "unknown":
        return own
    if own.state == "demand_limited":
        return replace(own, evidence=(*seen, *shown.evidence))
    return Load(state=shown.state, evidence=(*shown.evidence, *seen))


def levels_of(levels: Sequence[Level]) -> list[Load]:
    """States of the levels of one sweep, in rising order of load, each judged by its neighbours.

    The highest level whose SLOs hold, with a level above it whose SLOs do not, is at_slo_knee. Otherwise a level
    whose neighbour above gains at least half of the extra users' share of output is demand_limited, one whose
    neighbour gains less is saturated; the last level is judged by the step that led to it.
    """
    knee = _knee(levels)
    states = []
    for place, level in enumerate(levels):
        below, above = (level, levels[place + 1]) if place + 1 < len(levels) else (levels[place - 1], level)
        if place == knee:
            states.append(
                Load(
                    state="at_slo_knee", evidence=(f"SLOs hold at {level.users:g} and break at {above.users:g} users",)
                )
            )
        elif len(levels) < 2 or below.users <= 0 or above.users <= below.users:
            states.append(Load(state="unknown", evidence=("no other level to compare with",)))
        else:
            states.append(_by_gain(below, above))
    return states


def _knee(levels: Sequence[Level]) -> int | None:
    holding = [place for place, level in enumerate(levels) if level.slos_hold]
    last = holding[-1] if holding else None
    broken_above = last is not None and any(level.slos_hold is False for level in levels[last + 1 :])
    return last if broken_above else None


def _by_gain(below: Level, above: Level) -> Load:
    more_users = above.users / below.users - 1
    more_tokens = above.output_tokens_per_s / below.output_tokens_per_s - 1 if below.output_tokens_per_s > 0 else 0.0
    state: LoadState = "demand_limited" if more_tokens >= GAINING * more_users else "saturated"
    return Load(
        state=state, evidence=(f"{below.users:g} -> {above.users:g} users gave {more_tokens:+.0%} output tokens/s",)
    )


def _refused_share(sheet: Sheet) -> float:
    measured = [record for record, inside in zip(sheet.records, sheet.measured, strict=True) if inside]
    refused = sum(record.outcome is Outcome.RATE_LIMITED for record in measured)
    return refused / len(measured) if measured else 0.0


def _ttft_growth(sheet: Sheet) -> float | None:
    """Median TTFT of the window over the shortest of the whole run, warm-up included (the emptiest moment it saw)."""
    usable = sheet.delivered & sheet.seen
    ttft = (sheet.first_ns - sheet.sent_ns) / NS_PER_S
    if not (usable & sheet.measured).any() or (shortest := float(ttft[usable].min())) <= 0:
        return None
    return float(np.median(ttft[usable & sheet.measured])) / shortest
