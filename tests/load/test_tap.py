"""The tap on this machine's own kernel: what it hears, what it does not, and what it is for."""

import mmap
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from conftest import Serve, call_for, collect, make_plan, record_of
from raw_server import HEAD, Visit, frame
from stream_corpus import ROLE
from wires import Bench

from harness.load import hot
from harness.load.calls import Call
from harness.load.dialects import resolve_target
from harness.load.engine import Engine, tap
from harness.load.engine.stamps import now_ns
from harness.load.engine.tap import Tap
from harness.records import StreamRecord, decode_offsets

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="listening to packets needs root here")

DELTAS, GAP_S = 40, 0.01


def steady(visit: Visit) -> None:
    visit.send(HEAD + frame(ROLE))
    for number in range(DELTAS):
        time.sleep(GAP_S)
        visit.delta(f"w{number} ")
    visit.finish(DELTAS)


@contextmanager
def engine_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[Engine]:
    engine = Engine()
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        engine.start()
    try:
        yield engine
    finally:
        engine.close()


def held_up(engine: Engine, call: Call) -> StreamRecord:
    """The record of a call during which the engine stood still for a third of a second."""
    engine.submit(call)
    time.sleep(0.05)
    os.kill(engine.pid, signal.SIGSTOP)
    time.sleep(0.3)
    os.kill(engine.pid, signal.SIGCONT)
    (finished,) = collect(engine, 1)
    return record_of(finished)


def lateness_ms(record: StreamRecord, visit: Visit) -> np.ndarray:
    """Of each delta: what the record says, minus when the server sent it."""
    assert record.outcome == "ok" and record.delta_offsets is not None and record.sent_last_ns is not None
    seen = np.asarray(decode_offsets(record.delta_offsets)) * 1e3 + record.sent_last_ns
    return (seen - np.asarray(visit.delta_ns)) / 1e6


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("hot_path", sorted({"plain", hot.FORM}))
def test_an_engine_that_stood_still_knows_every_arrival(
    hot_path: str, tls: bool, serve: Serve, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(steady, context=_context(certificates) if tls else None)
    call = call_for(server)
    if tls:
        target = resolve_target(make_plan(server.url, ca_file=str(certificates / "ca.pem")).endpoint)
        call = msgspec.structs.replace(call, target=target)
    with engine_with(monkeypatch, **{hot.VARIABLE: hot_path}) as engine:
        assert engine.tap and engine.hot_path == hot_path
        record = held_up(engine, call)
    late = lateness_ms(record, server.visits[0])
    assert len(np.unique(late)) > DELTAS // 2
    assert np.quantile(late, 0.8) < 2, "all but what the server itself was held up by"
    assert record.client_lag_ns is not None and record.client_lag_ns.max > 0.1e9, "how late we read is told"
    assert record.reads < DELTAS - 10 and record.shared_reads < 3


def test_without_it_they_are_one_and_the_record_shows_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(steady)
    with engine_with(monkeypatch, **{tap.VARIABLE: "off"}) as engine:
        assert engine.tap is False
        record = held_up(engine, call_for(server))
    late = lateness_ms(record, server.visits[0])
    assert (late > 100).sum() > 10
    offsets = decode_offsets(record.delta_offsets or b"")
    assert len(set(offsets)) < DELTAS - 15, "equal times: an interval"


def _context(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    return context


# -- what is heard


class Ear:
    """A bench whose reads listen, with the ring in sight."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.tap = Tap(self)  # type: ignore[arg-type]

    def listen(self, frames: mmap.mmap, frame_bytes: int) -> None:
        self.frames, self._frame_bytes = frames, frame_bytes
        self.bench.reads.listen(frames, frame_bytes)

    @property
    def heard(self) -> int:
        """Frames that the kernel has filled and nobody has taken."""
        return sum(self.frames[at] & 1 for at in range(0, len(self.frames), self._frame_bytes))


@pytest.fixture
def ear(bench: Bench) -> Iterator[Ear]:
    ear = Ear(bench)
    yield ear
    ear.tap.close()


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_segments_of_one_read_have_their_own_times(ear: Ear, ip: str) -> None:
    assert ear.tap.open
    wire = ear.bench.wire(ip=ip, tap=ear.tap)
    ear.bench.reads.follow(wire.near)
    sent_ns = []
    for _ in range(5):
        sent_ns.append(now_ns())
        wire.far.sendall(b"x" * 100)
        time.sleep(0.02)
    _, left = ear.bench.read()
    assert [data for _, data, _, _ in left] == [b"x" * 100] * 5
    late_ns = sorted(arrival_ns - at_ns for (_, _, arrival_ns, _), at_ns in zip(left, sent_ns, strict=True))
    assert -100_000 < late_ns[0] <= late_ns[2] < 2_000_000, "their own, but for one that the machine held up"


def test_nothing_is_kept_but_heads_of_those_who_are_called(ear: Ear) -> None:
    stranger, wire = ear.bench.wire(), ear.bench.wire(tap=ear.tap)
    before = ear.heard
    for _ in range(10):
        stranger.far.sendall(b"a stranger's secret")
        stranger.near.sendall(b"what we said")
        wire.near.sendall(b"what we asked")
    assert ear.heard - before <= 10, "nothing but acknowledgements to the second"
    between = ear.heard
    for _ in range(10):
        wire.far.sendall(b"the server's secret")
    assert ear.heard - between >= 10
    assert not any(word in ear.frames[:] for word in (b"secret", b"what we"))


def test_of_very_many_addresses_some_are_not_listened_to(ear: Ear) -> None:
    ear.tap.aim((socket.AF_INET, f"10.0.{index // 250}.{index % 250}", 443) for index in range(300))
    late = ear.bench.wire(tap=ear.tap)
    ear.bench.reads.follow(late.near)
    late.far.sendall(b"a")
    late.far.sendall(b"b")
    assert [data for _, data, _, _ in ear.bench.read()[1]] == [b"ab"] and ear.heard == 0


def test_an_address_that_cannot_be_listened_to_leaves_the_others(ear: Ear) -> None:
    first = ear.bench.wire(tap=ear.tap)
    ear.tap.aim([(socket.AF_INET, "nonsense", 80)])
    second = ear.bench.wire(tap=ear.tap)
    for wire in (first, second):
        before = ear.heard
        wire.far.sendall(b"a")
        assert ear.heard > before


def test_addresses_with_a_zone_and_of_both_families_fit_one_filter(ear: Ear) -> None:
    ear.tap.aim([(socket.AF_INET6, "fe80::1%lo", 80), (socket.AF_INET, "10.0.0.1", 80)])
    for ip in ("::1", "127.0.0.1"):
        wire = ear.bench.wire(ip=ip, tap=ear.tap)
        before = ear.heard
        wire.far.sendall(b"a")
        assert ear.heard > before


WITHOUT_THE_RIGHT = """
import os
from harness.load.engine.stamps import now_ns
from harness.load.engine.tap import Tap
from harness.load.hot import Reads
os.setgid(65534), os.setuid(65534)
tap = Tap(Reads())
tap.aim([(2, "127.0.0.1", 80)])
print(tap.open)
"""


def test_without_the_right_it_is_closed() -> None:
    said = subprocess.run([sys.executable, "-c", WITHOUT_THE_RIGHT], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False"] and not said.stderr
