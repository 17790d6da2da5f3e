"""Load state of a sweep's levels: runs at several loads in, a state for each out, told from its neighbours.

One run shows some of it (`evidence`): an endpoint that stood idle, one with a queue in front of it. That a load is the
best one under the SLOs (at_slo_knee), or which side of it a run is on, only runs at other loads can show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.measure.evidence import ALONE, SERVED
from harness.measure.results import Load, LoadState, RunResult

#: a level "still gains" while its output rate grows by this share of the growth in users
GAINING = 0.5
#: SLOs hold at a load while at most this share of its requests missed one or failed
MISSING_SHARE = 0.1


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
    endpoint stood idle: an idle endpoint is demand_limited whatever a noisy neighbour gained. One that only served
    its load in full gives way to them: they know what is just above.
    """
    order = sorted(range(len(runs)), key=lambda place: runs[place][0])
    offered = [_offered(*runs[place]) for place in order]
    found = {place: load for place, load in zip(order, levels_of(offered), strict=True)}
    return [_joined(run.load, found[place]) for place, (_, run) in enumerate(runs)]


def _offered(users: int, run: RunResult) -> Level:
    rate = run.throughput.output_tokens_per_s or 0.0
    return Level(users=users, output_tokens_per_s=rate, slos_hold=slos_hold(run))


def _joined(own: Load, shown: Load) -> Load:
    seen = tuple(text for text in own.evidence if text not in (ALONE, SERVED))
    if shown.state == "unknown":
        return own
    if own.state == "demand_limited" and SERVED not in own.evidence:
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
    if below.output_tokens_per_s <= 0 or above.output_tokens_per_s <= 0:
        return Load(state="unknown", evidence=("a neighbour has no steady rate to compare with",))
    more_users = above.users / below.users - 1
    more_tokens = above.output_tokens_per_s / below.output_tokens_per_s - 1
    state: LoadState = "demand_limited" if more_tokens >= GAINING * more_users else "saturated"
    return Load(
        state=state, evidence=(f"{below.users:g} -> {above.users:g} users gave {more_tokens:+.0%} output tokens/s",)
    )
