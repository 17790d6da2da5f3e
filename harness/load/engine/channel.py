"""Messages between a worker and its engine over one socket pair: length-prefixed frames of msgpack.

worker -> engine   CALL (ticket, Call)   CANCEL (ticket, reason)   QUIT
engine -> worker   HELLO (clock)   FINISHED   WITHDRAWN (it never left)   LIVE
                   DRAINED (a big batch was taken; send what you held back)
"""

import os
import struct
from enum import IntEnum

import msgspec

from harness.load.calls import Call, CancelReason
from harness.load.hot import Form

_PREFIX = struct.Struct("<IB")
_READ_BYTES = 256 * 1024


class Kind(IntEnum):
    """What a frame holds."""

    CALL = 1
    CANCEL = 2
    QUIT = 3
    HELLO = 4
    FINISHED = 5
    LIVE = 6
    DRAINED = 7
    WITHDRAWN = 8


class Submission(msgspec.Struct, frozen=True, array_like=True):
    """A call under its ticket."""

    ticket: int
    call: Call


class Cancellation(msgspec.Struct, frozen=True, array_like=True):
    """End this call now; "withdrawn": only if it still waits for its time, and without a record."""

    ticket: int
    reason: CancelReason


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The engine is ready: whose clock stamps arrivals, how many descriptors it may open, how it reads and listens."""

    pid: int
    kernel_clock: bool
    descriptors: int
    hot_path: Form
    tap: bool


class Channel:
    """One end of the pair; never blocks."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.open = True
        self._encoder = msgspec.msgpack.Encoder()
        self._received = bytearray()
        self._unsent = bytearray()

    @property
    def unsent(self) -> int:
        """Bytes that the other side had no room for yet."""
        return len(self._unsent)

    def send(self, kind: Kind, message: object = None) -> None:
        """Put a message in line, and send as much as goes."""
        self.put(kind, message)
        self.flush()

    def put(self, kind: Kind, message: object = None) -> None:
        """Put a message in line."""
        body = self._encoder.encode(message)
        self._unsent += _PREFIX.pack(len(body), kind)
        self._unsent += body

    def flush(self) -> None:
        """Send as much as goes."""
        while self._unsent and self.open:
            try:
                with memoryview(self._unsent) as view:
                    sent = os.write(self.fd, view[: 1 << 20])
            except BlockingIOError:
                return
            except OSError:  # the other side is gone; the next read will say so
                self.open = False
                return
            del self._unsent[:sent]

    def receive(self) -> tuple[list[tuple[Kind, bytes]], int]:
        """Whole frames that have come, and how many bytes were read. `open` is False after the other side's end."""
        size = 0
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.open = False
                break
            size += len(data)
            self._received += data
            if len(data) < _READ_BYTES // 4 or size > 4 * _READ_BYTES:
                break
        return self._frames(), size

    def _frames(self) -> list[tuple[Kind, bytes]]:
        frames: list[tuple[Kind, bytes]] = []
        at, received = 0, self._received
        while len(received) - at >= _PREFIX.size:
            length, kind = _PREFIX.unpack_from(received, at)
            stop = at + _PREFIX.size + length
            if stop > len(received):
                break
            frames.append((Kind(kind), bytes(received[at + _PREFIX.size : stop])))
            at = stop
        del received[:at]
        return frames
