"""Dispatcher: one greenlet a process that hands planned calls to the engine ahead of their time, and waits for none.

The engine sends each at its time: what this process does or suffers meanwhile makes none late, unless that lasts longer
than the lead.
"""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import gevent
from gevent.event import Event

from harness.errors import InputError, Mistake
from harness.load.arrivals.plans import Arrival
from harness.load.arrivals.timetable import Timetable
from harness.load.arrivals.traces import TraceRow, digest_of, read_trace
from harness.load.clock import now_ns
from harness.load.limits import descriptor_limit
from harness.load.scenarios import Arrivals, Plan

#: A planned call is handed over this long before its time: longer than user code may block the hub unnoticed.
LEAD_S = 0.1
#: A pause so short that everything else comes first. `sleep(0)` would not do: up to fifty come again before the hub
#: looks at its timers and sockets (measured: a timer beside them was 6 ms late, beside these 0.2 ms).
BREATH_S = 1e-9
#: Prompts made before it is their turn: as many as may come at once without making each other late.
_AHEAD = 16
#: Descriptors that an engine needs besides its connections.
_SPARE_DESCRIPTORS = 64


class Handed(NamedTuple):
    """A call that the engine was given before its time. `number`: of the source that planned it."""

    at_s: float
    number: int
    ticket: int


class Dispatcher:
    """Runs from its making until `stop`. `send`, `withdraw` and `prepare` must not block.

    `send(arrival, early)` gives the call's ticket, or None where it was not put through; `early` that means that nobody
    can say before its time, and it is asked for again then. `withdraw(ticket)` takes a call back if it has not left.
    `prepare(place, arrival)` makes what `arrival` needs, which is the next call but `place` (later turns of
    conversations are not counted); False if it is made.
    """

    def __init__(
        self,
        timetable: Timetable,
        began_ns: int,
        send: Callable[[Arrival, bool], int | None],
        withdraw: Callable[[int], None],
        prepare: Callable[[int, Arrival], bool],
    ) -> None:
        self._timetable = timetable
        self._began_ns = began_ns
        self._send = send
        self._withdraw = withdraw
        self._prepare = prepare
        self._handed: deque[Handed] = deque()
        self._news = Event()
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
        self._news.set()
        return number

    def leave(self, number: int) -> None:
        """Nothing more of that source; what it had planned by now is still sent."""
        at_s = self.elapsed_s
        self._timetable.leave(number, at_s)
        self._take_back(at_s, number)

    def stop(self, patience_s: float) -> int:
        """Nothing that is planned after now is sent. How many overdue calls could not be sent within `patience_s`.

        Asked again, it counts those that joined since then.
        """
        if self._stopped_s is None:
            self._stopped_s = self.elapsed_s
            self._timetable.leave_all(self._stopped_s)
            self._take_back(self._stopped_s)
        self._news.set()
        self._sender.join(patience_s)
        self.cease()
        left = 0
        while self._timetable.peek() is not None:
            self._timetable.take()
            left += 1
        return left

    def cease(self) -> None:
        """Hand over nothing more, overdue or not. What was handed over was allowed, and leaves at its time."""
        self._ceased = True
        self._news.set()

    def _run(self) -> None:
        while not self._ceased and not (self._stopped_s is not None and self._timetable.peek() is None):
            self._step()

    def _step(self) -> None:
        """Hand over the next call if it is time to; else make ready what comes, and wait until it is, or for news."""
        arrival = self._timetable.peek()
        if arrival is None:
            self._rest(None)
        elif arrival.at_s <= self.elapsed_s:
            self._send(self._timetable.take(), False)
            gevent.sleep(BREATH_S)  # answers are taken in between two calls, however many are overdue
        elif arrival.at_s - LEAD_S > self.elapsed_s:
            self._make_ready(arrival, arrival.at_s - LEAD_S)
        elif self._hand_over(arrival):
            gevent.sleep(BREATH_S)
        else:
            self._make_ready(arrival, arrival.at_s)

    def _hand_over(self, arrival: Arrival) -> bool:
        """Give the engine the next call before its time; False: it must be asked for at its time."""
        number, ticket = self._timetable.source, self._send(arrival, True)
        if ticket is None:
            return False
        self._timetable.take()
        while self._handed and self._handed[0].at_s <= self.elapsed_s:
            self._handed.popleft()
        self._handed.append(Handed(arrival.at_s, number, ticket))
        return True

    def _take_back(self, at_s: float, number: int | None = None) -> None:
        """Withdraw what is planned after `at_s`, of one source or of all."""
        for handed in self._handed:
            if handed.at_s > at_s and number in (None, handed.number):
                self._withdraw(handed.ticket)

    def _make_ready(self, arrival: Arrival, until_s: float) -> None:
        self._prepare(0, arrival)
        self._prepare_more(until_s)
        self._rest(until_s)

    def _rest(self, until_s: float | None) -> None:
        self._news.wait(None if until_s is None else max(until_s - self.elapsed_s, 0))
        self._news.clear()

    def _prepare_more(self, until_s: float) -> None:
        place = 0
        for arrival in self._timetable.coming(_AHEAD):
            if self.elapsed_s >= until_s:
                return
            if self._prepare(place, arrival):
                gevent.sleep(BREATH_S)
            place += arrival.talk is None


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
