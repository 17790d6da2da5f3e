"""Alarm: wakes one greenlet at a time of the monotonic clock, before anything else that its hub has to do.

The hub's own timers know whole milliseconds and are late rather than early; a timer of the kernel behind a descriptor
is true to a few hundredths of one, and a wait for it needs one waking instead of a series of ever shorter ones.
"""

import ctypes
import os
import struct
from typing import Any

from gevent.hub import get_hub

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_itimerspec = struct.Struct("@4l").pack  # interval: s, ns; first: s, ns. All 0: never
_SECOND = 1_000_000_000
_AT_ONCE_NS = 1  # long past


class Alarm:
    """Belongs to the greenlet that waits; anybody in the same hub may `ring`."""

    def __init__(self) -> None:
        """Raises OSError where the kernel has no descriptor left."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        loop = get_hub().loop
        self._watcher: Any = loop.io(self._fd, 1, priority=loop.MAXPRI)  # 1: readable
        self._rung = False

    def wait(self, at_ns: int | None) -> None:
        """Until then (None: for ever), or until somebody rings; at once if somebody has."""
        if not self._rung:
            self._set(at_ns or 0)
            get_hub().wait(self._watcher)
        self._rung = False
        self._set(0)

    def ring(self) -> None:
        """End the wait of now, or the next one."""
        self._rung = True
        if self._fd >= 0:
            self._set(_AT_ONCE_NS)

    def close(self) -> None:
        """Nobody waits any more."""
        self._watcher.close()
        os.close(self._fd)
        self._fd = -1

    def _set(self, at_ns: int) -> None:
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, _itimerspec(0, 0, *divmod(at_ns, _SECOND)), None)
