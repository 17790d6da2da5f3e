"""The engine as a process: its death, its parent's, what it holds back, and what it must never have or leave."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest import Serve, call_for, collect, record_of
from raw_server import HEAD, Visit, answer, frame
from stream_corpus import ROLE

from harness.errors import TrueyieldError
from harness.load.calls import Call
from harness.load.client import Client
from harness.load.engine import Engine


def stall(visit: Visit) -> None:
    visit.send(HEAD + frame(ROLE))
    visit.delta("a")
    visit.hang()


def test_killed_engine(serve: Serve) -> None:
    engine = Engine()
    engine.start()
    server = serve(stall)
    tickets = {engine.submit(call_for(server, number)) for number in range(3)}
    while len(server.visits) < 3:
        time.sleep(0.005)
    os.kill(engine.pid, signal.SIGKILL)
    finished = collect(engine, 3)
    assert {each.ticket for each in finished} == tickets
    assert {record_of(each).outcome for each in finished} == {"engine_lost"}
    assert not engine.alive
    late = engine.submit(call_for(server))
    assert [each.ticket for each in collect(engine, 1)] == [late]
    engine.close()


def test_close_is_bounded_even_if_the_process_is_stuck() -> None:
    engine = Engine()
    engine.start()
    os.kill(engine.pid, signal.SIGSTOP)
    begun = time.monotonic()
    engine.close()
    assert time.monotonic() - begun < 4.5
    with pytest.raises(TrueyieldError):
        engine.poll()


def test_signals_to_the_group_leave_the_engine_alone(serve: Serve) -> None:
    engine = Engine()
    engine.start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(engine.pid, number)
    assert record_of(Client(engine).call(call_for(serve()))).outcome == "ok"
    engine.close()


def test_submissions_that_do_not_fit_are_held_back_and_sent_later(serve: Serve) -> None:
    engine = Engine()
    engine.start()
    server = serve(lambda visit: answer(visit, 1, 0))
    call = call_for(server)
    head, _, _ = call.payload.partition(b"\r\n\r\n")
    body = b"x" * 200_000
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    payload = b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body
    os.kill(engine.pid, signal.SIGSTOP)
    begun = time.monotonic()
    for _ in range(30):
        engine.submit(Call(call.identity, call.target, payload))
    assert time.monotonic() - begun < 2
    os.kill(engine.pid, signal.SIGCONT)
    assert {record_of(each).outcome for each in collect(engine, 30)} == {"ok"}
    engine.close()


def _environment(**more: str) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, str(Path(__file__).parent)])} | more


def test_dies_with_its_parent() -> None:
    script = """
        import os, signal
        from harness.load.engine import Engine
        engine = Engine(); engine.start()
        os.kill(engine.pid, signal.SIGSTOP)  # deaf to the end of its channel
        print(engine.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=_environment(), capture_output=True,
                         text=True, timeout=30)  # fmt: skip
    pid = int(ran.stdout)
    for _ in range(200):
        if not _runs(pid):
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the engine outlived its parent")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_works_in_a_process_patched_by_gevent(serve: Serve) -> None:
    """Greenlets keep running while calls are open, and a blocked hub does not falsify stamps."""
    server = serve(lambda visit: answer(visit, 10, 0.02))
    script = f"""
        from gevent import monkey; monkey.patch_all()
        import time, gevent
        from gevent.hub import get_hub
        from conftest import call_for, record_of
        from harness.load.calls import Finished
        from harness.load.engine import Engine

        class Server: url = {server.url!r}
        engine = Engine(); engine.start()
        done, beats = [], []
        watcher = get_hub().loop.io(engine.fileno(), 1)
        watcher.start(lambda: done.extend(x for x in engine.poll() if isinstance(x, Finished)))
        def beat():
            while True:
                beats.append(1); gevent.sleep(0.01)
        gevent.spawn(beat)
        for number in range(4): engine.submit(call_for(Server, number))
        end = time.monotonic() + 10
        while len(done) < 4 and time.monotonic() < end:
            gevent.sleep(0.02)
            stop = time.perf_counter() + 0.05
            while time.perf_counter() < stop: pass
        watcher.stop(); engine.close()
        records = [record_of(x) for x in done]
        gaps = [r.last_delta_ns - r.first_answer_ns for r in records]
        print([str(r.outcome) for r in records], len(beats) > 3, max(gaps) < 1e9)
    """
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], env=_environment(),
                         capture_output=True, text=True, timeout=60)  # fmt: skip
    assert ran.stdout.strip() == "['ok', 'ok', 'ok', 'ok'] True True", ran.stderr


def test_no_key_in_the_engine(engine: Engine) -> None:
    os.environ["CANARY_API_KEY"] = "sk-canary-env"
    fresh = Engine()
    fresh.start()
    try:
        for name in ("environ", "cmdline"):
            assert b"canary" not in Path(f"/proc/{fresh.pid}/{name}").read_bytes().lower()
    finally:
        del os.environ["CANARY_API_KEY"]
        fresh.close()


def test_no_descriptor_is_left_behind(serve: Serve) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        engine = Engine()
        engine.start()
        engine.close()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() >= 1
