"""When requests arrive: sockets that keep the kernel's stamp of what they read, a door before aiohttp that notes it.

A request that waits behind others in a busy event loop has arrived all the same: its stamp is the kernel's, taken
when its bytes came in, not when its handler's turn came.
"""

import asyncio
import select
import selectors
import socket
import struct
import time
from typing import Any

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the socket module has no name for it
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)


class ExactSelector(selectors.DefaultSelector):
    """The default selector (epoll), with timers that fire on the microsecond."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events; epoll alone would round a timeout up to a whole millisecond."""
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)  # an epoll descriptor can itself be waited for
            timeout = 0
        return super().select(timeout)


class Arrivals:
    """Last arrival of bytes by transport, CLOCK_MONOTONIC ns."""

    def __init__(self) -> None:
        self.read_ns = 0  # arrival of what was read last; its transport hears of it before anything else is read
        self._last: dict[asyncio.BaseTransport, int] = {}

    def note(self, transport: asyncio.BaseTransport) -> None:
        """The bytes read last came in on this transport."""
        self._last[transport] = self.read_ns or time.monotonic_ns()

    def forget(self, transport: asyncio.BaseTransport) -> None:
        """The connection is gone."""
        self._last.pop(transport, None)

    def last(self, transport: asyncio.BaseTransport | None) -> int:
        """When the last bytes came in; now, where nobody noted it."""
        found = self._last.get(transport) if transport is not None else None
        return time.monotonic_ns() if found is None else found


class StampedListener(socket.socket):
    """A listening socket whose connections tell `arrivals` when the kernel had what they read."""

    arrivals: Arrivals

    def stamp(self) -> None:
        """Switch stamping on, for this socket and those it accepts. The kernel takes some milliseconds to begin."""
        self.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection."""
        plain, address = super().accept()
        connection = _StampedConnection(fileno=plain.detach())
        connection.arrivals = self.arrivals
        return connection, address


class _StampedConnection(socket.socket):
    arrivals: Arrivals

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As socket.recv, and the arrival is noted."""
        data, ancillary, _, _ = self.recvmsg(bufsize, _ANCILLARY_BYTES, flags)
        self.arrivals.read_ns = _arrival_ns(ancillary)
        return data


def _arrival_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The kernel's stamp on CLOCK_MONOTONIC; now, where there is none (the kernel switches stamping on lazily)."""
    now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(content) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(content)
            return min(now_ns, int(seconds) * 1_000_000_000 + int(nanoseconds) - (wall_ns - now_ns))
    return now_ns


class Door(asyncio.Protocol):
    """Stands before a protocol and notes when data arrives; everything else passes through."""

    def __init__(self, inner: asyncio.Protocol, arrivals: Arrivals) -> None:
        self._inner = inner
        self._arrivals = arrivals
        self._transport: asyncio.BaseTransport | None = None
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = transport
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Stamp first, parse later."""
        if self._transport is not None:
            self._arrivals.note(self._transport)
        self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._transport is not None:
            self._arrivals.forget(self._transport)
        self._inner.connection_lost(exc)
