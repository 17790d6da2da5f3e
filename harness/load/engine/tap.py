"""Tap: the heads of packets that come from the endpoints, each with the kernel's stamp, in a ring (packet(7)).

A socket tells the stamp of the newest segment of a read, and no other's. Where the system lets us listen (root, or
CAP_NET_RAW), the tap tells them all, and a reader that was held up loses nothing. It sees the IP and TCP heads of what
comes from the addresses that are called, and not a byte of what they carry. TRUEYIELD_TAP=off does without.
"""

import contextlib
import ctypes
import mmap
import os
import socket
import struct
from collections.abc import Collection, Iterable

from harness.load.calls import Address
from harness.load.hot import Reads

#: How this process can be told to do without.
VARIABLE = "TRUEYIELD_TAP"

# What Python's socket module lacks of linux/if_packet.h, linux/net_tstamp.h, linux/if_ether.h, asm-generic/socket.h
_SOL_PACKET, _RX_RING, _VERSION, _TIMESTAMP, _IGNORE_OUTGOING = 263, 5, 10, 17, 23
_TPACKET_V2 = 1
_BY_SOFTWARE = 1 << 4
_SO_ATTACH_FILTER = 26
#: All protocols: listeners to one alone may hear of a packet after its socket did.
_ETH_P_ALL = 3

#: Of a frame the kernel's own head takes 80 bytes, the heads of IPv6 and TCP without options 60.
_FRAME_BYTES = 144
_FRAMES_IN_BLOCK = 256  # so that blocks are whole pages, and frames follow each other through all of them
_BLOCKS = 128  # half a second of 60,000 segments/s
#: Of more addresses than these nobody listens to the rest.
_MOST_ADDRESSES = 64


class Tap:
    """Listens to those that it is told of, for the sockets that `reads` follows."""

    def __init__(self, reads: Reads) -> None:
        self._heard: dict[Address, None] = {}
        self._listener: socket.socket | None = None
        if os.environ.get(VARIABLE) != "off":
            with contextlib.suppress(OSError):  # not allowed: reads stay whole
                self._listener = _listener(reads)

    @property
    def open(self) -> bool:
        """It may listen."""
        return self._listener is not None

    def aim(self, addresses: Iterable[Address]) -> None:
        """From now on these, too. Before connecting to them."""
        new = [address for address in addresses if address not in self._heard][: _MOST_ADDRESSES - len(self._heard)]
        if self._listener is not None and new:
            with contextlib.suppress(OSError):  # no memory for a larger filter: the old one stays, until the next call
                _attach(self._listener, _program([*self._heard, *new]))
                self._heard.update(dict.fromkeys(new))

    def close(self) -> None:
        """Hear no more. May be called twice."""
        if self._listener is not None:
            self._listener.close()


def _listener(reads: Reads) -> socket.socket:
    """Hears everything, and tells nothing yet. Takes some 15 ms."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        reads.listen(_ring(listener), _FRAME_BYTES)
        _begin(listener)
    except OSError:
        listener.close()
        raise
    return listener


def _ring(listener: socket.socket) -> mmap.mmap:
    """Memory that the kernel fills, shared with us; nobody passes the filter yet."""
    _attach(listener, [_REFUSE])
    block_bytes = _FRAMES_IN_BLOCK * _FRAME_BYTES
    ring = struct.pack("@IIII", block_bytes, _BLOCKS, _FRAME_BYTES, _BLOCKS * _FRAMES_IN_BLOCK)
    listener.setsockopt(_SOL_PACKET, _VERSION, struct.pack("@i", _TPACKET_V2))
    listener.setsockopt(_SOL_PACKET, _TIMESTAMP, struct.pack("@i", _BY_SOFTWARE))
    listener.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, struct.pack("@i", 1))
    listener.setsockopt(_SOL_PACKET, _RX_RING, ring)
    return mmap.mmap(listener.fileno(), _BLOCKS * block_bytes)


def _begin(listener: socket.socket) -> None:
    """Bind to all interfaces, which Python's own `bind` cannot."""
    place = struct.pack("@HHiHBB8x", socket.AF_PACKET, socket.htons(_ETH_P_ALL), 0, 0, 0, 0)  # struct sockaddr_ll
    if ctypes.CDLL(None, use_errno=True).bind(listener.fileno(), place, len(place)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


# -- which packets: classic BPF, a list of (code, steps if true, steps if false, value)

_Step = tuple[int, int, int, int]
_BYTE, _HALF, _WORD, _IF_EQUAL, _TELL = 0x30, 0x28, 0x20, 0x15, 0x06
_REFUSE: _Step = (_TELL, 0, 0, 0)


def _program(heard: Collection[Address]) -> list[_Step]:
    """TCP from one of these addresses, in a packet without IP options: the two heads of it."""
    return [*(step for address in heard for step in _from(address)), _REFUSE]


def _from(address: Address) -> list[_Step]:
    """A packet from there is told of; any other goes on to the step behind these."""
    family, ip, port = address
    packed = socket.inet_pton(family, ip.partition("%")[0])
    if family == socket.AF_INET6:
        tests, source, head_bytes = [(_BYTE, 6, socket.IPPROTO_TCP)], 8, 40
    else:
        tests, source, head_bytes = [(_BYTE, 0, 0x45), (_BYTE, 9, socket.IPPROTO_TCP)], 12, 20
    tests += [(_WORD, source + at, *struct.unpack_from("!I", packed, at)) for at in range(0, len(packed), 4)]
    tests.append((_HALF, head_bytes, port))
    steps: list[_Step] = []
    for left, (kind, at, value) in zip(range(len(tests) - 1, -1, -1), tests, strict=True):
        steps += [(kind, 0, 0, at), (_IF_EQUAL, 0, 2 * left + 1, value)]
    return [*steps, (_TELL, 0, 0, head_bytes + 20)]


def _attach(listener: socket.socket, program: list[_Step]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *step) for step in program))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))
