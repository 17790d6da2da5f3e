"""Reads are cut into their segments as a ring tells of them. The ring is filled by the test in place of a kernel."""

import mmap
import socket
import struct
from array import array
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wires import Bench, Wire, framed

from harness.load.hot import segments
from harness.load.hot.plain import LATER, SHARED

FRAME_BYTES, BEGIN = 144, 80
SYN_ACK, PUSH = 0x12, 0x18
MS = 1_000_000
SERVER = {4: bytes([10, 0, 0, 7]), 6: bytes(range(16))}


class Kernel:
    """Writes what passes into a ring, as packet(7) does; a packet that finds no free frame is lost."""

    def __init__(self, frames: int = 64) -> None:
        self.ring = mmap.mmap(-1, frames * FRAME_BYTES)
        self._at = 0

    def put(self, packet: bytes, stamp_ns: int, begin: int = BEGIN) -> bool:
        at = self._at
        if struct.unpack_from("@I", self.ring, at)[0]:
            return False
        self._at = (at + FRAME_BYTES) % len(self.ring)
        room = max(0, FRAME_BYTES - begin)
        self.ring[at + begin : at + begin + min(room, len(packet))] = packet[:room]
        where = (len(packet), len(packet), 0, begin, *divmod(stamp_ns, 10**9))
        struct.pack_into("@IIHHII", self.ring, at + 4, *where)
        struct.pack_into("@I", self.ring, at, 1)
        return True


class Server:
    """The far end as the wire shows it: its sequence numbers, in packets of IPv4 or IPv6."""

    def __init__(self, kernel: Kernel, wire: Wire, begin: int = 1000, version: int = 4) -> None:
        self._kernel = kernel
        self._to = wire.near.getsockname()[1]
        self._version = version
        self.sequence = begin

    def head(self, size: int, flags: int = PUSH, at: int | None = None, port: int = 443) -> bytes:
        where = (port, self._to, (self.sequence if at is None else at) % 2**32, 0, 8 << 4, flags, 0, 0, 0)
        tcp = struct.pack("!HHIIBBHHH", *where) + b"options, dozen"[:12]
        if self._version == 6:
            return struct.pack("!IHBB", 6 << 28, len(tcp) + size, 6, 64) + SERVER[6] + bytes(16) + tcp[:20]
        return struct.pack("!BBHIBBH", 0x45, 0, 20 + len(tcp) + size, 0, 64, 6, 0) + SERVER[4] + bytes(4) + tcp[:20]

    def accept(self, stamp_ns: int = 1) -> None:
        self._kernel.put(self.head(0, SYN_ACK), stamp_ns)
        self.sequence += 1

    def send(self, size: int, stamp_ns: int, seen: bool = True) -> bool:
        told = seen and self._kernel.put(self.head(size), stamp_ns)
        self.sequence += size
        return told


def stamp(wire: Wire) -> int:
    """When the newest of what waits in the socket came, as the kernel says (wall, ns)."""
    _, ancillary, _, _ = wire.near.recvmsg(1 << 16, socket.CMSG_SPACE(16), socket.MSG_PEEK)
    if not ancillary:
        pytest.skip("this kernel stamps no arrivals")
    seconds, nanoseconds = struct.unpack("@qq", ancillary[0][2])
    return int(seconds * 10**9 + nanoseconds)


def sent(wire: Wire, *parts: bytes) -> int:
    for part in parts:
        wire.far.sendall(part)
    return stamp(wire)


def ages(bench: Bench, newest: int, left: list[Any]) -> list[tuple[int, int]]:
    """(bytes, ns before the newest) of what was handed on."""
    return [(len(data), newest - bench.clock.offset_ns - arrival_ns) for _, data, arrival_ns, _ in left]


@pytest.mark.parametrize("version", [4, 6])
def test_each_segment_has_its_own_time(bench: Bench, version: int) -> None:
    kernel, taken = Kernel(), bench.opened()
    wire = bench.following(kernel.ring, FRAME_BYTES, taken)
    server = Server(kernel, wire, version=version)
    parts = [framed(b"one"), framed(b"two") + framed(b"three"), framed(b"four")]
    newest = sent(wire, *parts)
    server.accept()
    for part, age_ns in zip(parts, (40 * MS, 20 * MS, 1500), strict=True):
        server.send(len(part), newest - age_ns)
    _, left = bench.read()
    text, _, arrivals_ns, lags_ns = taken.hand_over()
    assert (left, text) == ([], b"onetwothreefour")
    ago = [newest - bench.clock.offset_ns - arrival_ns for arrival_ns in array("q", arrivals_ns)]
    assert ago == [40 * MS, 20 * MS, 20 * MS, 0]  # the socket's own word counts for the last
    late_ns, *others = array("q", lags_ns)
    assert late_ns > 40 * MS and others == [LATER, SHARED, LATER], "one read, as late as its oldest segment"


def test_what_comes_behind_a_part_that_was_handed_on_is_handed_on(bench: Bench) -> None:
    kernel, taken = Kernel(), bench.opened()
    wire = bench.following(kernel.ring, FRAME_BYTES, taken)
    server = Server(kernel, wire)
    parts = [framed(b"one"), b"something else", framed(b"two")]
    newest = sent(wire, *parts)
    server.accept()
    for index, part in enumerate(parts):
        server.send(len(part), newest - (2 - index) * MS)
    _, left = bench.read()
    assert [data for _, data, _, _ in left] == parts[1:] and taken.count == 1
    assert ages(bench, newest, left) == [(len(parts[1]), MS), (len(parts[2]), 0)]
    assert [read_ns - arrival_ns for _, _, arrival_ns, read_ns in left] == [LATER, LATER]


@pytest.mark.parametrize("age_ns", [-1, segments.NEAR_NS + 1, 10**12])
def test_a_ring_that_contradicts_the_socket_is_not_believed(bench: Bench, age_ns: int) -> None:
    kernel = Kernel()
    wire = bench.following(kernel.ring, FRAME_BYTES)
    server = Server(kernel, wire)
    newest = sent(wire, b"first", b"second")
    server.accept()
    server.send(5, newest - 20 * MS)
    server.send(6, newest - age_ns)
    assert ages(bench, newest, bench.read()[1]) == [(11, 0)]
    newest = sent(wire, b"third", b"fourth")
    server.send(5, newest - 20 * MS)
    server.send(6, newest - segments.NEAR_NS)
    assert ages(bench, newest, bench.read()[1]) == [(5, 20 * MS), (6, 0)]  # the next is believed again


def test_what_was_read_untrusted_is_behind_us(bench: Bench) -> None:
    """As in a handshake, whose packets nobody asks about, and are noted only later."""
    kernel = Kernel()
    wire = bench.following(kernel.ring, FRAME_BYTES)
    server = Server(kernel, wire)
    newest = sent(wire, b"hello", b"certificate")
    server.accept()
    server.send(5, newest)
    server.send(11, newest)
    assert [arrival_ns for _, _, arrival_ns, _ in bench.read(trusted=False)[1]] == [None]
    newest = sent(wire, b"a", b"bc")
    server.send(1, newest - 5 * MS)
    server.send(2, newest)
    assert ages(bench, newest, bench.read()[1]) == [(1, 5 * MS), (2, 0)]


def test_segments_come_late_twice_and_over_each_other(bench: Bench) -> None:
    kernel = Kernel()
    wire = bench.following(kernel.ring, FRAME_BYTES)
    server = Server(kernel, wire)
    begin = server.sequence + 1
    newest = sent(wire, b"a" * 100)
    server.accept()
    for at, size, age_ns in [(0, 10, 90), (0, 10, 80), (0, 20, 70), (15, 10, 60), (25, 75, 0)]:
        kernel.put(server.head(size, at=begin + at), newest - age_ns)
    assert ages(bench, newest, bench.read()[1]) == [(10, 90), (10, 70), (5, 60), (75, 0)]
    newest = sent(wire, b"b" * 30)
    for at, age_ns in [(110, 9), (100, 8), (120, 0)]:  # the second came first
        kernel.put(server.head(10, at=begin + at), newest - age_ns)
    assert ages(bench, newest, bench.read()[1]) == [(30, 0)]


def test_a_stranger_with_our_port_is_not_listened_to(bench: Bench) -> None:
    kernel = Kernel()
    wire = bench.following(kernel.ring, FRAME_BYTES)
    server = Server(kernel, wire)
    newest = sent(wire, b"ours", b"too")
    server.accept()
    kernel.put(server.head(0, SYN_ACK, port=80), newest)
    kernel.put(server.head(4, port=80), newest - 9 * MS)
    server.send(4, newest - 2 * MS)
    server.send(3, newest)
    assert ages(bench, newest, bench.read()[1]) == [(4, 2 * MS), (3, 0)]


def test_a_ring_full_of_strangers_is_emptied_now_and_then(bench: Bench) -> None:
    kernel = Kernel(frames=4)
    wire = bench.following(kernel.ring, FRAME_BYTES)
    server = Server(kernel, wire)
    for _ in range(2):
        assert [kernel.put(server.head(9, port=80), 1) for _ in range(5)] == [True] * 4 + [False]
        bench.reads.note()
    newest = sent(wire, b"a", b"b")
    server.accept()
    server.send(1, newest - MS)
    server.send(1, newest)
    assert ages(bench, newest, bench.read()[1]) == [(1, MS), (1, 0)]


def test_a_port_that_is_used_again_begins_anew(bench: Bench) -> None:
    kernel = Kernel()
    wire = bench.following(kernel.ring, FRAME_BYTES)
    old = Server(kernel, wire, begin=7)
    newest = sent(wire, b"old")
    old.accept()
    old.send(3, newest)
    assert ages(bench, newest, bench.read()[1]) == [(3, 0)]
    bench.reads.follow(wire.near)
    old.send(4, 2)
    server = Server(kernel, wire, begin=123456)
    newest = sent(wire, b"a", b"b")
    server.accept()
    server.send(1, newest - MS)
    server.send(1, newest)
    assert ages(bench, newest, bench.read()[1]) == [(1, MS), (1, 0)]
    bench.reads.drop(wire.near)
    server.send(1, newest)


def test_more_segments_than_anybody_remembers_are_one(bench: Bench) -> None:
    most = segments.MOST_SEGMENTS
    kernel = Kernel(frames=most + 2)
    wire = bench.following(kernel.ring, FRAME_BYTES)
    server = Server(kernel, wire)
    size = most + 1
    newest = sent(wire, b"a" * size)
    server.accept()
    for index in range(size):
        assert server.send(1, newest - (size - 1 - index))
    assert ages(bench, newest, bench.read()[1]) == [(size, 0)]
    newest = sent(wire, b"b" * 3, b"c")
    server.send(3, newest - MS)
    server.send(1, newest)
    assert ages(bench, newest, bench.read()[1]) == [(3, MS), (1, 0)]


_events = st.lists(
    st.tuples(
        st.sampled_from(["segment", "segment", "segment", "lost", "again", "noise", "short", "stranger", "read"]),
        st.integers(1, 400),
        st.integers(0, 10 * segments.NEAR_NS),
    ),
    max_size=40,
)
_begins = st.sampled_from([0, 1000, 2**31 - 300, 2**32 - 1, 2**32 - 300])


@settings(max_examples=150, deadline=None)
@given(_events, _begins, st.sampled_from([4, 6]), st.sampled_from([4, 64]))
@example([("segment", 1, 0), ("lost", 1, 0), ("read", 1, 0), ("segment", 2, 0), ("read", 1, 0)], 2**32 - 2, 4, 64)
def test_a_read_is_cut_exactly_where_all_is_known(
    form: ModuleType, events: list[tuple[str, int, int]], begin: int, version: int, frames: int
) -> None:
    bench, kernel = Bench(form), Kernel(frames)
    try:
        wire = bench.following(kernel.ring, FRAME_BYTES)
        server = Server(kernel, wire, begin, version)
        server.accept()
        waiting: list[tuple[int, int | None]] = []  # segments that were sent and not read: size, age if told
        for name, size, age_ns in [*events, ("read", 1, 0)]:
            if name == "read" and waiting:
                wire.far.sendall(b"x" * sum(size for size, _ in waiting))
                newest = stamp(wire)
                told = [(size, _tell(kernel, server, newest, size, age)) for size, age in waiting]
                assert ages(bench, newest, bench.read()[1]) == _pieces(told)
                waiting.clear()
            elif name == "segment":
                waiting.append((size, age_ns))
            elif name == "lost":
                waiting.append((size, None))
            elif name == "again":
                kernel.put(server.head(size, at=server.sequence - size), 1)
            elif name == "noise":
                kernel.put(struct.pack("!Q", size * age_ns) * 3, age_ns, begin=size)
            elif name == "short":
                kernel.put(server.head(size)[: size % 40], age_ns)
            elif name == "stranger":
                kernel.put(server.head(size, port=size), age_ns)
    finally:
        bench.close()


def _tell(kernel: Kernel, server: Server, newest: int, size: int, age_ns: int | None) -> int | None:
    told = server.send(size, newest - (age_ns or 0), seen=age_ns is not None)
    return age_ns if told else None


def _pieces(told: list[tuple[int, int | None]]) -> list[tuple[int, int]]:
    """What a read of these must become."""
    size, last = sum(size for size, _ in told), told[-1][1]
    if last is None or last > segments.NEAR_NS or any(age_ns is None for _, age_ns in told):
        return [(size, 0)]
    return [*((size, age_ns) for size, age_ns in told[:-1] if age_ns is not None), (told[-1][0], 0)]


def test_a_ring_that_cannot_be_written_is_refused(compiled: ModuleType) -> None:
    with pytest.raises(BufferError):
        compiled.Reads().listen(b"for reading only" * 100, FRAME_BYTES)


def test_nonsense_is_refused(form: ModuleType) -> None:
    reads = form.Reads()
    ring = mmap.mmap(-1, 4 * FRAME_BYTES)
    reads.listen(ring, FRAME_BYTES)
    with pytest.raises(ValueError, match="once"):
        reads.listen(ring, FRAME_BYTES)
    with pytest.raises(ValueError, match="frame"):
        form.Reads().listen(ring, 16)
    with pytest.raises((TypeError, AttributeError)):
        reads.follow("no socket")
