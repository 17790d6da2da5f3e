"""Queue: a sheet of an open loop in, whether its requests in flight grew; by Little's law what arrives must leave.

Arrivals less endings of each of 20 blocks are the sample. Where more arrives than is served they have a mean above
zero and are nearly independent, so that their t-interval is honest; where all is served a surplus of one block is
paid back by the next, and the interval is too wide: the error is on the side of saying nothing.
"""

from dataclasses import dataclass

import numpy as np

from harness.measure.blocks import BLOCKS, block_of
from harness.measure.sheet import Sheet
from harness.measure.window import Floats, Ints

#: t(19) at 99.5 %: one window in two hundred that is served grows this much by chance, at most
_T = 2.861
#: a growth matters from this share of the arrivals on
MIN_UNSERVED = 0.02
#: a window shorter than this many median answer times (first token to end) is still filling up, whatever the load
_MIN_WINDOW_ANSWERS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Requests in flight at both ends of the window, and the share of arrivals that added to them, [low, high]."""

    first: int
    last: int
    share: float
    low: float
    high: float

    @property
    def grows(self) -> bool:
        """More arrived than was served, beyond chance."""
        return self.low > 0 and self.share >= MIN_UNSERVED

    @property
    def words(self) -> str:
        return (
            f"requests in flight grew from {self.first} to {self.last}: {self.share:.0%} "
            f"[{100 * self.low:.0f}, {100 * self.high:.0f}] of the arrivals were not served"
        )


def growth_of(sheet: Sheet) -> Growth | None:
    """None for a closed loop, whose users bound what is in flight, and where a window is too short to tell."""
    planned = np.fromiter((record.planned_ns is not None for record in sheet.records), np.bool_, len(sheet.records))
    window, rows = sheet.window, sheet.measured & sheet.delivered
    if not planned.any() or window.seconds <= 0 or not rows.any():
        return None
    if window.seconds < _MIN_WINDOW_ANSWERS * float(np.median((sheet.ended_ns - sheet.first_ns)[rows])) / 1e9:
        return None
    came, left = _per_block(sheet, sheet.sent_ns), _per_block(sheet, sheet.ended_ns)
    arrivals = float(came.sum())
    if arrivals < BLOCKS:
        return None
    surplus = came - left
    mean, half = float(surplus.mean()), _T * float(surplus.std(ddof=1)) / BLOCKS**0.5
    first = int(((sheet.sent_ns < window.begin_ns) & (sheet.ended_ns >= window.begin_ns)).sum())
    per_block = arrivals / BLOCKS
    return Growth(
        first=first,
        last=first + round(float(surplus.sum())),
        share=mean / per_block,
        low=(mean - half) / per_block,
        high=(mean + half) / per_block,
    )


def _per_block(sheet: Sheet, at_ns: Ints) -> Floats:
    inside = at_ns[sheet.window.holds(at_ns)]
    return np.bincount(block_of(sheet.window, inside), minlength=BLOCKS).astype(np.float64)
