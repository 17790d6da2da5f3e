"""Open loops in real Locust processes: every planned call leaves once, at its time, whatever the answers do."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from locust_processes import (
    LOCUSTFILE,
    MODEL,
    ROOT,
    Folder,
    Simulator,
    locust,
    process,
    run_folder,
    spread,
    started,
    stop,
    trueyield,
    wait_for,
)

from harness.errors import Outcome
from harness.measure.runs import measure
from harness.records import StreamRecord
from tests.machine import Stall, held_up, watched

SCENARIO = """
description: an open loop
workload: {{families: [arithmetic], difficulty: 1, max_tokens: 8}}
users: 2
run_time_s: {seconds}
warm_up_s: 0
stop_timeout_s: 10
arrivals: {arrivals}
"""


def load(simulator: Simulator, out: Path, arrivals: str, *arguments: str, seconds: float = 3) -> list[str]:
    file = out / "mine.yaml"
    file.write_text(SCENARIO.format(arrivals=arrivals, seconds=seconds))
    target = ["--endpoint", simulator.url, "--model", MODEL, "--scenario", str(file), "--out", str(out)]
    return locust("--headless", *target, *arguments)


def planned_s(folder: Folder) -> list[float]:
    """Planned times since the common start, on the wall clock."""
    manifest = folder.manifest
    assert manifest.stages is not None
    began = manifest.stages.began_ns
    return sorted((_planned(r) + manifest.workers[r.worker].wall.offset_ns - began) / 1e9 for r in folder.records)


def _planned(record: StreamRecord) -> int:
    assert record.planned_ns is not None
    return record.planned_ns


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_trace_is_replayed_whole_by_any_number_of_workers(
    simulator: Simulator, tmp_path: Path, processes: int
) -> None:
    rows = "".join(
        f'{{"timestamp": {n * 70}, "input_length": {20 + n}, "output_length": {1 + n % 9}}}\n' for n in range(400)
    )
    (tmp_path / "trace.jsonl").write_text(rows)
    arrivals = "{kind: trace, trace: trace.jsonl, time_scale: 10}"
    with process(load(simulator, tmp_path, arrivals, *spread(processes)), tmp_path) as child:
        assert child.wait(60) in (0, 4), child.output.read_text()  # 4: a busy machine starts calls late
    folder = run_folder(tmp_path)
    assert folder.manifest.finished and len(folder.manifest.workers) == processes
    assert len(folder.records) == 400, "400 x 70 ms at 10x are 2.8 s of 3"
    assert len({record.worker for record in folder.records}) == processes
    assert planned_s(folder) == pytest.approx([n * 0.007 for n in range(400)], abs=0.02)
    assert sorted(int((record.prompt_id or "").rpartition(":")[2]) for record in folder.records) == list(range(400))
    caps = {int((r.prompt_id or "").rpartition(":")[2]): r.cap_tokens for r in folder.records}
    assert all(cap == 1 + n % 9 for n, cap in caps.items()), "each call asks for its own length"
    result = measure(folder.path)
    assert result.requests.planned == 400 and result.requests.not_sent == 0
    for name in ("ttft_planned_s", "e2e_planned_s", "lateness_s"):
        assert result.metrics[name].n and result.metrics[name].p50 is not None


AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
BURSTGPT = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"


def azure(at_s: float, tokens: int, answer: int) -> str:
    return f"2023-11-16 18:{15 + int(at_s // 60)}:{at_s % 60:010.7f},{tokens},{answer}\n"


def burstgpt(at_s: float, tokens: int, answer: int) -> str:
    return f"{at_s:.2f},ChatGPT,{tokens},{answer},{tokens + answer},Conversation log\n"


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("head", "line"), [(AZURE, azure), (BURSTGPT, burstgpt)], ids=["azure", "burstgpt"])
def test_a_trace_of_a_csv_is_replayed_whole_from_the_command_line(
    simulator: Simulator, tmp_path: Path, head: str, line: Callable[..., str], processes: int
) -> None:
    rows = [(n * 0.5, 30 + n % 50, 1 + n % 7) for n in range(100)]
    trace = tmp_path / "trace.csv"
    trace.write_text(head + "".join(line(*row) for row in rows))
    arguments = ["--trace", str(trace), "--time-scale", "20", *spread(processes)]
    with process(load(simulator, tmp_path, "{kind: closed}", *arguments), tmp_path) as child:
        assert child.wait(60) in (0, 4), child.output.read_text()
    folder = run_folder(tmp_path)
    sent = {record.prompt_id: record for record in folder.records}
    assert len(folder.records) == 100 and sent.keys() == {f"trace:{n}" for n in range(100)}, "every row once"
    assert {record.worker for record in folder.records} == {f"w{n}" for n in range(processes)}
    assert planned_s(folder) == pytest.approx([n * 0.025 for n in range(100)], abs=0.02)
    for n, (_, tokens, answer) in enumerate(rows):
        record = sent[f"trace:{n}"]
        assert record.cap_tokens == answer and record.output_tokens is not None and record.output_tokens <= answer
        assert record.input_tokens is not None and record.input_tokens <= max(tokens + 3, 60), "a question is that long"


def test_users_are_poisson_sources_and_a_cap_refuses_aloud(simulator: Simulator, tmp_path: Path) -> None:
    arguments = ("--max-in-flight", "1", "--max-tokens", "64")
    with process(load(simulator, tmp_path, "{kind: poisson, rate: 30}", *arguments), tmp_path) as child:
        child.wait(60)
    folder = run_folder(tmp_path)
    result = measure(folder.path)
    assert result.requests.not_sent > 30, "one call takes 0.6 s"
    assert any("NOT SENT" in note for note in result.notes)
    planned = result.requests.planned
    assert planned is not None and abs(planned - 90) < 6 * 90**0.5
    assert planned == result.requests.total + result.requests.not_sent


def test_what_is_open_at_the_end_may_finish_or_is_cut_off(simulator: Simulator, tmp_path: Path) -> None:
    arrivals = "{kind: constant, rate: 10}"
    with process(load(simulator, tmp_path, arrivals, "--max-tokens", "100"), tmp_path) as child:
        child.wait(60)
    patient = run_folder(tmp_path)
    assert {record.outcome for record in patient.records} <= {Outcome.OK, Outcome.CUT_IN_THOUGHT, Outcome.TRUNCATED}
    arguments = ("--max-tokens", "400", "--extra-body", '{"ignore_eos": true}', "--stop-timeout", "0")
    with process(load(simulator, tmp_path, arrivals, *arguments), tmp_path) as child:
        child.wait(60)
    hasty = run_folder(tmp_path)
    assert len(hasty.records) == len(patient.records) == 30
    assert any(record.outcome is Outcome.CENSORED for record in hasty.records)


def test_a_stopped_open_loop_sends_nothing_more(simulator: Simulator, tmp_path: Path) -> None:
    with process(load(simulator, tmp_path, "{kind: gamma, rate: 20, cv: 2}", seconds=60), tmp_path) as child:
        wait_for(lambda: (tmp_path / "latest").exists())
        time.sleep(3)
        assert stop(child) in (0, 4)
    folder = run_folder(tmp_path)
    assert folder.manifest.finished
    assert 5 < len(folder.records) < 400
    assert folder.manifest.workers["w0"].records == len(folder.records)


FAR_AHEAD = """
import loadtests.dispatcher
loadtests.dispatcher.LEAD_S = 2.0
from loadtests.locustfile import *
"""


def test_a_stop_in_the_middle_of_a_plan_sends_all_of_it_up_to_then_and_nothing_behind(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Call k of a constant plan is planned at k / 50 s; the engine holds a hundred more when the stop comes."""
    rate = 50.0
    (tmp_path / "far_ahead.py").write_text(FAR_AHEAD)
    command = load(simulator, tmp_path, f"{{kind: constant, rate: {rate}}}", "--max-tokens", "1", seconds=60)
    command[command.index(str(LOCUSTFILE))] = str(tmp_path / "far_ahead.py")
    with process(command, tmp_path) as child:
        started(tmp_path, 60)
        assert stop(child) in (0, 3, 4)
    folder, result = run_folder(tmp_path), measure(run_folder(tmp_path).path)
    manifest = folder.manifest
    assert manifest.finished and manifest.stages is not None and manifest.stages.measure_end_ns is not None
    stopped_s = (manifest.stages.measure_end_ns - manifest.stages.began_ns) / 1e9
    planned, count = planned_s(folder), len(folder.records)
    assert planned == pytest.approx([k / rate for k in range(count)], abs=0.005), "each once, none left out"
    assert stopped_s - 1 / rate - 0.005 <= planned[-1] <= stopped_s + 1, "the plan ends when its users are gone"
    assert len({record.request_id for record in folder.records}) == count
    assert {record.outcome for record in folder.records} <= {Outcome.OK, Outcome.TRUNCATED, Outcome.CUT_IN_THOUGHT}
    assert (result.requests.planned, result.requests.not_sent) == (count, 0), "what was taken back was never planned"


def test_an_open_loop_sends_as_many_as_its_cap_allows_and_no_more(simulator: Simulator, tmp_path: Path) -> None:
    """The call that the cap refuses is known ahead, and those before it leave all the same."""
    command = load(simulator, tmp_path, "{kind: constant, rate: 40}", "--max-requests", "30", "--max-tokens", "1")
    with process(command, tmp_path) as child:
        assert child.wait(60) in (0, 3, 4)
    folder = run_folder(tmp_path)
    assert len(folder.records) == 30
    assert any("stopped by its cap" in note for note in folder.manifest.notes)
    assert folder.manifest.workers["w0"].not_sent >= 1


# -- a stall in the server ----------------------------------------------------------------------------------------

STALL_S, WINDOW_S = 2.0, 9.0


@pytest.mark.timing
def test_a_stall_shows_in_planned_time_and_not_in_a_closed_loop(tmp_path: Path) -> None:
    """Constant arrivals: a share S/W is planned in a stall of S seconds and waits S..0 s for its end, so that the
    quantile q of planned-time TTFT is S - (1 - q) W. A closed loop of n users sees n calls wait, however long."""
    with ThreadPoolExecutor() as pool:
        opened, closed = pool.map(
            lambda kind: _stalled(tmp_path, kind), ("{kind: constant, rate: 20}", "{kind: closed}")
        )
    planned = np.array([_ttft_s(record, _planned(record)) for record in opened])
    for q in (0.85, 0.90, 0.95):
        assert np.quantile(planned, q) == pytest.approx(STALL_S - (1 - q) * WINDOW_S, abs=0.2)
    assert np.quantile(planned, 0.7) < 0.2
    waited = np.array([_ttft_s(record, record.sent_last_ns or 0) for record in closed])
    assert np.sum(waited > 1) <= 2, "one call of each user"
    assert np.quantile(waited, 0.95) < 0.2


def _ttft_s(record: StreamRecord, since_ns: int) -> float:
    first = min(at for at in (record.first_reasoning_ns, record.first_answer_ns) if at is not None)
    return (first - since_ns) / 1e9


def _stalled(home: Path, arrivals: str) -> list[StreamRecord]:
    """One run of nine seconds in whose middle its server stands still for two."""
    folder = home / arrivals.split()[1].strip("},")
    folder.mkdir()
    ready = folder / "ready"
    serve = trueyield("simulate", "--port", "0", "--preset", "fast", "--ready-file", str(ready))
    with process(serve, folder) as server:
        wait_for(ready.exists)
        simulator = Simulator(ready.read_text().strip(), folder / "none")
        with process(load(simulator, folder, arrivals, "--max-tokens", "4", seconds=WINDOW_S), folder) as child:
            wait_for(lambda: any(file.stat().st_size for file in folder.glob("latest/records.jsonl")))
            time.sleep(2)
            os.kill(server.pid, signal.SIGSTOP)
            try:
                time.sleep(STALL_S)
            finally:
                os.kill(server.pid, signal.SIGCONT)
            child.wait(60)
    return run_folder(folder).records


def _late_ms(folder: Folder, stalls: list[Stall]) -> "tuple[np.ndarray, np.ndarray]":
    """sent - planned of each call, and which of them the machine held up."""
    spans = np.array([(_planned(record), record.sent_last_ns or 0) for record in folder.records]) / 1e9
    return (spans[:, 1] - spans[:, 0]) * 1e3, held_up(stalls, spans)


@pytest.mark.timing
def test_two_hundred_calls_a_second_leave_on_time(simulator: Simulator, tmp_path: Path) -> None:
    """None is lost, half of them leave within 2 ms and all but a twentieth within 5. What the machine itself held up
    is told apart; the p99 on a core of its own is told in docs/arrivals.md."""
    with watched(tmp_path) as stalls:
        command = load(simulator, tmp_path, "{kind: poisson, rate: 200}", "--max-tokens", "2", seconds=6)
        with process(command, tmp_path) as child:
            child.wait(90)
        late_ms, held = _late_ms(run_folder(tmp_path), stalls())
    assert abs(len(late_ms) - 1200) < 6 * 1200**0.5 and late_ms.min() >= 0
    p50, p95 = np.quantile(late_ms[~held], [0.5, 0.95])
    assert p50 < 2.0 and p95 < 5.0, (p50, p95, held.sum())


@pytest.mark.timing
def test_user_code_that_blocks_the_hub_makes_no_planned_call_late(simulator: Simulator, tmp_path: Path) -> None:
    """The hub stands still for 50 ms of every 150. Sent from there, a third of the calls would wait for its end, evenly
    0 to 50 ms: one in five for more than 20 ms (measured: 21 and 22 %)."""
    command = load(simulator, tmp_path, "{kind: poisson, rate: 50}", "--max-tokens", "2", seconds=6)
    blocked = str(ROOT / "benchmarks" / "blocked_locustfile.py")
    command[command.index(str(LOCUSTFILE))] = blocked
    with watched(tmp_path) as stalls:
        with process(command, tmp_path) as child:
            child.wait(90)
        late_ms, held = _late_ms(run_folder(tmp_path), stalls())
    assert abs(len(late_ms) - 300) < 6 * 300**0.5 and late_ms.min() >= 0
    late_ms = late_ms[~held]
    assert np.median(late_ms) < 5.0 and np.mean(late_ms > 20) < 0.1, np.quantile(late_ms, [0.5, 0.8, 0.9, 1])
