"""Search: the runs of a sweep so far in, the next one out, or None; pure, so that a sweep can be resumed.

First the loads that were asked for, lowest first. An adaptive sweep then looks for the best load under the SLOs: it
climbs (or descends) by factors of two until they break, halves the steps beside the best load until its neighbours
are within `tolerance`, and repeats the levels beside the knee while their requests do not tell on which side they lie;
each run speaks for its neighbours, too (`knee`). At last the chosen load is run again, and quoted from that run: the
best of several noisy values is better than it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from harness.measure.stats import wilson
from harness.sweep.goals import Goal
from harness.sweep.knee import HOLDING_SHARE, Met, smoothed
from harness.sweep.levels import Level, between

Role = Literal["level", "search", "repeat", "confirm"]

#: a level that misses its SLOs this often while requests queue says what every higher one would say
HOPELESS_SHARE = 0.5
#: requests that queue together meet or miss an SLO together: at the simulator's knee some fifty say as much as one that
#: is independent, far below it few. With 25, a run of 900 requests that all met is clear; with 9, luck was too often
#: taken for clearness (searches in virtual time within 4 %: 97 % of 400 with 9, 99 % with 25, 98 % with 50)
ALIKE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a sweep was asked for. `levels` rising; `top`: the highest load that may be tried."""

    levels: tuple[Level, ...]
    goal: Goal
    adaptive: bool = False
    tolerance: float = 0.05
    most_repeats: int = 2
    most_runs: int = 40
    confirm: bool = True
    all_levels: bool = False  # also those above a hopeless one
    top: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run as the search sees it. `missed` of `judged` requests failed or missed an SLO; None: there are none."""

    level: Level
    role: Role
    usable: bool
    missed: int | None = None
    judged: int = 0
    saturated: bool = False
    value: float | None = None  # of the goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """A run that should be made."""

    level: Level
    role: Role
    why: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """All runs of one level. `met_share`: requests that met the SLOs, smoothed over the levels; None without SLOs."""

    level: Level
    trials: tuple[Trial, ...]
    met_share: float | None = None

    @property
    def usable(self) -> bool:
        """At least one of its runs may be compared."""
        return any(trial.usable for trial in self.trials)

    @property
    def holds(self) -> bool | None:
        """Whether the SLOs hold; None where there are none."""
        if not self.usable:
            return False
        return None if self.met_share is None else self.met_share >= HOLDING_SHARE - 1e-12

    @property
    def saturated(self) -> bool:
        return any(trial.saturated for trial in self.trials if trial.usable)

    @property
    def hopeless(self) -> bool:
        return self.usable and self.saturated and self.met_share is not None and self.met_share < HOPELESS_SHARE

    @cached_property
    def value(self) -> float | None:
        """Mean over its runs but the confirming one, which must not take part in the choice."""
        found = [t.value for t in self.trials if t.usable and t.role != "confirm" and t.value is not None]
        return sum(found) / len(found) if found else None

    @property
    def unsure(self) -> bool:
        """Its own requests do not tell on which side it is."""
        missed, judged = _counts(self.trials)
        if missed is None or not judged:
            return False
        interval = wilson(round((judged - missed) / ALIKE), round(judged / ALIKE))
        return interval is not None and interval.low < HOLDING_SHARE < interval.high

    @property
    def confirmed(self) -> bool:
        return any(trial.role == "confirm" and trial.usable for trial in self.trials)


def standings(trials: Sequence[Trial]) -> list[Standing]:
    """One for each level, rising; what their requests met is smoothed over all of them."""
    levels = sorted({trial.level for trial in trials})
    found = [Standing(level=level, trials=tuple(t for t in trials if t.level == level)) for level in levels]
    judged = [one for one in found if _counts(one.trials)[0] is not None and _counts(one.trials)[1]]
    shares = dict(zip((one.level for one in judged), smoothed([_met(one) for one in judged]), strict=True))
    return [Standing(level=one.level, trials=one.trials, met_share=shares.get(one.level)) for one in found]


def chosen(search: Search, found: Sequence[Standing]) -> Standing | None:
    """The level that is best at the goal: among those whose SLOs hold, if they hold anywhere; the lower in a tie."""
    valued = [one for one in found if one.usable and one.value is not None]
    holding = [one for one in valued if one.holds is not False]
    among = holding or ([] if search.adaptive else valued)
    if not among:
        return None
    best = search.goal.best(one.value for one in among if one.value is not None)
    return next(one for one in among if one.value == best)


def next_run(search: Search, trials: Sequence[Trial]) -> Next | None:
    """The run that says most now; None: nothing is left to do, or `most_runs` have been made."""
    left = search.most_runs - len(trials)
    if left <= 0:
        return None
    found = standings(trials)
    missing = [level for level in search.levels if level not in {trial.level for trial in trials}]
    wanted = [level for level in missing if not _skipped(search, level, found)]
    if wanted:
        return Next(level=wanted[0], role="level", why="asked for")
    if left > search.confirm and (step := _invalid(search, found)) is not None:
        return step
    if search.adaptive and left > search.confirm and (step := _searched(search, found)) is not None:
        return step
    return _confirming(search, found)


def skipped(search: Search, trials: Sequence[Trial]) -> list[tuple[Level, str]]:
    """Levels that were asked for and need no run, each with the reason."""
    found = standings(trials)
    missing = [level for level in search.levels if level not in {trial.level for trial in trials}]
    return [(level, why) for level in missing if (why := _skipped(search, level, found))]


def _skipped(search: Search, level: Level, found: Sequence[Standing]) -> str | None:
    if search.all_levels:
        return None
    below = [one for one in found if one.level < level and one.hopeless]
    if not below or below[0].met_share is None:
        return None
    return f"at {below[0].level.words} requests queue and {1 - below[0].met_share:.0%} miss the SLOs"


def _invalid(search: Search, found: Sequence[Standing]) -> Next | None:
    """A machine that was busy for a moment makes a run invalid; one more says whether that was all."""
    for one in found:
        if not one.usable and len(one.trials) <= min(search.most_repeats, 1):
            return Next(level=one.level, role="repeat", why="its run was invalid")
    return None


def _searched(search: Search, found: Sequence[Standing]) -> Next | None:
    best = chosen(search, found)
    if best is None:
        return _descend(found)
    place = [one.level for one in found].index(best.level)
    below, above = found[place - 1] if place else None, found[place + 1] if place + 1 < len(found) else None
    step = _climb(search, best) if above is None else _halved(search, best, above)
    if step is None and below is not None and search.goal.key != "load":
        step = _halved(search, below, best)
    return step or _repeated(search, found, [one for one in (best, above) if one is not None])


def _descend(found: Sequence[Standing]) -> Next | None:
    """No level is good enough yet: half of the lowest. One that cannot be judged at all is no reason to go on."""
    if not found or found[0].met_share is None or found[0].holds:
        return None
    lower = found[0].level.times(0.5)
    why = f"the SLOs break at {found[0].level.words}"
    return Next(level=lower, role="search", why=why) if lower < found[0].level else None


def _climb(search: Search, best: Standing) -> Next | None:
    """Without SLOs an endpoint that is full says all: more users would only wait."""
    higher = best.level.times(2)
    if search.top is not None and higher.size > search.top:
        higher = Level(best.level.unit, search.top)
    if higher <= best.level or (best.holds is None and best.saturated):
        return None
    return Next(level=higher, role="search", why=f"the best load so far is the highest, {best.level.words}")


def _halved(search: Search, low: Standing, high: Standing) -> Next | None:
    if high.level.size <= (1 + search.tolerance) * low.level.size * (1 + 1e-9):
        return None
    middle = between(low.level, high.level)
    why = f"between {low.level.number} and {high.level.words}"
    return None if middle is None else Next(level=middle, role="search", why=why)


def _repeated(search: Search, found: Sequence[Standing], edges: Sequence[Standing]) -> Next | None:
    """Levels near the edges speak for them, too: their runs count as if they were the edges' own."""
    apart = (1 + search.tolerance) ** 2
    near = [one for one in found if edges[0].level.size / apart <= one.level.size <= edges[-1].level.size * apart]
    if sum(trial.usable for one in near for trial in one.trials) >= 2 * (1 + search.most_repeats):
        return None
    unsure = [one for one in edges if one.usable and one.unsure and len(one.trials) <= search.most_repeats]
    if not unsure:
        return None
    least = min(unsure, key=lambda one: len(one.trials))
    return Next(level=least.level, role="repeat", why="too near to the SLOs to tell from the runs so far")


def _confirming(search: Search, found: Sequence[Standing]) -> Next | None:
    best = chosen(search, found)
    alone = sum(one.usable for one in found) < 2  # nothing was chosen: nothing can look better than it is
    if not search.confirm or best is None or alone or best.confirmed or best.holds is False:
        return None
    return Next(level=best.level, role="confirm", why=f"best {search.goal.name}: run again, and quoted from this run")


def _counts(trials: Sequence[Trial]) -> tuple[int | None, int]:
    """Missed and judged requests of all usable runs."""
    counted = [(trial.missed, trial.judged) for trial in trials if trial.usable and trial.missed is not None]
    return (sum(missed for missed, _ in counted) if counted else None), sum(judged for _, judged in counted)


def _met(one: Standing) -> Met:
    missed, judged = _counts(one.trials)
    return Met(one.level.size, judged - (missed or 0), judged)
