"""A queue in front of the endpoint measures its ceiling; an open loop beyond the ceiling ends early and says so."""

import time
from pathlib import Path

import pytest
from locust_processes import MODEL, Folder, Simulator, locust, process, run_folder, simulate, spread

from harness.config import load_catalog
from harness.errors import Outcome
from harness.load.prompts import make_prompt
from harness.load.scenarios import Workload
from harness.measure.results import RunResult
from harness.measure.runs import measure
from harness.simulator.building import Knobs, build_model, build_settings, deployment_of
from harness.simulator.model import NS
from harness.simulator.presets import PRESETS
from harness.simulator.texts import AnswerKey
from harness.simulator.virtual import VirtualEdge, plain_questions

pytestmark = pytest.mark.timing

#: eight at once, about 9 ms a step
SLOTS, EFFICIENCY = 8, 0.15
SCENARIO = """
description: beyond the ceiling
workload: {{families: [arithmetic], difficulty: 1, max_tokens: 256}}
users: 2
run_time_s: {seconds}
warm_up_s: {warm_up}
stop_timeout_s: 20
arrivals: {arrivals}
{more}
"""


def truth() -> tuple[float, float]:
    """(output tokens/s, requests/s) of the simulator's own model when work always waits, in virtual time."""
    preset, catalog = PRESETS["fast"], load_catalog()
    deployment = deployment_of(preset, catalog.accelerators, catalog.models)
    knobs = Knobs(max_batch=SLOTS, efficiency=EFFICIENCY)
    workload = Workload(families=("arithmetic",), difficulty=1, max_tokens=256)

    def asked(number: int) -> str:
        return make_prompt(workload, 1, number, "truth").messages[0]["content"]

    author = build_settings(preset, deployment, knobs, AnswerKey()).author
    edge = VirtualEdge(build_model(preset, deployment, knobs), author, plain_questions(asked, 256))
    truths = [found for found, _ in edge.closed_loop(3 * SLOTS, 60 * NS)]
    return sum(found.output_tokens for found in truths) / 60, sum(not found.aborted for found in truths) / 60


def run(
    simulator: Simulator, out: Path, arrivals: str, *arguments: str, **scenario: object
) -> tuple[Folder, RunResult]:
    file = out / "mine.yaml"
    settings = {"seconds": 20, "warm_up": 8, "more": "", **scenario}
    file.write_text(SCENARIO.format(arrivals=arrivals, **settings))
    target = ["--endpoint", simulator.url, "--model", MODEL, "--scenario", str(file), "--out", str(out)]
    with process(locust("--headless", *target, *arguments), out) as child:
        assert child.wait(100) in (0, 4), child.output.read_text()  # 4: a busy machine reads and starts late
    folder = run_folder(out)
    return folder, measure(folder.path)


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_queue_finds_the_ceiling(tmp_path: Path, processes: int) -> None:
    with simulate(tmp_path, "--max-batch", str(SLOTS), "--efficiency", str(EFFICIENCY)) as simulator:
        arrivals = "{kind: queued, ahead: 4, max_in_flight: 200}"
        folder, result = run(simulator, tmp_path, arrivals, *spread(processes))
    ceiling, _ = truth()
    assert result.throughput.output_tokens_per_s == pytest.approx(ceiling, rel=0.05)
    assert result.load.state == "saturated", result.load.evidence
    assert result.requests.failed == 0 and result.requests.planned is None
    assert not result.metrics["lateness_s"].n, "a queue plans nothing, so nothing can be late"
    assert all(record.planned_ns is None for record in folder.records)
    queues = [entry.queue for entry in folder.manifest.workers.values()]
    assert [queue.ahead for queue in queues if queue] == [4 // processes] * processes
    for queue in queues:
        assert queue is not None and queue.stood_s is not None
        assert queue.stood_s < 12 and queue.open_calls <= 100, "seven seconds and 14 calls where nothing holds it up"
    assert any("the queue stood" in note for note in result.notes)


def test_an_endpoint_without_a_ceiling_stops_at_the_cap_and_is_told_so(tmp_path: Path) -> None:
    """Sixty-four slots, eight calls of a third of a second: nothing ever waits."""
    with simulate(tmp_path, "--efficiency", str(EFFICIENCY)) as simulator:
        arrivals = "{kind: queued, ahead: 4, max_in_flight: 8}"
        folder, result = run(simulator, tmp_path, arrivals, seconds=6, warm_up=1)
    assert any("NO QUEUE" in note for note in result.notes)
    assert result.load.state != "saturated"
    (entry,) = folder.manifest.workers.values()
    assert entry.queue is not None and entry.queue.open_calls == 8


def test_a_cap_on_requests_ends_a_queue(tmp_path: Path) -> None:
    with simulate(tmp_path) as simulator:
        folder, _ = run(simulator, tmp_path, "{kind: queued, ahead: 4}", "--max-requests", "30", warm_up=0)
    assert len(folder.records) == 30
    assert any("stopped by its cap" in note for note in folder.manifest.notes)


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_run_beyond_the_ceiling_ends_early(tmp_path: Path, processes: int) -> None:
    tokens, requests = truth()
    arguments = ["--stop-when-oversaturated", *spread(processes)]
    with simulate(tmp_path, "--max-batch", str(SLOTS), "--efficiency", str(EFFICIENCY)) as simulator:
        began = time.monotonic()
        arrivals = f"{{kind: poisson, rate: {1.6 * requests:.2f}}}"
        folder, result = run(simulator, tmp_path, arrivals, *arguments, seconds=90, warm_up=4)
        took_s = time.monotonic() - began
    assert took_s < 60, "ninety seconds were planned"
    (note,) = [note for note in result.notes if "stopped early: over-saturated after" in note]
    assert all("the client" in reason for reason in result.invalid_reasons), "valid, but for a busy machine"
    assert result.load.state == "saturated", result.load.evidence
    assert sum(record.outcome is Outcome.CENSORED for record in folder.records) > 0, note
    assert result.throughput.output_tokens_per_s == pytest.approx(tokens, rel=0.08)
