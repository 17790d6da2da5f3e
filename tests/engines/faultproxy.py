"""A TCP proxy that does harm: `async with FaultProxy(host, port, Fault(...)) as proxy`, or in a thread of its own.

It knows bytes only: what it cuts, stalls and splits is whatever the server says.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to the bytes from the server; None: nothing of that kind. Counts are bytes of the answer."""

    cut_after: int | None = None  # FIN to the client
    reset_after: int | None = None  # RST to the client
    stall_after: int | None = None  # nothing more, connection open
    split: int | None = None  # so many bytes a write
    bytes_per_s: float | None = None
    latency_s: float = 0.0
    buffer: bool = False  # everything at once, at the end
    refuse_first: int = 0  # so many connections are reset at once


class FaultProxy:
    """One listening port in front of one server."""

    def __init__(self, host: str, port: int, fault: Fault) -> None:
        self._goal = (host, port)
        self._fault = fault
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.port = 0
        self.accepted = 0

    async def open(self) -> None:
        """Listen on a free loopback port."""
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self.accepted += 1
        upstream: asyncio.StreamWriter | None = None
        try:
            if self.accepted <= self._fault.refuse_first:
                return _reset(writer)
            server, upstream = await asyncio.open_connection(*self._goal)
            requests = asyncio.create_task(_copy(reader, upstream))
            try:
                await self._answer(server, writer)
            finally:
                requests.cancel()
                await asyncio.gather(requests, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (upstream, writer):
                if end is not None:
                    end.close()
            self._links.discard(task)

    async def _answer(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault, passed, held = self._fault, 0, b""
        while data := await server.read(65536):
            if fault.latency_s:
                await asyncio.sleep(fault.latency_s)
            if fault.buffer:
                held += data
                if not held.endswith(b"0\r\n\r\n"):
                    continue
                data, held = held, b""
            limit = _first_limit(fault)
            left = data if limit is None else data[: max(0, limit - passed)]
            await self._pass(left, writer)
            passed += len(left)
            if limit is not None and passed >= limit:
                return await self._end(writer)

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self._fault
        size = fault.split or (max(1, int(fault.bytes_per_s / 50)) if fault.bytes_per_s else len(data) or 1)
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])
            await writer.drain()
            await asyncio.sleep(size / fault.bytes_per_s if fault.bytes_per_s else 0)

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        if self._fault.reset_after is not None:
            _reset(writer)
        elif self._fault.stall_after is not None:
            await asyncio.sleep(3600)  # until the client goes or the proxy is closed


def _first_limit(fault: Fault) -> int | None:
    limits = [limit for limit in (fault.cut_after, fault.reset_after, fault.stall_after) if limit is not None]
    return min(limits) if limits else None


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextmanager
def faulty(host: str, port: int, fault: Fault) -> Iterator[FaultProxy]:
    """The proxy, running in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    proxy = FaultProxy(host, port, fault)
    try:
        asyncio.run_coroutine_threadsafe(proxy.open(), loop).result(10)
        yield proxy
        asyncio.run_coroutine_threadsafe(proxy.close(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
