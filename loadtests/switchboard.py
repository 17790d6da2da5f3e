"""Switchboard: a greenlet puts a call through to the engine and sleeps; one hub watcher wakes it when it ended."""

from collections.abc import Callable
from typing import NamedTuple

import gevent
from gevent.event import AsyncResult, Event
from gevent.hub import get_hub

from harness.load.calls import Call, Finished, Live, Withdrawn
from harness.load.clock import now_ns
from harness.load.engine import Engine
from harness.load.hot import Form
from harness.records import StreamRecord

#: Where a finished call goes before its greenlet wakes: it is kept even if nobody waits for it any more.
Keep = Callable[[Finished], StreamRecord]
#: Who is told of the record.
Told = Callable[[StreamRecord], None]
#: Who is told of its texts as well.
Hear = Callable[[StreamRecord, Finished], None]


class Party(NamedTuple):
    """Who is told how an open call ends: of its record, or that it was withdrawn."""

    keep: Keep
    told: Told
    withdrawn: Callable[[], None] | None


class EngineLost(Exception):
    """The engine process died: no more calls in this process."""


class Switchboard:
    """The open calls of one process. All its methods belong to the hub's thread."""

    def __init__(self, engine: Engine, on_engine_lost: Callable[[], None]) -> None:
        self._engine = engine
        self._on_engine_lost = on_engine_lost
        self._open: dict[int, Party] = {}
        self._waiting: dict[int, int] = {}  # send_ns of open calls whose time had not come when somebody last looked
        self._idle = Event()
        self._idle.set()
        self.live = Live(at_ns=0, in_flight=0, awaiting_first=0, deltas=0)
        self.lost = False
        self._watcher = get_hub().loop.io(engine.fileno(), 1)  # 1: readable
        self._watcher.start(self._wake)

    @property
    def open_calls(self) -> int:
        """Calls that were put through and have not ended, those included whose time has not come."""
        return len(self._open)

    @property
    def in_flight(self) -> int:
        """Calls whose time has come and that have not ended."""
        now = now_ns()
        self._waiting = {ticket: send_ns for ticket, send_ns in self._waiting.items() if send_ns > now}
        return len(self._open) - len(self._waiting)

    @property
    def hot_path(self) -> Form | None:
        """How the engine reads."""
        return self._engine.hot_path

    @property
    def tap(self) -> bool | None:
        """The engine hears of every segment."""
        return self._engine.tap

    def call(self, call: Call, keep: Keep) -> StreamRecord:
        """Put one call through and wait for its end. A greenlet that is killed meanwhile leaves a censored record."""
        result: AsyncResult = AsyncResult()
        ticket = self.put(call, keep, result.set)
        try:
            return result.get()
        except BaseException:
            if ticket in self._open:
                self._engine.cancel(ticket, "censored")
            raise

    def put(self, call: Call, keep: Keep, told: Told, withdrawn: Callable[[], None] | None = None) -> int:
        """Put one call through and wait for nothing: its ticket. A call that has a time of its own leaves then.

        `told` gets its record in the hub, where it must not block; of a call that was withdrawn there is none.
        """
        if self.lost:
            raise EngineLost
        ticket = self._engine.submit(call)
        self._open[ticket] = Party(keep, told, withdrawn)
        if call.send_ns is not None and call.send_ns > now_ns():
            self._waiting[ticket] = call.send_ns
        self._idle.clear()
        return ticket

    def withdraw(self, ticket: int) -> None:
        """Take a call back if its time has not come; it is open until the engine has said so. Else it goes on."""
        if ticket in self._open:
            self._engine.withdraw(ticket)

    def cancel_all(self) -> None:
        """End every open call; each leaves a censored record."""
        for ticket in self._open:
            self._engine.cancel(ticket, "censored")

    def drained(self, timeout_s: float) -> bool:
        """Wait until every call has ended; False if some had not after `timeout_s`."""
        return bool(self._idle.wait(timeout_s))

    def close(self) -> None:
        """Stop watching and end the engine."""
        self._watcher.stop()
        self._engine.close()

    def _wake(self) -> None:
        for event in self._engine.poll():
            if isinstance(event, Live):
                self.live = event
            elif isinstance(event, Withdrawn):
                self._forget(event)
            else:
                self._end(event)
        if not self._open:
            self._idle.set()
        if not self._engine.alive and not self.lost:
            self.lost = True
            self._watcher.stop()
            gevent.spawn(self._on_engine_lost)

    def _end(self, finished: Finished) -> None:
        party = self._open.pop(finished.ticket)
        self._waiting.pop(finished.ticket, None)
        party.told(party.keep(finished))

    def _forget(self, event: Withdrawn) -> None:
        party = self._open.pop(event.ticket)
        self._waiting.pop(event.ticket, None)
        if party.withdrawn is not None:
            party.withdrawn()
