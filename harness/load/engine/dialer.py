"""Exchanges that need a connection -> open ones: connects without blocking, shakes TLS hands in small doses."""

import errno
import os
import select
import ssl
from collections import deque
from typing import Protocol

from harness.load.engine.connection import Connection
from harness.load.engine.exchange import Exchange
from harness.load.engine.stamps import ArrivalClock, now_ns
from harness.load.hot import Reads
from harness.load.stream.verdict import CloseReason

_MOST_CONNECTING = 128
_HANDSHAKES_NS = 2_000_000
_READABLE = select.EPOLLIN
_WRITABLE = select.EPOLLOUT


class Owner(Protocol):
    """What the dialer tells the reader."""

    def ready(self, connection: Connection) -> None:
        """This connection is open."""

    def lose(self, connection: Connection, reason: CloseReason, at_ns: int, error: str | None) -> None:
        """This one never will be."""

    def set_timer(self, exchange: Exchange) -> None:
        """A deadline of this exchange may be nearer now."""


class Dialer:
    """Connections in the making."""

    def __init__(
        self,
        control: select.epoll,
        clock: ArrivalClock,
        reads: Reads,
        connections: dict[int, Connection],
        owner: Owner,
    ) -> None:
        self._control = control
        self._clock = clock
        self._reads = reads
        self._connections = connections
        self._owner = owner
        self._waiting: deque[Exchange] = deque()  # for their turn to connect
        self._connecting = 0
        self._handshakes: deque[Connection] = deque()

    @property
    def busy(self) -> bool:
        """There are handshakes to go on with, or somebody to connect for."""
        return bool(self._handshakes) or bool(self._waiting and self._connecting < _MOST_CONNECTING)

    def want(self, exchange: Exchange) -> None:
        """This exchange needs a fresh connection."""
        self._waiting.append(exchange)

    def forget(self, connection: Connection) -> None:
        """A connection is about to be closed."""
        if connection.state in {"connecting", "tunnelling", "handshaking"}:
            self._connecting -= 1

    def _open(self, connection: Connection) -> None:
        self._connecting -= 1
        assert connection.exchange is not None
        connection.exchange.stream.timeline.connect_end_ns = now_ns()
        self._owner.ready(connection)

    def dial(self) -> None:
        """Connect for those who wait, a bounded number at a time: a burst would overflow the server's backlog."""
        while self._waiting and self._connecting < _MOST_CONNECTING:
            exchange = self._waiting.popleft()
            if exchange.over:
                continue
            connection = Connection(exchange.call.target)
            connection.exchange, exchange.connection = exchange, connection
            timeline = exchange.stream.timeline
            timeline.connection, timeline.connect_begin_ns = "fresh", now_ns()
            self._owner.set_timer(exchange)
            self._connecting += 1
            self._try_address(connection)

    def _try_address(self, connection: Connection) -> None:
        if connection.connect(self._clock):
            self._connections[connection.fd] = connection
            self._reads.follow(connection.sock)
            self._control.register(connection.fd, _WRITABLE)
        else:
            self._owner.lose(connection, "connect_error", now_ns(), connection.failure)

    def advance(self, connection: Connection, mask: int) -> None:
        """Something happened on a connection in the making."""
        if connection.state == "connecting":
            self._connected(connection)
            return
        if mask & _WRITABLE and connection.flush():
            self._control.modify(connection.fd, _READABLE)
        if mask & ~_WRITABLE:
            if connection.state == "tunnelling":
                self._tunnel(connection)
            else:
                self._handshakes.append(connection)

    def _tunnel(self, connection: Connection) -> None:
        try:
            data = self._heard(connection)
            if data == b"":
                raise OSError(f"{connection.failure_place} closed the connection before the tunnel stood")
            if data and connection.tunnel(data):
                self._await(connection)
        except OSError as error:
            self._owner.lose(connection, "connect_error", now_ns(), str(error))

    def _heard(self, connection: Connection) -> bytes | None:
        """What a connection in the making says, b"" at its end, None where it says nothing."""
        for _, data, _, _ in self._reads.read(connection.sock, 0, False):
            if isinstance(data, OSError):
                raise data
            return data
        return None

    def _await(self, connection: Connection) -> None:
        """Something was said: send the rest of it, and wait for the answer."""
        self._control.modify(connection.fd, _READABLE | (_WRITABLE if connection.unsent else 0))

    def _connected(self, connection: Connection) -> None:
        try:
            code = connection.connected()
        except OSError as error:
            self._owner.lose(connection, "connect_error", now_ns(), f"TLS: {error}")
            return
        if code == errno.ECONNRESET:  # who does not listen refuses: this one took the connection and dropped it
            self._owner.lose(connection, "reset", now_ns(), f"{connection.failure_place}: {os.strerror(code)}")
        elif code:
            del self._connections[connection.fd]
            self._reads.drop(connection.sock)
            connection.fail(code)
            self._try_address(connection)
        elif connection.state in {"tunnelling", "handshaking"}:
            self._await(connection)
        else:
            self._open(connection)

    def shake_hands(self) -> None:
        """TLS handshakes cost about a millisecond each: two milliseconds of them a turn."""
        stop_ns = now_ns() + _HANDSHAKES_NS
        while self._handshakes and now_ns() < stop_ns:
            connection = self._handshakes.popleft()
            if connection.state != "handshaking":
                continue
            try:
                data = self._heard(connection)
                if data == b"":
                    raise ssl.SSLError("the server closed the connection during the handshake")
                if data and connection.handshake(data):
                    self._open(connection)
            except OSError as error:
                self._owner.lose(connection, "connect_error", now_ns(), f"{connection.target.host}: TLS: {error}")
