"""serve(): an Endpoint and an address -> a listening process, until SIGTERM or SIGINT."""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import web

from harness.errors import InputError, Mistake
from harness.simulator.arrivals import Door, ExactSelector, StampedListener
from harness.simulator.endpoint import Endpoint

_NICE = -10
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen. Port 0 picks a free one."""

    host: str
    port: int


def listen(address: Address) -> StampedListener:
    """A listening socket, before any event loop exists, so that a taken port is an ordinary input error."""
    try:
        family, kind, proto, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        listener = StampedListener(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError as error:
        found = f"{address.host}:{address.port} ({error.strerror or error})"
        raise InputError([Mistake("--host/--port", "", found, "an address of this machine and a free port")]) from None
    listener.stamp()
    listener.listen(4096)
    listener.setblocking(False)
    return listener


def serve(endpoint: Endpoint, listener: StampedListener, on_ready: Callable[[], None]) -> None:
    """Serve until a signal; requests still open are ended as aborted."""
    with contextlib.suppress(PermissionError):  # where we may: its truth must not wait for others
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(ExactSelector())) as runner:
        runner.run(_serve(endpoint, listener, on_ready))


def die_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent ends (Linux only); end now if it already has."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.asynccontextmanager
async def serving(endpoint: Endpoint, listener: StampedListener) -> AsyncIterator[None]:
    """Serve in the running loop until the block ends."""
    # handler_cancellation: a client that leaves must free its slot, as engines do
    runner = web.AppRunner(
        endpoint.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1, handle_signals=False
    )
    await runner.setup()
    listener.arrivals = endpoint.arrivals
    parser = runner.server
    assert parser is not None, "set up above"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Door(parser(), endpoint.arrivals), sock=listener, backlog=4096)
    try:
        yield
    finally:
        server.close()
        await runner.cleanup()


async def _serve(endpoint: Endpoint, listener: StampedListener, on_ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(endpoint, listener):
        # What lives now lives long: leave it out of the collections that would otherwise delay a step.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        on_ready()
        await stop.wait()
