"""What a tap saw: the segments of each connection that is followed, with the kernel's stamps. `segments.h` in Python.

`recvmsg` tells when the newest of the segments came that it took. A reader that was held up takes several at once, and
the times of the others are gone. A tap (`harness/load/engine/tap.py`) keeps the head of every packet, with a stamp of
its own, just before the socket gets it. A read is cut into its segments where the ring tells of all of them and agrees
with the socket about the last one, whose stamp stays the socket's; else it stays whole.

The ring is that of packet(7), TPACKET_V2 on a SOCK_DGRAM socket: each frame holds a packet from its IP header on.
"""

import struct
from collections import deque
from mmap import mmap

#: TP_STATUS_USER: the kernel has filled this frame and leaves it alone until 0 is written there.
_OURS = 1
_STATUS = struct.Struct("@I")
#: struct tpacket2_hdr: status, length, captured, where the link's and the IP header begin, the stamp
_FRAME = struct.Struct("@IIIHHII")
FEWEST_FRAME_BYTES = _FRAME.size
#: the two ports, sequence, acknowledged, where the data begins, flags
_TCP = struct.Struct("!HHIIBB")
_TCP_BYTES = 20
_SYN, _ACK = 0x02, 0x10
#: by version of IP: bytes of its header; where that holds the length, what is to be added, and the sender's address
_SHAPES = {4: (20, 2, 0, slice(12, 16)), 6: (40, 4, 40, slice(8, 24))}
_LENGTH = struct.Struct("!H")
_ROUND = 1 << 32
_SECOND = 1_000_000_000
#: A connection remembers so many segments that were not read; of more, nobody knows the times.
MOST_SEGMENTS = 8192
#: In place of a stamp: nobody knows.
UNKNOWN = 0
#: Between the stamps of tap and socket lie a few us: the way through the kernel.
NEAR_NS = 1_000_000

#: (bytes, wall ns)
Piece = tuple[int, int]


class Course:
    """What came in on one connection: where each segment ends, and when it came."""

    __slots__ = ("_due", "_ends", "_ring", "_sender", "_stop", "port")

    def __init__(self, ring: "Ring", port: int) -> None:
        self._ring = ring
        self.port = port  # on our side
        self._sender = b""  # its address and port; empty until its SYN-ACK has passed
        self._due = self._stop = 0  # sequence numbers: of the next byte to be read, and behind the last that came
        self._ends: deque[tuple[int, int]] = deque()

    def forget(self) -> None:
        """The connection will be closed: its port may be another's."""
        self._ring.forget(self)

    def note(self, sender: bytes, tcp: tuple[int, ...], size: int, stamp_ns: int) -> None:
        """A packet with `size` bytes for us has passed."""
        sequence, flags = tcp[2], tcp[5]
        if not self._sender:
            if flags & _SYN and flags & _ACK:
                self._sender = sender
                self._stop = (sequence + 1) % _ROUND
                self._due = (self._stop + self._due) % _ROUND
        elif size and sender == self._sender:
            if _ahead(sequence, self._stop) > 0:  # what lies between was lost, or comes later
                self._append(sequence, UNKNOWN)
            if _ahead(stop := (sequence + size) % _ROUND, self._stop) > 0:
                self._append(stop, stamp_ns)

    def pieces(self, size: int, stamp_ns: int) -> list[Piece]:
        """So many bytes were read, and the last of them came at `stamp_ns`: the segments, or all in one."""
        if not self._reaches(size):
            self._ring.drain()
        found = self._cut(size) if self._reaches(size) else []
        self._due = (self._due + size) % _ROUND
        while self._ends and _ahead(self._ends[0][0], self._due) <= 0:
            self._ends.popleft()
        if not found or not 0 <= stamp_ns - found[-1][1] <= NEAR_NS or any(stamp == UNKNOWN for _, stamp in found):
            return [(size, stamp_ns)]
        return [*found[:-1], (found[-1][0], stamp_ns)]

    def _append(self, stop: int, stamp_ns: int) -> None:
        self._stop = stop
        if _ahead(stop, self._due) <= 0:
            return  # was read before it was noted
        if len(self._ends) == MOST_SEGMENTS:
            self._ends.pop()
            stamp_ns = UNKNOWN
        self._ends.append((stop, stamp_ns))

    def _reaches(self, size: int) -> bool:
        """All of the next `size` bytes have been seen."""
        return bool(self._sender) and _ahead(self._stop, self._due) >= size

    def _cut(self, size: int) -> list[Piece]:
        found: list[Piece] = []
        begin = 0
        for stop, stamp_ns in self._ends:
            end = min(_ahead(stop, self._due), size)
            found.append((end - begin, stamp_ns))
            begin = end
            if begin == size:
                break
        return found


class Ring:
    """The frames of one tap, in the order of the packets, and the connections that are followed there."""

    def __init__(self, frames: mmap, frame_bytes: int) -> None:
        self._frames = frames
        self._frame_bytes = frame_bytes
        self._at = 0
        self._courses: dict[int, Course] = {}

    def follow(self, port: int) -> Course:
        """From its SYN-ACK on: the connection from this port of ours."""
        course = self._courses[port] = Course(self, port)
        return course

    def forget(self, course: Course) -> None:
        """This connection is closed."""
        if self._courses.get(course.port) is course:
            del self._courses[course.port]

    def drain(self) -> None:
        """Take in what has passed since; at most once around."""
        for _ in range(len(self._frames) // self._frame_bytes):
            status, _, captured, _, begin, seconds, nanoseconds = _FRAME.unpack_from(self._frames, self._at)
            if not status & _OURS:
                return
            packet = self._frames[self._at + begin : self._at + min(begin + captured, self._frame_bytes)]
            self._note(packet, seconds * _SECOND + nanoseconds)
            _STATUS.pack_into(self._frames, self._at, 0)
            self._at = (self._at + self._frame_bytes) % len(self._frames)

    def _note(self, packet: bytes, stamp_ns: int) -> None:
        shape = _SHAPES.get(packet[0] >> 4) if packet else None
        if shape is None or len(packet) < shape[0] + _TCP_BYTES:
            return
        header, length_at, length_more, address = shape
        tcp = _TCP.unpack_from(packet, header)
        course = self._courses.get(tcp[1])
        if course is not None:
            (length,) = _LENGTH.unpack_from(packet, length_at)
            size = length + length_more - header - (tcp[4] >> 4) * 4
            course.note(packet[address] + packet[header : header + 2], tcp, max(0, size), stamp_ns)


def _ahead(sequence: int, other: int) -> int:
    """How far one sequence number is behind (below 0) or ahead of another, the short way around."""
    return (sequence - other + _ROUND // 2) % _ROUND - _ROUND // 2
