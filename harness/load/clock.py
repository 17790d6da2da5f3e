"""The only reader of the clock on the load side: monotonic ns, and where they stand on the wall."""

import time
from datetime import UTC, datetime

from harness.records import Wall


def now_ns() -> int:
    """CLOCK_MONOTONIC, nanoseconds: the one time base of a worker and its engine."""
    return time.monotonic_ns()


def wall_ns() -> int:
    """CLOCK_REALTIME, nanoseconds: for anchors and file names only, never for a duration."""
    return time.time_ns()


def take_wall(tries: int = 25) -> Wall:
    """Anchor the monotonic clock on the wall clock; the narrowest of `tries` bracketed readings wins."""
    best_width, best_offset = 1 << 62, 0
    for _ in range(tries):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        if after - before < best_width:
            best_width, best_offset = after - before, wall - (before + after) // 2
    return Wall(
        offset_ns=best_offset,
        error_ns=best_width // 2 + 1,
        taken_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
