"""When requests arrive: a selector that knows when it woke, and a door before aiohttp that stamps what comes in.

A request that waits behind others in a busy event loop has arrived all the same: its stamp is taken when the
kernel said that its bytes were there, not when its handler's turn came.
"""

import asyncio
import select
import selectors
import time
from collections.abc import Callable


class WakingSelector(selectors.DefaultSelector):
    """The default selector (epoll), with timers that fire on the microsecond and the time of the last waking."""

    woke_ns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events; epoll alone would round a timeout up to a whole millisecond."""
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)  # an epoll descriptor can itself be waited for
            timeout = 0
        ready = super().select(timeout)
        self.woke_ns = time.monotonic_ns()
        return ready


class Arrivals:
    """Last arrival of bytes by transport, CLOCK_MONOTONIC ns."""

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        self._last: dict[asyncio.BaseTransport, int] = {}

    def note(self, transport: asyncio.BaseTransport) -> None:
        """Bytes have come in."""
        self._last[transport] = self._now_ns()

    def forget(self, transport: asyncio.BaseTransport) -> None:
        """The connection is gone."""
        self._last.pop(transport, None)

    def last(self, transport: asyncio.BaseTransport | None) -> int:
        """When the last bytes came in; now, where nobody noted it."""
        found = self._last.get(transport) if transport is not None else None
        return time.monotonic_ns() if found is None else found


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
