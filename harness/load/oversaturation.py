"""Oversaturation: counts once a second -> why an open loop cannot become steady any more, or None while it may.

Requests that come faster than they are served make a backlog that grows without bound; a busy but able endpoint has
one that comes and goes. A line fitted to the backlog cannot tell them apart: near capacity it is a random walk, whose
slope is nearly always "significant". What can: while a backlog stands, the endpoint serves what it is able to, however
the arrivals fall. So the pace at which it begins calls is compared with the *planned* rate. All must hold, three
seconds running:

- the backlog (calls without a first token) is worth more than `patience_s` of arrivals: a newcomer waits longer;
- in the last half of the run, as far back as a backlog stood, calls were begun more slowly than planned, by `_SIGMAS`
  standard errors of that pace from second to second;
- the endpoint works on no more calls than before: while it takes in more, it is only filling up.

How often it errs, and how soon it fires, was measured on the simulator in virtual time: see docs/arrivals.md.
"""

import math
import statistics
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

#: A backlog of this many seconds of arrivals is never called endless, whatever the SLO.
LEAST_PATIENCE_S = 3.0
_SIGMAS = 2.5
_SECONDS_RUNNING = 3
#: Before this, half a run is too short to show anything.
_LEAST_S = 10.0
_LEAST_SAMPLES = 5
#: More calls at work than this, a quarter of the run later, is an endpoint that is filling up.
_FILLING = 1.1


class Seen(NamedTuple):
    """One look: calls that have ended since the start, that are open, and that wait for their first token."""

    at_s: float
    ended: int
    in_flight: int
    awaiting_first: int

    @property
    def begun(self) -> int:
        """Calls that the endpoint has taken up."""
        return self.ended + self.at_work

    @property
    def at_work(self) -> int:
        """Calls between first and last token."""
        return self.in_flight - self.awaiting_first


@dataclass(slots=True, kw_only=True)
class Oversaturation:
    """One run's watch. `rate`: planned requests/s, mean of the run; `patience_s`: the longest acceptable TTFT."""

    rate: float
    patience_s: float = LEAST_PATIENCE_S
    _seen: list[Seen] = field(default_factory=list)
    _running: int = 0

    def look(self, seen: Seen) -> str | None:
        """Once a second. Words for the manifest while the run is over-saturated."""
        self._seen.append(seen)
        pace = self._too_slow(seen)
        self._running = 0 if pace is None else self._running + 1
        if pace is None or self._running < _SECONDS_RUNNING:
            return None
        return (
            f"over-saturated after {seen.at_s:.0f} s: {seen.awaiting_first} requests wait for their first token, "
            f"{seen.awaiting_first / self.rate:.1f} s of arrivals; {self.rate:.3g} come each second, "
            f"{pace:.3g} are begun"
        )

    def _too_slow(self, now: Seen) -> float | None:
        """Calls begun each second, where that is surely less than come."""
        if now.at_s < _LEAST_S or now.awaiting_first <= max(self.patience_s, LEAST_PATIENCE_S) * self.rate:
            return None
        stretch = self._backlogged(now.at_s / 2)
        if len(stretch) <= _LEAST_SAMPLES or _is_filling(stretch):
            return None
        paces = [(late.begun - early.begun) / (late.at_s - early.at_s) for early, late in pairwise(stretch)]
        pace, error = statistics.fmean(paces), statistics.stdev(paces) / math.sqrt(len(paces))
        return pace if pace + _SIGMAS * error < self.rate else None

    def _backlogged(self, since_s: float) -> list[Seen]:
        """The looks back to `since_s`, or to the last one that found less than a second of arrivals waiting."""
        stretch: list[Seen] = []
        for seen in reversed(self._seen):
            if seen.at_s < since_s or seen.awaiting_first < self.rate:
                break
            stretch.append(seen)
        return stretch[::-1]


def _is_filling(stretch: list[Seen]) -> bool:
    middle = len(stretch) // 2
    before, now = (statistics.fmean(seen.at_work for seen in part) for part in (stretch[:middle], stretch[middle:]))
    return now <= 0 or now > _FILLING * before
