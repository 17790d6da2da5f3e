"""Alarm: a descriptor that becomes readable at a time of the monotonic clock, to a few hundredths of a millisecond.

A poll's own timeout is in whole milliseconds. Python has no timerfd before 3.13, so the C library is asked.
"""

import ctypes
import os
import struct

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_itimerspec = struct.Struct("@4l").pack  # interval: s, ns; first: s, ns. All 0: never
_SECOND = 1_000_000_000


class Alarm:
    """Readable from its time on, until it is set again."""

    def __init__(self) -> None:
        """Raises OSError where the kernel has no descriptor left."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self.at_ns: int | None = None  # what it is set to
        self.cpu = -1  # where it was set, and will go off
        self.rung = False  # by hand since then: it has to be set again

    def set(self, at_ns: int | None) -> None:
        """Ring then, at once if that has passed; None: never."""
        self.rung = False
        self._arm((0, 0) if at_ns is None else divmod(max(at_ns, 1), _SECOND))
        self.at_ns, self.cpu = at_ns, self._libc.sched_getcpu()

    def ring(self) -> None:
        """Ring at once, on the CPU that asks for it; another thread than the one that sets it may."""
        self._arm((0, 1))
        self.rung = True

    def _arm(self, first: tuple[int, int]) -> None:
        self._libc.timerfd_settime(self.fd, _ABSOLUTE, _itimerspec(0, 0, *first), None)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
