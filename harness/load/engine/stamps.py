"""A readable socket -> its bytes and the time at which they arrived. Here, and nowhere else, a token gets its time.

The kernel stamps each segment as it arrives (SO_TIMESTAMPNS, CLOCK_REALTIME); `recvmsg` hands the stamp over with
the bytes, so that a busy reader cannot falsify it. The stamp is moved to CLOCK_MONOTONIC by an offset which is
renewed each tick. Where the kernel has no stamp, the user clock right after the read counts, and the record says so.
When one read takes several segments, the stamp is that of the newest; a tap knows the others' (`tap.py`).
"""

import socket
import struct
import time
from typing import Any

from harness.load.hot.plain import ANCILLARY_BYTES

#: Linux, all architectures with the generic socket numbers (not in Python's socket module).
SO_TIMESTAMPNS = 35

_unpack_timespec = struct.Struct("@qq").unpack
_SECOND = 1_000_000_000
#: Both clocks are slewed alike; when they part by more than this between two ticks, somebody set the wall clock.
_STEP_NS = 500_000
_SLOPPY_NS = 20_000

now_ns = time.monotonic_ns


class ArrivalClock:
    """Turns what `recvmsg` returns into a monotonic arrival time."""

    __slots__ = ("_keeper", "kernel", "offset_ns", "stepped")

    def __init__(self, kernel: bool = True) -> None:
        # One idle socket keeps stamping switched on: the kernel enables it lazily, some 10 ms after the first
        # socket asks, and segments that arrive before have no stamp.
        self._keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.kernel = False
        self.stepped = False  # the wall clock was set since the last tick: stamps of this tick mean nothing
        self.offset_ns = _wall_offset_ns()
        if kernel and self.watch(self._keeper):
            self.kernel = self._proves_itself()

    def watch(self, sock: socket.socket) -> bool:
        """Ask the kernel to stamp what arrives here. Before connecting, or the first segment has no stamp."""
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        except OSError:
            return False
        return True

    def renew(self) -> None:
        """Measure the offset between the two clocks again; once a tick."""
        offset_ns = _wall_offset_ns()
        self.stepped = abs(offset_ns - self.offset_ns) > _STEP_NS
        self.offset_ns = offset_ns

    def arrival_ns(self, ancillary: list[Any], read_ns: int) -> int | None:
        """Monotonic arrival of the bytes that came with `ancillary`; None where the kernel did not say."""
        if not ancillary or self.stepped:
            return None
        seconds, nanoseconds = _unpack_timespec(ancillary[0][2])
        arrived_ns: int = seconds * _SECOND + nanoseconds - self.offset_ns
        return arrived_ns if arrived_ns < read_ns else read_ns

    def close(self) -> None:
        """Give the idle socket back."""
        self._keeper.close()

    def _proves_itself(self) -> bool:
        """Send a byte to ourselves and look whether its stamp is plausible. Gives up after about 0.1 s."""
        try:
            with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as receiver:
                self.watch(receiver)
                receiver.connect(server.getsockname())
                sender, _ = server.accept()
                with sender:
                    return any(self._one_proof(sender, receiver) for _ in range(20))
        except OSError:
            return False

    def _one_proof(self, sender: socket.socket, receiver: socket.socket) -> bool:
        before_ns = now_ns()
        sender.sendall(b"x")
        _, ancillary, _, _ = receiver.recvmsg(1, ANCILLARY_BYTES)
        read_ns = now_ns()
        self.renew()
        arrived_ns = self.arrival_ns(ancillary, read_ns)
        if arrived_ns is not None and before_ns - _STEP_NS < arrived_ns <= read_ns:
            return True
        time.sleep(0.005)
        return False


def _wall_offset_ns() -> int:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC; read again where something came between the readings."""
    best_width, best = 1 << 62, 0
    for _ in range(4):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        if after - before < best_width:
            best_width, best = after - before, wall - (before + after) // 2
        if best_width < _SLOPPY_NS:
            break
    return best
