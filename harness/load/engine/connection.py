"""One socket of the engine: connects without blocking, sends a request, hands over what arrives with its stamp."""

import errno
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Literal

from harness.load.calls import Target
from harness.load.engine.stamps import ArrivalClock, now_ns
from harness.load.engine.tls import Tls, context_for
from harness.load.stream.head import HeadReader, ProtocolError

if TYPE_CHECKING:
    from harness.load.engine.exchange import Exchange

State = Literal["connecting", "tunnelling", "handshaking", "open", "closed"]


class Connection:
    """A connection to one target, and the exchange that it carries at the moment (None: idle)."""

    __slots__ = (
        "_addresses", "_failure", "_tunnel", "_unsent", "exchange", "fd", "idle_since_ns", "sock", "state", "target",
        "tls",
    )  # fmt: skip

    def __init__(self, target: Target) -> None:
        self.target = target
        self.state: State = "connecting"
        self.tls: Tls | None = None
        self.exchange: Exchange | None = None
        self.fd = -1
        self.idle_since_ns = 0
        self._addresses = deque(target.addresses)
        self._failure = "no address is known"
        self._unsent = memoryview(b"")
        self._tunnel = HeadReader()

    # -- opening

    def connect(self, clock: ArrivalClock) -> bool:
        """Begin with the next address; False when none is left (`failure` says why)."""
        while self._addresses:
            family, ip, port = self._addresses.popleft()
            try:
                self._open_socket(family, clock)
                code = self.sock.connect_ex((ip, port))
            except OSError as error:
                code = error.errno or errno.EIO
            if code in {0, errno.EINPROGRESS}:
                return True
            self.fail(code)
        return False

    def _open_socket(self, family: int, clock: ArrivalClock) -> None:
        self.sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.fd = self.sock.fileno()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if clock.kernel:
            clock.watch(self.sock)

    def connected(self) -> int:
        """The errno of the attempt, 0 where it holds; TLS then begins its handshake."""
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and self.target.tls and self.target.proxy is not None:
            self.state = "tunnelling"
            self._queue(_connect_request(self.target))
        elif code == 0 and self.target.tls:
            self._begin_tls()
        elif code == 0:
            self.state = "open"
        return code

    def _begin_tls(self) -> None:
        self.state = "handshaking"
        self.tls = Tls(context_for(self.target.ca_file), self.target.host)
        self.handshake(b"")

    def tunnel(self, data: bytes) -> bool:
        """The proxy's answer to CONNECT; True when TLS has begun behind it. Raises OSError where it refuses."""
        try:
            found = self._tunnel.feed(data)
        except ProtocolError as error:
            raise OSError(f"{self.failure_place}: {error}") from None
        if found is None:
            return False
        head, surplus = found
        if not 200 <= head.status < 300 or surplus:
            raise OSError(f"{self.failure_place} refused the tunnel: HTTP {head.status}")
        self._begin_tls()
        return True

    def fail(self, code: int) -> None:
        """Note why an address did not answer."""
        self._failure = os.strerror(code)
        if self.fd >= 0:
            self.sock.close()
            self.fd = -1

    @property
    def failure(self) -> str:
        """Why there is no connection."""
        return f"{self.failure_place}: {self._failure}"

    @property
    def failure_place(self) -> str:
        """Whom we tried to reach: the proxy, where there is one."""
        proxy = self.target.proxy
        return f"{self.target.host}:{self.target.port}" if proxy is None else f"proxy {proxy.host}:{proxy.port}"

    def handshake(self, ciphertext: bytes) -> bool:
        """One step of the TLS handshake; True when done. Raises OSError (ssl.SSLError is one)."""
        assert self.tls is not None
        try:
            done = self.tls.handshake(ciphertext)
        finally:
            self._queue(self.tls.to_send())  # also the alert that tells the server why we go
        if done:
            self.state = "open"
        return done

    # -- sending

    def request(self, payload: bytes) -> None:
        """Head and body in one send. Stamps go to the exchange's timeline."""
        self._queue(payload if self.tls is None else self.tls.encrypt(payload))

    def _queue(self, data: bytes) -> None:
        if data:
            self._unsent = memoryview(bytes(self._unsent) + data if self._unsent else data)
            self.flush()

    def flush(self) -> bool:
        """Send as much as goes; True when nothing is left.

        sent_last_ns is taken right before the send that takes the last byte: the reply cannot precede it, and a
        pause of ours inside that call would otherwise make TTFT look shorter than it was.
        """
        timeline = self.exchange.stream.timeline if self.exchange is not None and self.state == "open" else None
        while self._unsent:
            before_ns = now_ns()
            try:
                sent = self.sock.send(self._unsent)
            except BlockingIOError:
                return False
            except OSError:
                # The server closed early. It may have answered all the same (413): reading will tell.
                self._unsent = memoryview(b"")
                return True
            if timeline is not None:
                timeline.sent_first_ns = timeline.sent_first_ns or before_ns
                timeline.sent_last_ns = before_ns
            self._unsent = self._unsent[sent:]
        return True

    @property
    def unsent(self) -> int:
        """Bytes still to be sent."""
        return len(self._unsent)

    # -- the rest

    def decrypt(self, data: bytes) -> bytes:
        """What these bytes say, b"" while a TLS record is unfinished. Raises OSError (ssl.SSLError is one)."""
        assert self.tls is not None
        plain = self.tls.decrypt(data)
        self._queue(self.tls.to_send())
        return plain

    def quiet(self) -> bool:
        """An idle connection from which nothing has come: neither its end nor a stray byte."""
        try:
            self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close; the server sees it and stops."""
        self.state = "closed"
        self.exchange = None
        if self.fd >= 0:
            self.sock.close()


def _connect_request(target: Target) -> bytes:
    lines = [f"CONNECT {target.authority} HTTP/1.1", f"Host: {target.authority}"]
    if target.proxy is not None and target.proxy.authorization:
        lines.append(f"Proxy-Authorization: {target.proxy.authorization}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
