"""Queue: how many calls to hold open so that some always wait for their first token. Counts in, a number out.

Nobody knows how many requests an endpoint works on at once, so the number of open calls is raised by half each second
in which too few wait, and never lowered: an endpoint that was full once may not run dry because it hurried.
"""

import math
from dataclasses import dataclass

#: How much more to ask, each second in which too few calls wait.
GROWTH = 1.5
#: So many of the open calls wait, too, whatever `ahead` says: a short queue in front of a big batch runs dry between
#: two looks, because answers end in swarms.
WAITING_SHARE = 0.3
#: A queue stands once it was seen so many times in a row: many short calls may wait for a moment without one.
IN_A_ROW = 3


@dataclass(slots=True)
class Queue:
    """One worker's part. `ahead`: calls that should wait here; `limit`: calls that may be open here."""

    ahead: int
    limit: int
    target: int = 0
    stood_s: float | None = None  # when enough calls waited, and went on to
    looks: int = 0  # since then
    short: int = 0  # looks since then that found too few
    _row: int = 0

    def __post_init__(self) -> None:
        self.target = min(self.ahead, self.limit)

    def look(self, at_s: float, in_flight: int, awaiting_first: int, *, raising: bool = True) -> None:
        """Once a second: the engine's counts. `raising` False: calls fail, more of them would not help."""
        stands = awaiting_first >= max(self.ahead, math.ceil(WAITING_SHARE * in_flight))
        if self.stood_s is not None:
            self.looks += 1
            self.short += not stands
        self._row = self._row + 1 if stands else 0
        if self._row == IN_A_ROW and self.stood_s is None:
            self.stood_s = at_s
        if not stands and raising:
            self.target = min(self.limit, math.ceil(self.target * GROWTH))


def part_of(total: int, worker: int, workers: int) -> int:
    """What worker k of n holds of `total`; the parts add up. A worker beyond the n holds nothing."""
    return total // workers + (worker < total % workers) if worker < workers else 0
