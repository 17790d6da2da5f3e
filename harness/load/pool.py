"""Idle connections by target: given back after a whole answer, taken again if still quiet, dropped when old."""

from collections.abc import Iterator

from harness.load.calls import Target
from harness.load.connection import Connection

#: Below the 5 s after which uvicorn and others close: a request must not meet a closing server.
IDLE_NS = 4_000_000_000


class Pool:
    """Keep-alive connections, newest first."""

    def __init__(self) -> None:
        self._idle: dict[Target, list[Connection]] = {}

    def take(self, target: Target, now_ns: int) -> tuple[Connection | None, list[Connection]]:
        """A connection fit for another request, and those found dead on the way."""
        dead: list[Connection] = []
        idle = self._idle.get(target, [])
        while idle:
            connection = idle.pop()
            if now_ns - connection.idle_since_ns < IDLE_NS and connection.quiet():
                return connection, dead
            dead.append(connection)
        return None, dead

    def give(self, connection: Connection, now_ns: int) -> None:
        """Keep a connection for the next request to its target."""
        connection.exchange = None
        connection.idle_since_ns = now_ns
        self._idle.setdefault(connection.target, []).append(connection)

    def forget(self, connection: Connection) -> None:
        """This one is dead."""
        idle = self._idle.get(connection.target, [])
        if connection in idle:
            idle.remove(connection)

    def expired(self, now_ns: int) -> Iterator[Connection]:
        """Connections that have been idle for too long; they are out of the pool now."""
        for target, idle in list(self._idle.items()):
            while idle and now_ns - idle[0].idle_since_ns >= IDLE_NS:
                yield idle.pop(0)
            if not idle:
                del self._idle[target]
