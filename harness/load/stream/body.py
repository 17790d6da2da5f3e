"""Wire bytes of a response body -> payload bytes, and the exact place where the body ends.

Three framings (chunked, by length, until EOF), one method: `feed(data)` returns the payload in it. The caller
looks at `ended`, and at `surplus`: bytes behind the end, which make a connection unfit for another request.
"""

import re
import zlib
from typing import Protocol

from harness.load.stream.head import ProtocolError, ResponseHead

_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\Z")
_MAX_SIZE_LINE = 4096
_MAX_TRAILER_BYTES = 64 * 1024
_INFLATE_STEP = 256 * 1024
#: A compressed body may not grow beyond this: a stream of tokens never does, a bomb would.
_MAX_INFLATED = 256 * 1024 * 1024

#: Chunk sizes repeat all the time; looking one up is cheaper than parsing it. Bounded by the guard in `_size`.
_sizes: dict[bytes, int] = {}


class Body(Protocol):
    """What the stream needs to know of a framing."""

    ended: bool
    surplus: bool
    error: str | None  # what broke the framing; payload before it was still returned

    @property
    def between_chunks(self) -> bool:
        """The next byte begins a chunk of its own (never so without chunks)."""

    def feed(self, data: bytes) -> bytes:
        """Payload in these wire bytes."""


class ChunkedBody:
    """Transfer-Encoding: chunked. Sizes, chunks and CRLFs may be split anywhere; trailers are skipped."""

    __slots__ = ("_begun", "_left", "_trailer_bytes", "ended", "error", "surplus")

    _IN_TRAILERS = -1

    def __init__(self) -> None:
        self.ended = False
        self.surplus = False
        self.error: str | None = None
        self._begun = b""  # an unfinished size line, CRLF or trailer line
        self._left = 0  # bytes of the current chunk still to come, its CRLF included; 0 = a size line is next
        self._trailer_bytes = 0

    @property
    def between_chunks(self) -> bool:
        """The next byte begins a size line."""
        return self._left == 0 and not self._begun and not self.ended

    def feed(self, data: bytes) -> bytes:
        """Payload in `data`; the common case, whole chunks in one read, does no copying beyond the slices."""
        if self.between_chunks:  # nearly every read is one whole chunk
            end = data.find(b"\r\n")
            if _sizes.get(data[:end]) == len(data) - end - 4 > 0 and data[-2:] == b"\r\n":
                return data[end + 2 : -2]
        pieces: list[bytes] = []
        at, size = 0, len(data)
        try:
            while at < size and not self.ended:
                at = self._take_chunk(data, at, pieces) if self._left > 0 else self._take_line(data, at)
        except ProtocolError as error:
            self.error = str(error)
        else:
            self.surplus = self.surplus or at < size
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_chunk(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        stop = at + self._left
        if stop <= len(data):  # the rest of the chunk and its CRLF are here
            if self._left > 2:
                pieces.append(data[at : stop - 2])
                at = stop - 2
            if data[at:stop] != b"\r\n"[-self._left :]:
                raise ProtocolError("chunk does not end with CRLF")
            self._left = 0
            return stop
        here = len(data) - at
        payload = min(here, self._left - 2)
        if payload > 0:
            pieces.append(data[at : at + payload])
        if payload < here and data[at + payload :] != b"\r":
            raise ProtocolError("chunk does not end with CRLF")
        self._left -= here
        return len(data)

    def _take_line(self, data: bytes, at: int) -> int:
        if self._begun:
            return self._take_split_line(data, at)
        end = data.find(b"\r\n", at, at + _MAX_SIZE_LINE)
        if end < 0:
            self._keep(data[at:])
            return len(data)
        self._line(data[at:end])
        return end + 2

    def _take_split_line(self, data: bytes, at: int) -> int:
        line = self._begun + data[at : at + _MAX_SIZE_LINE]
        end = line.find(b"\r\n")
        if end < 0:
            self._keep(line)
            return len(data)
        at += end + 2 - len(self._begun)
        self._begun = b""
        self._line(line[:end])
        return at

    def _keep(self, begun: bytes) -> None:
        if len(begun) >= _MAX_SIZE_LINE:
            raise ProtocolError("chunk size line too long")
        self._begun = begun

    def _line(self, line: bytes) -> None:
        if self._left == self._IN_TRAILERS:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > _MAX_TRAILER_BYTES:
                raise ProtocolError("trailers too long")
            self.ended = not line
            return
        size = _sizes.get(line)
        if size is None:
            size = _size(line)
        self._left = size + 2 if size else self._IN_TRAILERS


def _size(line: bytes) -> int:
    matched = _SIZE_LINE.match(line)
    if not matched:
        raise ProtocolError(f"bad chunk size: {line[:40]!r}")
    size = int(matched[1], 16)
    if len(line) <= 4 and len(_sizes) < 8192:
        _sizes[line] = size
    return size


class LengthBody:
    """Content-Length: so many bytes, then the end."""

    __slots__ = ("_left", "ended", "error", "surplus")

    between_chunks = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0
        self.surplus = False
        self.error: str | None = None

    def feed(self, data: bytes) -> bytes:
        """Payload in `data`: all of it, up to the announced length."""
        payload = data[: self._left]
        self._left -= len(payload)
        self.ended = self._left == 0
        self.surplus = self.surplus or len(payload) < len(data)
        return payload


class EofBody:
    """No framing: the body ends with the connection."""

    __slots__ = ("ended", "error", "surplus")

    between_chunks = False

    def __init__(self) -> None:
        self.ended = False
        self.surplus = False
        self.error: str | None = None

    def feed(self, data: bytes) -> bytes:
        """Payload in `data`: all of it."""
        return data


class Inflater:
    """Content-Encoding gzip or deflate, sent although we asked for identity; output bounded per call and in all."""

    __slots__ = ("_total", "_zlib", "coding")

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, whichever the bytes are
        self._total = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Inflated pieces, each at most 256 KiB."""
        pieces: list[bytes] = []
        try:
            while data:
                piece = self._zlib.decompress(data, _INFLATE_STEP)
                self._total += len(piece)
                if self._total > _MAX_INFLATED:
                    raise ProtocolError(f"{self.coding} body inflates beyond {_MAX_INFLATED} bytes")
                if piece:
                    pieces.append(piece)
                data = self._zlib.unconsumed_tail
        except zlib.error as error:
            raise ProtocolError(f"bad {self.coding} body: {error}") from None
        return pieces


def body_for(head: ResponseHead) -> Body:
    """The body that a head announces."""
    if head.framing == "chunked":
        return ChunkedBody()
    return LengthBody(head.length) if head.framing == "length" else EofBody()


def inflater_for(head: ResponseHead) -> Inflater | None:
    """None for plain bodies; an encoding that we did not offer and cannot read is a protocol error."""
    coding = head.headers.get("content-encoding", "identity").strip().lower()
    if coding in {"", "identity"}:
        return None
    if coding in {"gzip", "x-gzip", "deflate"}:
        return Inflater(coding)
    raise ProtocolError(f"content-encoding {coding[:40]!r} was not asked for and cannot be read")
