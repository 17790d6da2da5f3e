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
#: levels this far apart (ratio of their loads) are compared; nearer ones only where there are no others
APART = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a sweep: how much was offered (users, or requests/s), what came out, and whether the SLOs held
    (None: there are none)."""

    size: float
    output_tokens_per_s: float | None
    slos_hold: bool | None = None


def slos_hold(run: RunResult) -> bool | None:
    """Nine in ten judged requests met every SLO; None where there are no SLOs or no requests."""
    missed = slos_missed(run)
    return None if missed is None else missed <= MISSING_SHARE * run.useful.total


def slos_missed(run: RunResult) -> int | None:
    """How many judged requests failed or missed an SLO; None where there are no SLOs or no requests."""
    if not run.slos or not run.useful.total:
        return None
    return run.useful.why_not.get("slo_missed", 0) + run.useful.why_not.get("failed", 0)


def judged_by_neighbours(runs: Sequence[tuple[float, RunResult]], unit: str = "users") -> list[Load]:
    """Size (users, or requests/s) and result of each valid run of a sweep, in any order; their states, in that order.

    Runs of one level are judged together: by the mean of their rates, and by all their requests.

    What a run saw itself stays as evidence, and stays the state where the neighbours show nothing or where the
    endpoint stood idle: an idle endpoint is demand_limited whatever a noisy neighbour gained. One that only served
    its load in full gives way to them: they know what is just above.
    """
    sizes = sorted({size for size, _ in runs})
    levels = [_offered(size, [run for other, run in runs if other == size]) for size in sizes]
    found = dict(zip(sizes, levels_of(levels, unit), strict=True))
    return [_joined(run.load, found[size], _is_tight(size, sizes)) for size, run in runs]


def _offered(size: float, runs: Sequence[RunResult]) -> Level:
    rates = [rate for run in runs if (rate := run.throughput.output_tokens_per_s) is not None]
    counts = [(missed, run.useful.total) for run in runs if (missed := slos_missed(run)) is not None]
    missed, judged = sum(missed for missed, _ in counts), sum(total for _, total in counts)
    holds = missed <= MISSING_SHARE * judged if counts else None
    return Level(size=size, output_tokens_per_s=sum(rates) / len(rates) if rates else None, slos_hold=holds)


def _is_tight(size: float, sizes: Sequence[float]) -> bool:
    """The next higher load that was tried is near."""
    above = [other for other in sizes if other > size]
    return bool(above) and above[0] <= APART * size


def _joined(own: Load, shown: Load, tight: bool) -> Load:
    seen = tuple(text for text in own.evidence if text not in (ALONE, SERVED))
    if shown.state == "unknown":
        return own
    idle = own.state == "demand_limited" and SERVED not in own.evidence
    if idle and not (shown.state == "at_slo_knee" and tight):
        return replace(own, evidence=(*seen, *shown.evidence))
    return Load(state=shown.state, evidence=(*shown.evidence, *seen))


def levels_of(levels: Sequence[Level], unit: str = "users") -> list[Load]:
    """States of the levels of one sweep, in rising order of load, each judged by its neighbours.

    The highest level whose SLOs hold, with a level above it whose SLOs do not, is at_slo_knee. Otherwise a level
    whose neighbour above gains at least half of the extra load's share of output is demand_limited, one whose
    neighbour gains less is saturated; the highest levels are judged by the step that led to them. A neighbour is a
    load that is far enough (`APART`) for its gain to stand out of the noise; the farthest, where there is none.
    """
    knee = _knee(levels)
    states = []
    for place, level in enumerate(levels):
        below, above = _step(levels, place)
        if place == knee:
            said = f"SLOs hold at {level.size:g} and break at {levels[place + 1].size:g} {unit}"
            states.append(Load(state="at_slo_knee", evidence=(said,)))
        elif below.size <= 0 or above.size <= below.size:
            states.append(Load(state="unknown", evidence=("no other level to compare with",)))
        else:
            states.append(_by_gain(below, above, unit))
    return states


def _step(levels: Sequence[Level], place: int) -> tuple[Level, Level]:
    """The two levels whose difference tells how loaded one of them is; the same one twice where it is alone."""
    own = levels[place]
    if own.output_tokens_per_s is None:
        return own, own
    above = [level for level in levels[place + 1 :] if level.output_tokens_per_s is not None]
    below = [level for level in levels[:place][::-1] if level.output_tokens_per_s is not None]
    far_above = [level for level in above if level.size >= APART * own.size]
    far_below = [level for level in below if own.size >= APART * level.size]
    if far_above:
        return own, far_above[0]
    if far_below:
        return far_below[0], own
    return (own, above[-1]) if above else (below[-1] if below else own, own)


def _knee(levels: Sequence[Level]) -> int | None:
    holding = [place for place, level in enumerate(levels) if level.slos_hold]
    last = holding[-1] if holding else None
    broken_above = last is not None and any(level.slos_hold is False for level in levels[last + 1 :])
    return last if broken_above else None


def _by_gain(below: Level, above: Level, unit: str) -> Load:
    more_load = above.size / below.size - 1
    before, after = below.output_tokens_per_s or 0.0, above.output_tokens_per_s or 0.0
    more_tokens = after / before - 1 if before > 0 else 0.0
    state: LoadState = "demand_limited" if more_tokens >= GAINING * more_load else "saturated"
    said = f"{below.size:g} -> {above.size:g} {unit} gave {more_tokens:+.0%} output tokens/s"
    return Load(state=state, evidence=(said,))
