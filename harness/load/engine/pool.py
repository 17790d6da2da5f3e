"""Idle connections by target: given back after a whole answer, taken again if still quiet, dropped when old."""

from collections.abc import Iterator

from harness.load.calls import Target
from harness.load.engine.connection import Connection

#: Below the 5 s after which uvicorn and others close: a request must not meet a closing server.
IDLE_NS = 4_000_000_000
#: Some servers promise keep-alive and close all the same, at once (llama.cpp after a streamed answer). Until one
#: idle connection has outlived this, none is used again: a request that meets the closing would be cut, and the
#: failure would be ours.
PROBATION_NS = 20_000_000


class Pool:
    """Keep-alive connections, newest first."""

    def __init__(self) -> None:
        self._idle: dict[Target, list[Connection]] = {}
        self._keepers: dict[Target, bool] = {}  # targets that were seen to keep connections, or to close them

    def take(self, target: Target, now_ns: int) -> tuple[Connection | None, list[Connection]]:
        """A connection fit for another request, and those found dead on the way."""
        dead: list[Connection] = []
        idle = self._idle.get(target, [])
        if target not in self._keepers and not self._outlived(idle, now_ns):
            return None, dead
        while idle:
            connection = idle.pop()
            if now_ns - connection.idle_since_ns < IDLE_NS and connection.quiet():
                return connection, dead
            dead.append(connection)
        return None, dead

    def _outlived(self, idle: list[Connection], now_ns: int) -> bool:
        """The oldest idle connection has passed its probation, so this target keeps what it promises."""
        if not idle or now_ns - idle[0].idle_since_ns < PROBATION_NS or not idle[0].quiet():
            return False
        self._keepers[idle[0].target] = True
        return True

    def give(self, connection: Connection, now_ns: int) -> bool:
        """Keep a connection for the next request to its target; False: this target closes them, drop it."""
        connection.exchange = None
        connection.idle_since_ns = now_ns
        if not self._keepers.get(connection.target, True):
            return False
        self._idle.setdefault(connection.target, []).append(connection)
        return True

    def forget(self, connection: Connection, now_ns: int) -> None:
        """This one is dead."""
        idle = self._idle.get(connection.target, [])
        if connection in idle:
            idle.remove(connection)
            self._learn(connection, now_ns)

    def expired(self, now_ns: int) -> Iterator[Connection]:
        """Connections that have been idle for too long; they are out of the pool now."""
        for target, idle in list(self._idle.items()):
            while idle and now_ns - idle[0].idle_since_ns >= IDLE_NS:
                yield idle.pop(0)
            if not idle:
                del self._idle[target]

    def _learn(self, connection: Connection, now_ns: int) -> None:
        """A connection died while it was idle: at once, and before any other lived on, tells what the target does."""
        if now_ns - connection.idle_since_ns < PROBATION_NS:
            self._keepers.setdefault(connection.target, False)
