"""The switchboard with a real engine: calls that wait for their time, and how they end."""

import os
import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import gevent
import pytest

from harness.load.calls import Call, Finished, Identity
from harness.load.dialects import resolve_target
from harness.load.engine import Engine
from harness.providers import Endpoint
from harness.records import StreamRecord, decode_record
from loadtests.switchboard import Switchboard

FAR_S = 3600.0


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    made.start()
    yield made
    made.close()


@pytest.fixture
def board(engine: Engine) -> Iterator[Switchboard]:
    made = Switchboard(engine, lambda: None)
    yield made
    made._watcher.stop()


class Ends:
    """What a test was told."""

    def __init__(self, board: Switchboard, url: str) -> None:
        self.board, self.url = board, url
        self.records: list[StreamRecord] = []
        self.withdrawn: list[int] = []

    def put(self, ahead_s: float, number: int) -> int:
        at_ns = time.monotonic_ns() + round(ahead_s * 1e9)
        identity = Identity("r", f"q{number}", "w0", number, "e", "m", "s", "measure", at_ns, at_ns)
        payload = b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
        target = resolve_target(Endpoint(name="e", base_url=self.url, model="m"))
        call = Call(identity, target, payload, "raw", False, send_ns=at_ns)
        return self.board.put(call, _kept, self.records.append, lambda: self.withdrawn.append(number))


def _kept(finished: Finished) -> StreamRecord:
    return decode_record(finished.line)


@pytest.fixture
def ends(board: Switchboard, url: str) -> Ends:
    return Ends(board, url)


def test_waiting_calls_are_open_but_not_in_flight(board: Switchboard, ends: Ends) -> None:
    ends.put(0.5, 0)
    ends.put(FAR_S, 1)
    assert (board.open_calls, board.in_flight) == (2, 0)
    assert not board.drained(1), "it waits for those, too"
    assert [record.seq for record in ends.records] == [0] and board.open_calls == 1
    board.cancel_all()
    assert board.drained(20) and board.in_flight == board.open_calls == 0
    assert [str(record.outcome) for record in ends.records] == ["ok", "censored"] and not ends.withdrawn


def test_a_call_counts_as_in_flight_from_its_time_on(engine: Engine, board: Switchboard, ends: Ends) -> None:
    os.kill(engine.pid, signal.SIGSTOP)
    ends.put(0.05, 0)
    assert board.in_flight == 0
    gevent.sleep(0.06)
    assert board.in_flight == 1, "late or not"
    os.kill(engine.pid, signal.SIGCONT)
    assert board.drained(20) and [record.seq for record in ends.records] == [0]


def test_what_is_withdrawn_leaves_no_record_and_its_party_hears(board: Switchboard, ends: Ends) -> None:
    far, near, late = ends.put(FAR_S, 0), ends.put(0.1, 1), ends.put(-1, 2)
    board.withdraw(far)
    board.withdraw(late)
    assert board.open_calls == 3, "the engine has not said so"
    assert board.drained(20)
    assert sorted(record.seq for record in ends.records) == [1, 2] and ends.withdrawn == [0]
    board.withdraw(near)
    board.withdraw(far)
    assert board.drained(0) and ends.withdrawn == [0]


def test_a_lost_engine_ends_what_waits(engine: Engine, board: Switchboard, ends: Ends) -> None:
    ends.put(FAR_S, 0)
    board.withdraw(ends.put(FAR_S, 1))
    os.kill(engine.pid, signal.SIGKILL)
    assert board.drained(20) and board.lost
    lost = {record.seq for record in ends.records}
    assert lost | set(ends.withdrawn) == {0, 1} and not lost & set(ends.withdrawn)
