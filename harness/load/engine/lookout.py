"""Lookout: a second thread, on another CPU than the one that is to wake the loop. Where that one is gone, it does.

A shared host takes a virtual CPU away for tens of milliseconds while the others run on. The system does not know: the
timer that was set there does not go off, and who sleeps there is not woken. So somebody looks from another CPU whether
the alarm was answered; if not, the loop is brought over, and the alarm rung from here.
"""

import contextlib
import os
import select
import threading
import time

from harness.load.engine.alarm import Alarm
from harness.load.engine.stamps import now_ns

#: An alarm that was not answered so long after its time will not be answered soon.
PATIENCE_NS = 500_000
#: Nothing is planned nearer than this: who plans hands over 100 ms ahead.
_IDLE_NS = 50_000_000


class Lookout:
    """Made by the thread that waits for the alarm. Does nothing where that thread may use one CPU only."""

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm
        self._sleeper = threading.get_native_id()
        self._asleep = self._over = False
        self._thread: threading.Thread | None = None

    def sleep(self, poll: select.epoll, patience_s: float) -> list[tuple[int, int]]:
        """Wait for events (the alarm among them): descriptor and mask of each."""
        self._asleep = True
        events = poll.poll(patience_s)
        self._asleep = False
        return events

    def begin(self) -> None:
        """Look out from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_out, name="lookout", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Nobody waits any more."""
        self._over = True

    def _look_out(self) -> None:
        with contextlib.suppress(OSError):  # where nobody may choose a thread's CPUs, nothing can be done
            self._look()

    def _look(self) -> None:
        cpus, gone = os.sched_getaffinity(self._sleeper), -1
        while len(cpus) > 1 and not self._over:
            if self._alarm.cpu != gone:
                cpus, gone = os.sched_getaffinity(self._sleeper), self._alarm.cpu
                os.sched_setaffinity(0, cpus - {gone} or cpus)
            left_ns = self._overdue_in_ns()
            if left_ns > 0:
                time.sleep(min(left_ns, _IDLE_NS) / 1e9)
                continue
            if not self._asleep:  # at work, and nobody can do that for it
                time.sleep(PATIENCE_NS / 1e9)
                continue
            os.sched_setaffinity(self._sleeper, cpus - {gone})
            self._alarm.ring()
            time.sleep(PATIENCE_NS / 1e9)
            os.sched_setaffinity(self._sleeper, cpus)

    def _overdue_in_ns(self) -> int:
        at_ns = self._alarm.at_ns
        return _IDLE_NS if at_ns is None else at_ns + PATIENCE_NS - now_ns()
