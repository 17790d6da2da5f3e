"""Big run folders, made in virtual time: time and memory to measure them, and the size of their report."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from harness.load.clock import now_ns
from harness.records import Manifest, Stages, StreamRecord, Wall, WorkerEntry, encode_record, write_manifest
from harness.simulator.model import NS, BatchModel, Limits
from harness.simulator.steptimes import ConstantSteps
from harness.simulator.texts import Author, Lengths
from harness.simulator.virtual import Names, VirtualEdge, plain_questions
from tests.endtoend.command import ROOT

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

BASIS = 10_000
USERS = 64
_EPOCH_NS = 1_795_000_000 * NS
_TIMES = [name for name in StreamRecord.__struct_fields__ if name.endswith("_ns") and name != "client_lag_ns"]

#: Runs one command and tells its peak memory: the children of a test process share one figure.
_WEIGHED = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL); "
_WEIGHED += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"


@pytest.fixture(scope="module")
def basis() -> list[StreamRecord]:
    """Ten thousand requests of a closed loop, some 120 tokens each."""
    lengths = Lengths(thought_median=80, thought_sigma=0.6, answer_median=30, answer_sigma=0.4)
    model = BatchModel(Limits(max_batch=USERS, kv_tokens=4_000_000), ConstantSteps(step_base_s=0.02))
    edge = VirtualEdge(
        model, Author(lengths=lengths), plain_questions(lambda n: f"What is {n} + 1?"), Names(run_id="big")
    )
    records = []
    for _, record in edge.closed_loop(USERS, 10**6 * NS):
        records.append(record)
        if len(records) == BASIS:
            return records
    raise AssertionError("the closed loop ended early")


def copies(basis: list[StreamRecord], count: int) -> Iterator[bytes]:
    """`count` record lines: the basis again and again, each time later and under new names."""
    span_ns = max(record.ended_ns for record in basis)
    for number in range(count):
        record, later_ns = basis[number % BASIS], number // BASIS * span_ns
        times = {name: at + later_ns for name in _TIMES if (at := getattr(record, name)) is not None}
        yield encode_record(msgspec.structs.replace(record, request_id=f"big-{number}", seq=number, **times)) + b"\n"


def write_big(folder: Path, basis: list[StreamRecord], count: int) -> Path:
    """A finished run folder of `count` records on one worker."""
    folder.mkdir()
    with (folder / "records.jsonl").open("wb") as file:
        file.writelines(copies(basis, count))
    end_ns = _EPOCH_NS + max(record.ended_ns for record in basis) * (count // BASIS)
    wall = Wall(offset_ns=_EPOCH_NS, error_ns=0, taken_at="2026-11-18T10:40:00Z")
    manifest = Manifest(
        run_id="big",
        trueyield_version="0",
        created_at="2026-11-18T10:40:00Z",
        seed=1,
        scenario={"name": "big"},
        endpoint={"name": "virtual", "base_url": "http://127.0.0.1:1/v1", "model": "virtual", "dialect": "vllm"},
        stages=Stages(began_ns=_EPOCH_NS, measure_begin_ns=_EPOCH_NS, measure_end_ns=end_ns, ended_ns=end_ns),
        workers={"virtual": WorkerEntry(wall=wall, host="virtual", pid=1, records=count, final=True)},
        finished=True,
    )
    write_manifest(folder, manifest)
    return folder


def weighed(*arguments: object) -> tuple[float, float]:
    """Run one command of ours to its end; wall seconds and peak MiB."""
    began_ns = now_ns()
    command = [sys.executable, "-c", _WEIGHED, sys.executable, "-m", "harness", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (now_ns() - began_ns) / NS, int(done.stdout) / 1024


def test_a_hundred_thousand_requests(
    basis: list[StreamRecord], tmp_path: Path, outcome: Callable[[str, str], None]
) -> None:
    folder = write_big(tmp_path / "big", basis, 100_000)
    seconds, mib = weighed("measure", folder)
    run = json.loads((folder / "run.json").read_text())
    assert run["requests"]["total"] == 100_000 and run["valid"]
    assert run["mix"]["mean_in_flight"] == pytest.approx(USERS, rel=0.01)
    outcome("measure of 100,000 requests", f"{seconds:.1f} s, peak {mib:,.0f} MiB")
    assert seconds < 90 and mib < 2500


def test_a_million_requests_on_one_page(
    basis: list[StreamRecord], tmp_path: Path, outcome: Callable[[str, str], None]
) -> None:
    began = time.monotonic()
    folder = write_big(tmp_path / "big", basis, 1_000_000)
    written_s, size_mb = time.monotonic() - began, (folder / "records.jsonl").stat().st_size / 1e6
    seconds, mib = weighed("report", folder)
    page_mb = (folder / "report.html").stat().st_size / 1e6
    outcome(
        "report of 1,000,000 requests",
        f"{seconds:.0f} s, peak {mib:,.0f} MiB, page {page_mb:.1f} MB of {size_mb:,.0f} MB records ({written_s:.0f} s)",
    )
    assert page_mb < 6 and mib < 16_000
