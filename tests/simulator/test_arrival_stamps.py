"""Arrival stamps: taken when the kernel had the bytes, passed through to the protocol behind the door."""

import asyncio
import time

from harness.simulator.arrivals import Arrivals, Door, ExactSelector
from harness.simulator.server import Address, listen


class Inner(asyncio.Protocol):
    """Remembers what passed through."""

    def __init__(self):
        self.calls = []

    def connection_made(self, transport):
        self.calls.append(("made", transport))

    def data_received(self, data):
        self.calls.append(("data", data))

    def eof_received(self):
        self.calls.append(("eof", None))

    def pause_writing(self):
        self.calls.append(("pause", None))

    def resume_writing(self):
        self.calls.append(("resume", None))

    def connection_lost(self, exc):
        self.calls.append(("lost", exc))


def test_the_door_stamps_data_and_lets_everything_through():
    arrivals, inner, transport = Arrivals(), Inner(), asyncio.Transport()
    door = Door(inner, arrivals)
    door.connection_made(transport)
    arrivals.read_ns = 100
    door.data_received(b"a")
    assert arrivals.last(transport) == 100
    arrivals.read_ns = 250
    door.data_received(b"b")
    assert arrivals.last(transport) == 250
    door.pause_writing()
    door.resume_writing()
    door.eof_received()
    door.connection_lost(None)
    assert arrivals.last(transport) > 250, "forgotten"
    assert [name for name, _ in inner.calls] == ["made", "data", "data", "pause", "resume", "eof", "lost"]


def test_an_unknown_transport_has_arrived_now():
    before = time.monotonic_ns()
    for transport in (None, asyncio.Transport()):
        assert before <= Arrivals().last(transport) <= time.monotonic_ns()


def test_requests_that_wait_for_a_busy_loop_keep_the_kernels_stamp():
    arrivals = Arrivals()
    listener = listen(Address(host="127.0.0.1", port=0))
    listener.arrivals = arrivals

    class Slow(Inner):
        def data_received(self, data):
            super().data_received(data)
            until = time.monotonic_ns() + 20_000_000
            while time.monotonic_ns() < until:  # whoever is read after this one waits 20 ms
                pass

    async def main():
        loop, doors = asyncio.get_running_loop(), []

        def door():
            doors.append(Door(Slow(), arrivals))
            return doors[-1]

        server = await loop.create_server(door, sock=listener)
        port = server.sockets[0].getsockname()[1]
        writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(3)]
        while len(doors) < 3:
            await asyncio.sleep(0)
        for writer in writers:
            writer.write(b"warm")  # the kernel switches stamping on lazily
        await asyncio.sleep(0.2)
        for writer in writers:
            writer.write(b"x")
        while not all(door._inner.calls[-1] == ("data", b"x") for door in doors):
            await asyncio.sleep(0)
        stamps = [arrivals.last(door._transport) for door in doors]
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert max(stamps) - min(stamps) < 15_000_000, "not one after the other"

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(ExactSelector())) as runner:
        runner.run(main())


def test_timers_fire_within_their_millisecond():
    """epoll alone rounds up to whole milliseconds: the best of some tries would be late by most of one."""
    late = []

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(30):
            fired = loop.create_future()
            due = loop.time() + 0.00105
            loop.call_at(due, fired.set_result, None)
            await fired
            late.append(loop.time() - due)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(ExactSelector())) as runner:
        runner.run(main())
    assert min(late) < 0.0005
