"""Real processes for long: memory that stays flat, and runs stopped at any moment that lose no record."""

import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import Outcome
from harness.records import read_records
from tests.endtoend.command import ROOT, Simulator, load, only_run, simulator
from tests.soak.conftest import MINUTES

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

SAMPLE_S = 1.0
MIB = 1024


def start(out: Path, log: Path, *arguments: object) -> "subprocess.Popen[bytes]":
    """`trueyield run` in the background, its words in `log`."""
    command = [sys.executable, "-m", "harness", "run", *map(str, arguments), "--out", str(out)]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as words:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parents[int(entry.read_text().rpartition(")")[2].split()[1])].append(int(entry.parent.name))
    found = [pid]
    for each in found:
        found += parents[each]
    return found


def resident_kib(pid: int) -> int | None:
    """RSS of a process; None where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), None)


def records_of(folder: Path) -> dict[str, Outcome]:
    """Outcome of each request of a run folder; each may be there once only."""
    with (folder / "records.jsonl").open("rb") as lines:
        records = list(read_records(lines))
    outcomes = {record.request_id: record.outcome for record in records}
    assert len(outcomes) == len(records), "a record was written twice"
    return outcomes


def truths_of(server: Simulator, run_id: str) -> dict[str, bool]:
    """Requests of a run that the server saw -> whether it answered to the end."""
    lines = [json.loads(line) for line in server.truth_file.read_text().splitlines()]
    mine = [line for line in lines if line["request_id"].startswith(f"{run_id}-")]
    return {line["request_id"]: not line["aborted"] for line in mine}


def test_64_users_for_long_need_no_more_memory(tmp_path: Path, outcome: Callable[[str, str], None]) -> None:
    seconds = int(MINUTES * 60)
    with simulator(tmp_path, "--preset", "fast", "--model", "m") as server:
        child = start(tmp_path / "out", tmp_path / "log", "reasoning", "--endpoint", server.url, "--model", "m",
                      "--users", 64, "--run-time", f"{seconds}s")  # fmt: skip
        samples: dict[str, list[int]] = defaultdict(list)
        end = time.monotonic() + seconds
        while time.monotonic() < end and child.poll() is None:
            for pid in family(child.pid):
                if (kib := resident_kib(pid)) is not None:
                    samples["locust" if pid == child.pid else f"engine {pid}"].append(kib)
            if (kib := resident_kib(server.process.pid)) is not None:
                samples["simulator"].append(kib)
            time.sleep(SAMPLE_S)
        assert child.wait(120) == 0, (tmp_path / "log").read_text()
        folder = only_run(tmp_path / "out")
        run_id = load(folder, "manifest.json")["run_id"]
        server.stop()
        truths, records = truths_of(server, run_id), records_of(folder)
    run = load(folder, "run.json")
    assert run["valid"], run["invalid_reasons"]
    assert truths.keys() <= records.keys()
    assert {name for name, whole in truths.items() if whole} == {
        name for name, how in records.items() if how is not Outcome.CENSORED
    }
    outcome(
        f"64 users for {MINUTES:g} min",
        f"{len(records):,} requests, {run['tokens']['output']:,} tokens, {run['requests']['failed']} failed, none lost",
    )
    for name, kib in samples.items():
        if len(kib) < seconds / SAMPLE_S / 2:
            continue  # the report's process at the end
        growth = _second_half_growth(kib)
        outcome(f"  memory of {name.split()[0]}", f"{kib[-1] / MIB:.0f} MiB, {growth:+.1%} in the second half")
        # the simulator remembers prompts as a server's prefix cache does, until its KV memory would be full
        limit = 0.05 if name != "simulator" or kib[-1] > 150 * MIB else 0.25
        assert growth < limit, (name, kib[:: max(1, len(kib) // 40)])


def _second_half_growth(kib: list[int]) -> float:
    """Last tenth against the tenth after the middle."""
    tenth = max(1, len(kib) // 10)
    middle = statistics.median(kib[len(kib) // 2 :][:tenth])
    return statistics.median(kib[-tenth:]) / middle - 1


def test_runs_stopped_at_any_moment_lose_nothing(tmp_path: Path, outcome: Callable[[str, str], None]) -> None:
    draw, codes, requests, early = random.Random(7), Counter[int](), 0, 0
    runs = max(4, round(5 * MINUTES))
    with simulator(tmp_path, "--preset", "fast", "--model", "m", "--efficiency", "0.15") as server:
        for number in range(runs):
            out, log = tmp_path / f"out-{number}", tmp_path / f"log-{number}"
            workers = 1 + number % 2
            child = start(out, log, "quick", "--endpoint", server.url, "--model", "m", "--users", 8, "--run-time",
                          "2s", "--stop-timeout", draw.choice([0, 1]), "--processes", workers)  # fmt: skip
            if draw.random() < 0.8:  # else it may be stopped before it has begun
                _wait_for_books(child, out)
            time.sleep(draw.uniform(0.0, 3.0))
            child.send_signal(signal.SIGTERM)
            code = child.wait(60)
            codes[code] += 1
            assert "Traceback" not in log.read_text(), log.read_text()
            assert code in (0, 4, -signal.SIGTERM, 128 + signal.SIGTERM), log.read_text()
            folders = [path for path in out.glob("2*") if (path / "manifest.json").exists()] if out.exists() else []
            early += not folders
            for folder in folders:
                requests += _nothing_lost(server, folder)
        server.stop()
    outcome(
        f"{runs} runs of 2 s, ended by SIGTERM at random moments",
        f"{requests:,} requests, each with its record; exit codes {dict(sorted(codes.items()))}; "
        f"{early} ended before their first request",
    )
    assert requests


def _wait_for_books(child: "subprocess.Popen[bytes]", out: Path) -> None:
    deadline = time.monotonic() + 30
    while not list(out.glob("2*/manifest.json")):
        assert child.poll() is None and time.monotonic() < deadline, "the run did not begin"
        time.sleep(0.02)


def _nothing_lost(server: Simulator, folder: Path) -> int:
    """Every request that the server saw has its record, every answered one its full one."""
    time.sleep(0.1)  # the server notices a hung-up client in its next step
    truths = truths_of(server, load(folder, "manifest.json")["run_id"])
    records = records_of(folder) if (folder / "records.jsonl").exists() else {}
    assert truths.keys() <= records.keys(), f"{folder}: {len(truths.keys() - records.keys())} lost"
    for name, how in records.items():
        assert how in (Outcome.CENSORED, Outcome.OK, Outcome.TRUNCATED, Outcome.CUT_IN_THOUGHT), (name, how)
        assert how is Outcome.CENSORED or truths[name], name
    return len(records)
