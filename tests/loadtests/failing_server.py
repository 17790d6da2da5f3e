"""A server that fails 3 of every 10 requests, each third in another way, and leaves what comes after 100 open."""

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWERED, FAILURES = 100, 30
#: By the number at the end of a request's id.
KINDS = {1: "http_error", 4: "stream_error", 8: "cut"}
DELTAS, GAP_S = 5, 0.01


class FailingServer:
    """`with FailingServer() as server`: serves on `server.url`; the preflight call is answered."""

    def __init__(self) -> None:
        self.ending = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.ending = self.ending  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "FailingServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        load = re.fullmatch(r".+-w\d+-(\d+)", self.headers["X-Request-Id"] or "")
        place = int(load[1]) if load else 0
        if place >= ANSWERED:
            self.server.ending.wait(60)  # type: ignore[attr-defined]
            self.close_connection = True
            return
        kind = KINDS.get(place % 10)
        if kind == "http_error":
            self._head(500, "application/json", f"Content-Length: {len(_REFUSAL)}")
            self.wfile.write(_REFUSAL)
            return
        self._head(200, "text/event-stream", "Transfer-Encoding: chunked")
        for event in _events(kind):
            time.sleep(GAP_S)
            self._chunk(f"data: {event}\n\n".encode())
        if kind == "cut":
            self.close_connection = True
        else:
            self._chunk(b"")

    def _head(self, status: int, kind: str, framing: str) -> None:
        self.wfile.write(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{framing}\r\n\r\n".encode())

    def _chunk(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

    def log_message(self, *_: Any) -> None:
        pass


_REFUSAL = b'{"error": {"message": "out of memory", "type": "api_error"}}'


def _events(kind: str | None) -> Iterator[str]:
    for number in range(DELTAS):
        yield json.dumps({"model": "m", "choices": [{"delta": {"content": f"w{number} "}, "finish_reason": None}]})
    if kind == "stream_error":
        yield json.dumps({"error": {"message": "the engine died", "code": 500}})
    elif kind is None:
        usage = {"prompt_tokens": 9, "completion_tokens": DELTAS, "total_tokens": 9 + DELTAS}
        yield json.dumps({"model": "m", "choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage})
        yield "[DONE]"
