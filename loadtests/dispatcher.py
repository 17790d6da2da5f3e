"""Dispatcher: one greenlet a process that sends planned calls at their time and waits for none of their answers."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gevent

from harness.errors import InputError, Mistake
from harness.load.arrivals.plans import Arrival
from harness.load.arrivals.timetable import Timetable
from harness.load.arrivals.traces import TraceRow, digest_of, read_trace
from harness.load.clock import now_ns
from harness.load.limits import descriptor_limit
from harness.load.scenarios import Arrivals, Plan
from loadtests.alarm import Alarm

#: A pause so short that everything else comes first. `sleep(0)` would not do: up to fifty come again before the hub
#: looks at its timers and sockets (measured: a timer beside them was 6 ms late, beside these 0.2 ms).
BREATH_S = 1e-9
#: Prompts made before their time: as many as may come at once without making each other late.
_AHEAD = 16
#: Nothing is made ahead of time this close to a planned call.
_CLOSE_S = 0.003
#: Before the engine's -10: while that reads a full tick (milliseconds, where both share a core) a call would be late,
#: and what is read late has its time from the kernel all the same.
_NICE = -15
#: Descriptors that an engine needs besides its connections.
_SPARE_DESCRIPTORS = 64


class Dispatcher:
    """Runs from its making until `stop`. `send` and `prepare` must not block.

    `prepare(place, arrival)` makes what `arrival` needs, which is the next call but `place` (later turns of
    conversations are not counted); False if it is made.
    """

    def __init__(
        self,
        timetable: Timetable,
        began_ns: int,
        send: Callable[[Arrival], None],
        prepare: Callable[[int, Arrival], bool],
    ) -> None:
        self._timetable = timetable
        self._began_ns = began_ns
        self._send = send
        self._prepare = prepare
        self._alarm = Alarm()
        self._stopped_s: float | None = None
        self._ceased = False
        self._sender = gevent.spawn(self._run)

    @property
    def elapsed_s(self) -> float:
        """Since the common start; below zero before it."""
        return (now_ns() - self._began_ns) / 1e9

    def join(self, stream: Iterator[Arrival]) -> int:
        """One more source; its number, for `leave`. Once stopped, nothing of it that is planned after the stop."""
        number = self._timetable.join(stream)
        if self._stopped_s is not None:
            self._timetable.leave(number, self._stopped_s)
        self._alarm.ring()
        return number

    def leave(self, number: int) -> None:
        """Nothing more of that source; what it had planned by now is still sent."""
        self._timetable.leave(number, self.elapsed_s)

    def stop(self, patience_s: float) -> int:
        """Send nothing that is planned after now. How many overdue calls could not be sent within `patience_s`.

        Asked again, it counts those that joined since then.
        """
        if self._stopped_s is None:
            self._stopped_s = self.elapsed_s
            self._timetable.leave_all(self._stopped_s)
        self._alarm.ring()
        self._sender.join(patience_s)
        self.cease()
        left = 0
        while self._timetable.peek() is not None:
            self._timetable.take()
            left += 1
        return left

    def cease(self) -> None:
        """Send nothing more, overdue or not."""
        self._ceased = True
        self._alarm.ring()

    def _run(self) -> None:
        with _before_others():
            while not self._ceased and not (self._stopped_s is not None and self._timetable.peek() is None):
                self._step()
        self._alarm.close()

    def _step(self) -> None:
        """Send the next call if it is due; else make ready what comes, and wait until it is, or a source joined."""
        arrival = self._timetable.peek()
        if arrival is None:
            self._alarm.wait(None)
        elif arrival.at_s <= self.elapsed_s:
            self._send(self._timetable.take())
            gevent.sleep(BREATH_S)  # answers are read between two calls, however many are overdue
        else:
            self._prepare(0, arrival)
            self._prepare_more(arrival.at_s)
            self._alarm.wait(self._began_ns + round(arrival.at_s * 1e9))

    def _prepare_more(self, until_s: float) -> None:
        place = 0
        for arrival in self._timetable.coming(_AHEAD):
            if until_s - self.elapsed_s < _CLOSE_S:
                return
            if self._prepare(place, arrival):
                gevent.sleep(BREATH_S)
            place += arrival.talk is None


@contextmanager
def _before_others() -> Iterator[None]:
    """Where we may: this process goes first while it has calls to send. Its children of later are as they were."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, min(_NICE, nice))
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def in_flight_cap(plan: Plan) -> int:
    """Open calls that this process may have: its part of `max_in_flight`, and no more than the system gives it."""
    descriptors, cap = descriptor_limit(), plan.scenario.arrivals.max_in_flight
    most = 1 << 30 if descriptors is None else max(descriptors - _SPARE_DESCRIPTORS, 1)
    return most if cap is None else min(most, max(cap // plan.workers, 1))


def trace_of(arrivals: Arrivals) -> tuple[TraceRow, ...]:
    """This machine's copy of the trace. InputError where it is missing, or another one than the master's."""
    if arrivals.trace is None:
        return ()
    path = Path(arrivals.trace)
    if digest_of(path) != arrivals.trace_sha256:
        raise InputError([Mistake(str(path), "", "another file than the master's", "the same trace on every worker")])
    return read_trace(path)
