"""Connections of this process with itself, read by one form of the hot path."""

import select
import socket
from types import ModuleType
from typing import Any

from harness.load.engine.stamps import ArrivalClock
from harness.load.engine.tap import Tap

BEFORE, AFTER = b'data: {"content":"', b'"}\n\n\r\n'


def framed(text: bytes, before: bytes = BEFORE, after: bytes = AFTER) -> bytes:
    return b"%x\r\n" % (len(before + text + after) - 2) + before + text + after


class Wire:
    """Two ends of a TCP connection; the near one is read."""

    def __init__(self, clock: ArrivalClock, ip: str = "127.0.0.1", tap: Tap | None = None) -> None:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        with socket.create_server((ip, 0), family=family) as server:
            if tap is not None:
                tap.aim([(family, ip, server.getsockname()[1])])
            self.near = socket.socket(family)
            clock.watch(self.near)
            self.near.connect(server.getsockname())
            self.far, _ = server.accept()
        self.near.setblocking(False)
        self.far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self.near.close()
        self.far.close()


class Bench:
    """One form's Reads with its poller and its wires."""

    def __init__(self, form: ModuleType) -> None:
        self.form, self.clock, self.reads = form, ArrivalClock(), form.Reads()
        self.poller, self.wires = select.epoll(), []

    def wire(self, taken: Any = None, **more: Any) -> Wire:
        wire = Wire(self.clock, **more)
        self.wires.append(wire)
        self.poller.register(wire.near.fileno(), select.EPOLLIN)
        self.reads.carry(wire.near, taken)
        return wire

    def following(self, ring: Any, frame_bytes: int, taken: Any = None) -> Wire:
        """A wire whose segments are found in this ring."""
        self.reads.listen(ring, frame_bytes)
        wire = self.wire(taken)
        self.reads.follow(wire.near)
        return wire

    def opened(self) -> Any:
        taken = self.form.Taken()
        taken.open(BEFORE, AFTER)
        return taken

    def read(self, trusted: bool = True) -> tuple[int, list[Any]]:
        assert self.poller.poll(2, 1)
        self.clock.renew()
        return self.reads.read_ready(self.poller, self.clock.offset_ns, trusted and not self.clock.stepped)

    def close(self) -> None:
        for wire in self.wires:
            wire.close()
        self.poller.close()
        self.clock.close()
