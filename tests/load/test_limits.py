"""A run that this machine cannot connect is refused before it starts; pauses of the engine are told."""

import gc
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from test_orders import ENDPOINT, ORDER, SCENARIO

from harness.errors import InputError
from harness.load import limits
from harness.load.engine import Engine
from harness.load.engine.pauses import PauseClock
from harness.load.limits import no_room_for
from harness.load.orders import make_plan


@pytest.mark.parametrize(
    ("users", "processes", "one_machine", "words"),
    [
        (936, 1, True, []),
        (937, 1, True, ["937 a process"]),
        (1000, 2, True, []),
        (2001, 4, True, ["2001 on one machine"]),
        (2001, 4, False, []),
        (9000, 4, True, ["2250 a process", "9000 on one machine"]),
    ],
)
def test_room(users: int, processes: int, one_machine: bool, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "descriptor_limit", lambda: 1000)
    monkeypatch.setattr(limits, "port_count", lambda: 2000)
    assert [mistake.found for mistake in no_room_for(users, processes, one_machine=one_machine)] == words


def test_a_plan_without_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "descriptor_limit", lambda: 100)
    with pytest.raises(InputError, match="at most 36 users a process"):
        make_plan(replace(ORDER, users=37), ENDPOINT, SCENARIO, run_id="r", workers=1)


def test_this_machine_tells_its_limits() -> None:
    assert (limits.port_count() or 1) > 0
    assert limits.descriptor_limit() is None or limits.descriptor_limit()


def test_pauses_are_counted() -> None:
    clock = PauseClock()
    gc.callbacks.append(clock)
    try:
        gc.collect()
        gc.collect()
    finally:
        gc.callbacks.remove(clock)
    found = clock.so_far()
    assert found.count == 2
    assert 0 < found.max_ns <= found.total_ns <= 2 * found.max_ns


def test_the_engine_tells_its_pauses(engine: Engine) -> None:
    stop = time.monotonic() + 5
    while (engine.pauses is None or engine.pauses.count == 0) and time.monotonic() < stop:
        engine.wait(0.5)
    assert engine.pauses is not None and engine.pauses.count >= 1
    assert engine.pauses.max_ns < 50_000_000


def test_the_engine_has_room_for_all_connections_from_the_start(engine: Engine) -> None:
    """Else it stands still for 7 to 22 ms where its table of descriptors grows, once its lookout runs."""
    told = Path(f"/proc/{engine.pid}/status").read_text()
    room = next(int(line.split()[1]) for line in told.splitlines() if line.startswith("FDSize:"))
    assert room >= min(limits.descriptor_limit() or 65_536, 65_536)


def test_a_process_with_few_descriptors_claims_them_all() -> None:
    """Nor does it mind that its table cannot grow beyond them."""
    child = """
import resource
from harness.load.limits import claim_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (70, 90))
claim_descriptors()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    told = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "(90, 90)\n"
