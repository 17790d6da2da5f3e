"""Feeder: one greenlet a process that keeps a queue in front of the endpoint: an ended call is replaced at once."""

from collections.abc import Callable

import gevent
from gevent.event import Event

from harness.errors import FAILED
from harness.load.arrivals.queue import Queue
from harness.load.clock import now_ns
from harness.records import QueueEntry, StreamRecord
from loadtests.dispatcher import BREATH_S
from loadtests.switchboard import Switchboard

#: A refusing endpoint is asked again after a growing pause, never in a spin.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_LOOK_S = 0.1


class Feeder:
    """Runs from its making until `stop`. `send` puts one call through and must not block."""

    def __init__(self, queue: Queue, board: Switchboard, began_ns: int, send: Callable[[], None]) -> None:
        self._queue = queue
        self._board = board
        self._began_ns = began_ns
        self._send = send
        self._seen_ns = board.live.at_ns
        self._news = Event()
        self._stopping = False
        self._failures = 0
        self._pause_s = _FIRST_PAUSE_S
        self._paused_until_ns = 0
        self._runner = gevent.spawn(self._run)

    @property
    def entry(self) -> QueueEntry:
        """What the manifest keeps."""
        queue = self._queue
        return QueueEntry(
            ahead=queue.ahead, open_calls=queue.target, stood_s=queue.stood_s, looks=queue.looks, short=queue.short
        )

    def ended(self, record: StreamRecord) -> None:
        """One of our calls has ended; called in the hub."""
        if record.outcome in FAILED:
            self._failures += 1
            self._paused_until_ns = now_ns() + round(self._pause_s * 1e9)
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        else:
            self._pause_s = _FIRST_PAUSE_S
        self._news.set()

    def stop(self, patience_s: float) -> int:
        """Replace nothing from here on. Nothing was planned, so nothing is left unsent: 0."""
        self.cease()
        self._runner.join(patience_s)
        return 0

    def cease(self) -> None:
        """Send nothing more."""
        self._stopping = True
        self._news.set()

    def _run(self) -> None:
        while not self._stopping:
            self._look()
            while self._may_send():
                self._send()
                gevent.sleep(BREATH_S)  # answers are read between two calls
            self._news.wait(_LOOK_S)
            self._news.clear()

    def _may_send(self) -> bool:
        return (
            not self._stopping
            and self._board.in_flight < self._queue.target
            and now_ns() >= self._paused_until_ns
            and not self._board.lost
        )

    def _look(self) -> None:
        """At the engine's counts, when there are new ones: once a second."""
        live = self._board.live
        if live.at_ns == self._seen_ns:
            return
        self._seen_ns = live.at_ns
        at_s = (live.at_ns - self._began_ns) / 1e9
        failures, self._failures = self._failures, 0
        self._queue.look(at_s, live.in_flight, live.awaiting_first, raising=not failures)
