"""A small server on raw sockets, one thread a connection: it does exactly what a script says, and notes when."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

from stream_corpus import DONE, ROLE, chunk, event, said, usage

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def frame(part: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(part), part)


class Visit:
    """One request on one connection."""

    def __init__(self, server: "RawServer", sock: socket.socket, request: bytes) -> None:
        self.server, self.sock, self.request = server, sock, request
        self.arrived_ns = time.monotonic_ns()
        self.delta_ns: list[int] = []

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def delta(self, text: str) -> None:
        part = frame(said(text)[0])
        self.delta_ns.append(time.monotonic_ns())
        self.send(part)

    def finish(self, tokens: int) -> None:
        self.send(frame(event(chunk({}, "stop"))) + frame(event(chunk(usage=usage(3, tokens)))) + frame(DONE) + LAST)

    def hang(self) -> None:
        """Wait until the client goes away."""
        while self.sock.recv(1000):
            pass
        self.server.client_closed.set()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


def answer(visit: Visit, deltas: int = 5, gap_s: float = 0.005) -> None:
    visit.send(HEAD + frame(ROLE))
    for number in range(deltas):
        time.sleep(gap_s)
        visit.delta(f"w{number} ")
    visit.finish(deltas)


class RawServer:
    """Serves until closed; `visits` is what happened."""

    def __init__(self, script: Callable[[Visit], None] = answer, context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.visits: list[Visit] = []
        self.client_closed = threading.Event()
        self.connections = 0
        self._context = context
        self._socks: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://localhost:{self.port}/v1"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for sock in self._socks:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        self._socks.append(sock)
        with contextlib.suppress(OSError):
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._socks.append(sock)
            for request in _requests(sock):
                visit = Visit(self, sock, request)
                self.visits.append(visit)
                self.script(visit)
        sock.close()


def _requests(sock: socket.socket) -> Iterator[bytes]:
    while True:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := sock.recv(65536)):
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        size = int(sizes[0].partition(b":")[2]) if sizes else 0
        while len(body) < size:
            if not (piece := sock.recv(65536)):
                return
            body += piece
        yield head + b"\r\n\r\n" + body
