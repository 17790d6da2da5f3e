"""The hot path of the client in Python: what `compiled.c` does, and what it means."""

import re
import select
import socket
import struct
import time
from array import array
from collections.abc import Callable
from itertools import accumulate
from mmap import mmap
from typing import Any

from harness.load.hot.segments import FEWEST_FRAME_BYTES, UNKNOWN, Course, Piece, Ring

READ_BYTES = 64 * 1024
#: A run keeps so many bytes of text; then somebody must take them.
MOST_TEXT_BYTES = 64 * 1024
#: Lateness of a text that came in one read with the text before it.
SHARED = -1
#: Lateness of a segment that came in one read with the segment before it: a read is late once, by its oldest segment.
LATER = -2
#: So many sockets are read at a go.
MOST_EVENTS = 128
ANCILLARY_BYTES = socket.CMSG_SPACE(16)

_QUOTE, _BACKSLASH = b'"\\'
_CONTROLS = bytes(range(32))
#: Texts that were checked before: a model says the same few thousand all the time. Bounded.
_proper: set[bytes] = set()
_MOST_KNOWN = 8192
_LONGEST_KNOWN = 32
_SIZE_LINE = re.compile(rb"([1-9a-f][0-9a-f]{0,7})\r\n")
_SECOND = 1_000_000_000

_unpack_timespec = struct.Struct("@qq").unpack
_now_ns = time.monotonic_ns

#: (descriptor, bytes or what went wrong, monotonic arrival where the kernel told it, time of the read)
#: Where a segment came in one read with the one before it, the arrival plus `LATER` stands for the time of the read.
Left = tuple[int, bytes | OSError, int | None, int]


class Taken:
    """A run of reads that are each one HTTP chunk of `before`, a text, and `after`, or several: their texts and times.

    The text must be what a JSON string holds as it stands: UTF-8 without quote, backslash or control character.
    Closed until it is opened.
    """

    __slots__ = ("_after", "_before", "_heads", "_stamps", "_text_bytes", "_texts", "is_open")

    def __init__(self) -> None:
        self.is_open = False  # the next read may be taken
        self._before = self._after = b""
        self._heads: dict[int, tuple[bytes, int]] = {}  # see `_head`; sizes of one stream are few
        self._text_bytes: int
        self._empty()

    @property
    def count(self) -> int:
        """Texts in the run."""
        return len(self._texts)

    def open(self, before: bytes, after: bytes) -> None:
        """From now on reads with these surroundings are taken; `after` includes the end of the chunk."""
        self.is_open = True
        if before != self._before or after != self._after:
            self._before, self._after, self._heads = before, after, {}

    def close(self) -> None:
        """Take nothing."""
        self.is_open = False

    def take(self, read: bytes, arrival_ns: int, read_ns: int) -> bool:
        """Take a read into the run; False where it does not fit, or where the run is full."""
        if not self.is_open:
            return False
        head, length = self._heads.get(len(read)) or self._head(len(read))
        text = read.removeprefix(head).removesuffix(self._after)
        if len(text) != length:
            return self._take_several(read, arrival_ns, read_ns)
        if not (text in _proper or _is_proper(text)) or self._text_bytes + length > MOST_TEXT_BYTES:
            return False
        self._text_bytes += length
        self._texts.append(text)
        stamps = self._stamps
        stamps.append(arrival_ns)
        stamps.append(read_ns - arrival_ns)
        return True

    def _take_several(self, read: bytes, arrival_ns: int, read_ns: int) -> bool:
        """Chunks that came in one read: all of them are taken, or none."""
        texts: list[bytes] = []
        at, around = 0, len(self._before) + len(self._after)
        while at < len(read):
            line = _SIZE_LINE.match(read, at)
            if line is None:
                return False
            at = line.end() + int(line[1], 16) + 2
            chunk = read[line.end() : at]
            text = chunk.removeprefix(self._before).removesuffix(self._after)
            if at > len(read) or len(text) != len(chunk) - around or not _is_proper(text):
                return False
            texts.append(text)
        text_bytes = self._text_bytes + sum(map(len, texts))
        if not texts or text_bytes > MOST_TEXT_BYTES:
            return False
        self._text_bytes = text_bytes
        self._texts += texts
        for at in range(len(texts)):
            self._stamps.extend((arrival_ns, SHARED if at else read_ns - arrival_ns))
        return True

    def hand_over(self) -> tuple[bytes, bytes, bytes, bytes]:
        """All texts in one, where each ends (uint32), its arrival and its lateness (int64, ns; SHARED). Empties it."""
        ends = array("I", accumulate(map(len, self._texts)))
        stamps = self._stamps
        all_of_it = b"".join(self._texts), ends.tobytes(), stamps[::2].tobytes(), stamps[1::2].tobytes()
        self._empty()
        return all_of_it

    def _empty(self) -> None:
        self._texts: list[bytes] = []
        self._stamps = array("q")  # arrival and lateness of each, in turn: one place in memory, not two
        self._text_bytes = 0

    def _head(self, size: int) -> tuple[bytes, int]:
        """How a read of `size` bytes begins (its size line and what stands before the text), and how long its text is.

        The length is below zero where so few bytes have no room for a text.
        """
        if len(self._heads) > 512:
            self._heads.clear()
        self._heads[size] = b"", -1
        for digits in range(1, 9):
            chunk = size - digits - 4
            if chunk > 0 and len(b"%x" % chunk) == digits:
                head = b"%x\r\n%b" % (chunk, self._before)
                self._heads[size] = head, size - len(head) - len(self._after)
        return self._heads[size]


class Reads:
    """Reads sockets that are ready, once each, and gives every read to the `Taken` that it carries."""

    def __init__(self) -> None:
        self._sockets: dict[int, Callable[[int, int], tuple[bytes, list[Any], int, Any]]] = {}
        self._carried: dict[int, Taken] = {}
        self._ring: Ring | None = None
        self._courses: dict[int, Course] = {}

    def listen(self, frames: mmap, frame_bytes: int) -> None:
        """From now on the segments of what is followed are found in this ring."""
        if self._ring is not None or frame_bytes < FEWEST_FRAME_BYTES or frame_bytes % 4:
            raise ValueError("listen(frames, bytes of a frame), once")
        self._ring = Ring(frames, frame_bytes)

    def note(self) -> None:
        """Take in what was heard since; now and then, or a ring that nobody empties has no room for what matters."""
        if self._ring is not None:
            self._ring.drain()

    def follow(self, sock: socket.socket) -> None:
        """This socket has begun to connect: from its SYN-ACK on its segments are known, where somebody listens."""
        fd = sock.fileno()
        self._sockets[fd] = sock.recvmsg
        self._leave(fd)
        if self._ring is not None:
            self._courses[fd] = self._ring.follow(sock.getsockname()[1])

    def carry(self, sock: socket.socket, taken: Taken | None) -> None:
        """What is read from this socket goes to `taken` first; None: all of it is handed on."""
        fd = sock.fileno()
        self._sockets[fd] = sock.recvmsg
        if taken is None:
            self._carried.pop(fd, None)
        else:
            self._carried[fd] = taken

    def drop(self, sock: socket.socket) -> None:
        """This socket will be closed: another may get its number."""
        fd = sock.fileno()
        self._sockets.pop(fd, None)
        self._carried.pop(fd, None)
        self._leave(fd)

    def _leave(self, fd: int) -> None:
        if course := self._courses.pop(fd, None):
            course.forget()

    def read_ready(self, poller: "select.epoll", offset_ns: int, trusted: bool) -> tuple[int, list[Left]]:
        """Read at most 128 sockets that are ready; how many were, and what was not taken.

        `offset_ns` is the wall clock's minus the monotonic one's; not `trusted`: the kernel's stamps mean nothing now.
        """
        ready = poller.poll(0, MOST_EVENTS)
        left: list[Left] = []
        for fd, _ in ready:
            self._read_one(fd, offset_ns, trusted, left)
        return len(ready), left

    def read(self, sock: socket.socket, offset_ns: int, trusted: bool) -> list[Left]:
        """Read this one, if it has something; what was not taken."""
        left: list[Left] = []
        self._read_one(sock.fileno(), offset_ns, trusted, left)
        return left

    def _read_one(self, fd: int, offset_ns: int, trusted: bool, left: list[Left]) -> None:
        recvmsg = self._sockets.get(fd)
        if recvmsg is None:
            return
        try:
            data, ancillary, _, _ = recvmsg(READ_BYTES, ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            left.append((fd, error, None, _now_ns()))
            return
        read_ns = _now_ns()
        stamp_ns = _stamp(ancillary) if trusted else UNKNOWN
        pieces = self._pieces(fd, len(data), stamp_ns)
        if stamp_ns == UNKNOWN:
            left.append((fd, data, None, read_ns))
            return
        taken, at = self._carried.get(fd), 0
        for size, stamp_ns in pieces:
            piece = data if size == len(data) else data[at : at + size]
            arrival_ns = min(stamp_ns - offset_ns, read_ns)
            late_ns = arrival_ns + LATER if at else read_ns
            if taken is None or not taken.take(piece, arrival_ns, late_ns):
                left.append((fd, piece, arrival_ns, late_ns))
                taken = None  # what comes behind it must wait for it
            at += size

    def _pieces(self, fd: int, size: int, stamp_ns: int) -> list[Piece]:
        course = self._courses.get(fd)
        return [(size, stamp_ns)] if course is None or not size else course.pieces(size, stamp_ns)


def _stamp(ancillary: list[Any]) -> int:
    """Wall time of the newest segment as the kernel stamped it."""
    if not ancillary:
        return UNKNOWN
    seconds, nanoseconds = _unpack_timespec(ancillary[0][2])
    return int(seconds * _SECOND + nanoseconds)


def _is_proper(text: bytes) -> bool:
    """`text` is the inside of a JSON string, and stands for itself."""
    if not text or _QUOTE in text or _BACKSLASH in text or len(text.translate(None, _CONTROLS)) != len(text):
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    if len(text) <= _LONGEST_KNOWN and len(_proper) < _MOST_KNOWN:
        _proper.add(text)
    return True
