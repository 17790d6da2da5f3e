"""Peers' exports are read right, find their truth, and the supervisor counts whole trees and leaves nothing behind."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.errors import Truth
from benchmarks.peers import exports, supervise, table
from benchmarks.peers.bench import ROWS, Row, Usage
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.exports import Seen
from benchmarks.peers.install import REQUIREMENTS, first_line
from benchmarks.peers.join import errors, join, rate, read_truths
from benchmarks.peers.tokenizer import write_tokenizer

MS = 1_000_000


def truth(number: int, *, arrived_ms: int, deltas: int = 3, ttft_ms: int = 100, request_id: str = "") -> Truth:
    """A stream with a delta each 20 ms."""
    first = (arrived_ms + ttft_ms) * MS
    stamps = [first + 20 * MS * at for at in range(deltas)]
    name = request_id or f"r{number}"
    return Truth(request_id=name, arrived_ns=arrived_ms * MS, delta_ns=stamps, output_tokens=deltas, aborted=False)


def anonymous(truths: list[Truth]) -> list[Truth]:
    for one in truths:
        one.request_id = ""
    return truths


def test_by_id_whatever_the_order() -> None:
    truths = [truth(0, arrived_ms=0), truth(1, arrived_ms=5)]
    how, pairs = join([Seen(request_id="r1", ttft_ms=1), Seen(request_id="r0", ttft_ms=2)], truths)
    assert how == "id"
    assert [(seen.ttft_ms, found.request_id) for seen, found in pairs] == [(1, "r1"), (2, "r0")]


def test_without_ids_by_order_of_start() -> None:
    ended_later_first = anonymous([truth(1, arrived_ms=5), truth(0, arrived_ms=0)])
    how, pairs = join([Seen(started=7.5, ttft_ms=1), Seen(started=7.1, ttft_ms=2)], ended_later_first)
    assert how == "order of start"
    assert [(seen.ttft_ms, found.arrived_ns) for seen, found in pairs] == [(2, 0), (1, 5 * MS)]


def test_without_id_and_start_by_order_of_end() -> None:
    truths = anonymous([truth(1, arrived_ms=5), truth(0, arrived_ms=0)])
    how, pairs = join([Seen(ttft_ms=1), Seen(ttft_ms=2)], truths)
    assert how == "order of end"
    assert [found.arrived_ns for _, found in pairs] == [5 * MS, 0]


def test_a_request_too_few_is_not_joined_by_order() -> None:
    how, pairs = join([Seen(ttft_ms=1)], anonymous([truth(0, arrived_ms=0), truth(1, arrived_ms=1)]))
    assert how == "not joined: 1 reported, 2 sent"
    assert pairs == []


def test_errors_of_warm_requests_and_cold_ones_apart() -> None:
    truths = [truth(0, arrived_ms=0), truth(1, arrived_ms=1000)]
    seen = [
        Seen(request_id="r0", ttft_ms=150, gaps_ms=(20, 20)),
        Seen(request_id="r1", ttft_ms=103, gaps_ms=(22, 17)),
    ]
    found = errors(seen, truths, streams=1)
    assert found.cold_ttft is not None and found.cold_ttft.mean == pytest.approx(50)
    assert found.ttft is not None and (found.ttft.mean, found.ttft.count) == (pytest.approx(3), 1)
    assert found.itl is not None and (found.itl.mean, found.itl.count) == (pytest.approx(2.5), 2)
    assert found.gaps == "each delta"


def test_gaps_of_another_count_are_no_figures() -> None:
    truths = [truth(0, arrived_ms=0), truth(1, arrived_ms=1000)]
    found = errors([Seen(request_id=f"r{at}", ttft_ms=100, gaps_ms=(20,)) for at in range(2)], truths, streams=1)
    assert found.itl is None


def test_a_mean_gap_is_named_as_such() -> None:
    truths = [truth(0, arrived_ms=0), truth(1, arrived_ms=1000)]
    found = errors([Seen(request_id=f"r{at}", ttft_ms=100, mean_gap_ms=20.5) for at in range(2)], truths, streams=1)
    assert found.gaps == "mean of a request"
    assert found.itl is not None and found.itl.mean == pytest.approx(0.5)


def test_the_rate_of_a_client_that_keeps_up_and_of_one_that_comes_back_late() -> None:
    prompt = [truth(at, arrived_ms=at // 2 * 140) for at in range(4)]
    late = [truth(at, arrived_ms=at // 2 * 280) for at in range(4)]
    kept = rate(prompt, streams=2)
    assert kept.reached_per_s == pytest.approx(kept.offered_per_s) == pytest.approx(2 * 3 / 0.14)
    assert (kept.deltas, kept.requests, kept.streams_at_once) == (12, 4, 2)
    assert rate(late, streams=2).reached_per_s == pytest.approx(kept.offered_per_s / 2)


def test_one_round_has_no_rate() -> None:
    assert rate([truth(0, arrived_ms=0)], streams=1).reached_per_s is None


def test_aborted_streams_are_no_truth(tmp_path: Path) -> None:
    line = {"request_id": "", "arrived_ns": 1, "delta_ns": [2], "output_tokens": 1, "aborted": False}
    text = "".join(json.dumps(line | {"aborted": aborted}) + "\n" for aborted in (False, True))
    (tmp_path / "truth.jsonl").write_text(text)
    assert len(read_truths(tmp_path / "truth.jsonl")) == 1


def test_stamps(tmp_path: Path) -> None:
    line = {"request_id": "peer-1", "sent_ns": 5 * MS, "deltas_ns": [105 * MS, 125 * MS]}
    (tmp_path / "stamps.jsonl").write_text(json.dumps(line) + "\n")
    assert exports.read_stamps(tmp_path) == [Seen(request_id="peer-1", ttft_ms=100, gaps_ms=(20,))]


def test_evalscope(tmp_path: Path) -> None:
    (tmp_path / "out/truth/parallel_64_number_128").mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / "out/truth/parallel_64_number_128/benchmark_data.db")) as database:
        columns = "start_time REAL, inter_token_latencies TEXT, success INTEGER, first_chunk_latency REAL"
        database.execute(f"create table result ({columns})")
        rows = [(7.5, "[0.02, 0.021]", 1, 0.1), (7.6, "[]", 0, 0.0)]
        database.executemany("insert into result values (?, ?, ?, ?)", rows)
        database.commit()
    (seen,) = exports.read_evalscope(tmp_path)
    assert (seen.started, seen.ttft_ms, seen.gaps_ms) == (7.5, 100, (20, 21))


def test_aiperf(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    metrics = {
        "time_to_first_token": {"value": 101.5, "unit": "ms"},
        "inter_chunk_latency": {"value": [19.5, 20.5], "unit": "ms"},
    }
    line = {"metadata": {"x_request_id": "e665"}, "metrics": metrics}
    (tmp_path / "out/profile_export.jsonl").write_text(json.dumps(line) + "\n")
    assert exports.read_aiperf(tmp_path) == [Seen(request_id="e665", ttft_ms=101.5, gaps_ms=(19.5, 20.5))]


def test_guidellm(tmp_path: Path) -> None:
    told = {"request_start_time": 1795301101.4, "time_to_first_token_ms": 105.2, "inter_token_latency_ms": 19.99}
    report = {"benchmarks": [{"requests": {"successful": [told], "errored": []}}]}
    (tmp_path / "out.json").write_text(json.dumps(report))
    assert exports.read_guidellm(tmp_path) == [Seen(started=1795301101.4, ttft_ms=105.2, mean_gap_ms=19.99)]


def test_genai_bench(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/experiment_metadata.json").write_text("{}")
    report = {
        "individual_request_metrics": [
            {"ttft": 0.125, "tpot": 0.02},
            {"ttft": 0.1, "tpot": None},
            {"ttft": None, "tpot": None},
        ]
    }
    (tmp_path / "out/D16_200_text-to-text_num_concurrency_64_time_10s.json").write_text(json.dumps(report))
    assert exports.read_genai_bench(tmp_path) == [Seen(ttft_ms=125, mean_gap_ms=20), Seen(ttft_ms=100)]


def supervised(folder: Path, limit_s: float, program: str) -> dict[str, float]:
    command = [sys.executable, supervise.__file__, str(folder / "usage.json"), str(limit_s)]
    subprocess.run([*command, sys.executable, "-c", program], check=True, timeout=60)
    return json.loads((folder / "usage.json").read_text())


def test_cpu_of_a_grandchild_whose_parent_has_gone_is_counted(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}])"
    assert supervised(tmp_path, 30, orphan)["cpu_s"] >= 0.5


def test_at_the_limit_the_whole_tree_ends(tmp_path: Path) -> None:
    mark = f"time.sleep(60.{time.time_ns()})"
    child = f"import time; {mark}"
    program = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    assert supervised(tmp_path, 1, program)["exit_code"] is None
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _read(path)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_table_has_a_cell_for_each_column() -> None:
    usage = Usage(exit_code=0, wall_s=9, cpu_s=3, rss_mb=100, processes=2)
    idle = Usage(exit_code=0, wall_s=1, cpu_s=1, rss_mb=50, processes=2)
    truths = [truth(at, arrived_ms=at // 64 * 140, deltas=200) for at in range(128)]
    seen = [Seen(request_id=f"r{at}", ttft_ms=101, mean_gap_ms=20) for at in range(128)]
    row = Row(
        client="tool (tool 1.0)",
        load=ROWS[0],
        idles=(idle, idle),
        usage=usage,
        rate=rate(truths, 64),
        errors=errors(seen, truths, 64),
        truth_late_p99_us=12,
    )
    failed = Row(client="tool", load=ROWS[0], failed="exit code 1: a | b")
    columns = len(table.COLUMNS)
    assert table.head().splitlines()[0].count(" | ") == columns - 1
    assert table.line(row).count(" | ") == columns - 1
    assert table.line(failed).replace("\\|", "").count(" | ") == columns - 1
    assert "| 78.1 | 15.62 | 1.0 |" in table.line(row)  # (3 - 1) s over 25,600 deltas and 128 requests


def test_the_reason_is_the_line_that_names_an_error() -> None:
    assert first_line("Traceback:\n  File x\nValueError: no\ndone\n") == "ValueError: no"
    assert first_line("one\ntwo\n") == "two"


@pytest.mark.parametrize("environment", sorted({peer.environment for peer in PEERS if peer.environment}))
def test_every_requirement_is_one_exact_version(environment: str) -> None:
    lines = (REQUIREMENTS / f"{environment}.txt").read_text().splitlines()
    pins = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert pins
    for pin in pins:
        name, _, version = pin.partition(";")[0].strip().partition("==")
        assert name and version and not any(sign in version for sign in "<>*,+ "), pin


def test_the_tokenizer_knows_each_byte_and_the_delta(tmp_path: Path) -> None:
    model = json.loads((write_tokenizer(tmp_path) / "tokenizer.json").read_text())["model"]
    assert sum(len(token) == 1 for token in model["vocab"]) == 256
    for left, right in model["merges"]:
        assert {left, right, left + right} <= set(model["vocab"])
    assert "Ġword" in model["vocab"]


def test_cpu_that_start_up_hides_is_not_told() -> None:
    assert table.net_cpu_s(12.0, [2.0, 2.2]) == pytest.approx(9.9)
    assert table.net_cpu_s(21.0, [18.0, 20.0]) is None  # two seconds of load, and two of doubt
    assert table.net_cpu_s(18.0, [20.0, 20.0]) is None
