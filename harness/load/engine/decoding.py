"""Decoding: exchanges with bytes that nobody has read yet, a slice at a time, so that no stream disturbs another's.

What has ended goes first, since somebody waits for its record; what is due goes before each slice.
"""

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from harness.load.engine.exchange import Exchange
from harness.load.engine.stamps import now_ns

_AT_A_GO_NS = 1_000_000
_SLICE_BYTES = 32 * 1024
_WORTH_DECODING = 4 * 1024
_LONG_RUN = 1000


class Owner(Protocol):
    """What the reader does for the decoding."""

    def give_way(self) -> None:
        """Whatever must not wait for a slice."""

    def whole(self, exchange: Exchange) -> None:
        """Nothing that follows can be read."""

    def hand_back(self, exchange: Exchange) -> None:
        """It has ended and is decoded to its end."""

    def set_timer(self, exchange: Exchange) -> None:
        """A deadline of this exchange may be nearer now."""


class Decoding:
    """The queues of one reader."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._ended: deque[Exchange] = deque()  # to be decoded to the end and handed back
        self._backlog: deque[Exchange] = deque()  # running, with bytes worth decoding

    @property
    def busy(self) -> bool:
        """There is something to go on with."""
        return bool(self._ended or self._backlog)

    def finish(self, exchange: Exchange) -> None:
        """It has ended: decode what is left of it."""
        self._ended.append(exchange)

    def look_through(self, exchanges: Iterable[Exchange], thoroughly: bool) -> None:
        """Take up running exchanges with bytes worth decoding; `thoroughly`: with any."""
        for exchange in exchanges:
            pending = exchange.stream.pending_bytes
            if pending and not exchange.queued and not exchange.over:
                if thoroughly or pending >= _WORTH_DECODING or not exchange.stream.transcript.deltas:
                    exchange.queued = True
                    self._backlog.append(exchange)
            elif thoroughly and exchange.stream.short_way.count >= _LONG_RUN:
                self.slice(exchange)

    def go_on(self) -> None:
        """Up to a millisecond of decoding."""
        stop_ns = now_ns() + _AT_A_GO_NS
        while (self._ended or self._backlog) and now_ns() < stop_ns:
            self._owner.give_way()
            queue = self._ended or self._backlog
            exchange = queue[0]
            more = self.slice(exchange)
            if not exchange.over:
                if not more:
                    queue.popleft()
                    exchange.queued = False
            elif not more and queue is self._ended:
                queue.popleft()
                self._owner.hand_back(exchange)
            elif queue is self._backlog:
                queue.popleft()

    def slice(self, exchange: Exchange) -> bool:
        """One slice of it; True where more is left."""
        stream, before = exchange.stream, exchange.stream.transcript.deltas
        more = stream.decode(_SLICE_BYTES)
        if not exchange.over:
            if stream.ended:  # broken beyond repair
                self._owner.whole(exchange)
            elif stream.transcript.done_seen or (stream.transcript.deltas and not before):
                self._owner.set_timer(exchange)  # a shorter wait begins
        return more
