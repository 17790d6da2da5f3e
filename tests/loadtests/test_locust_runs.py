"""Real Locust processes against the simulator: what the server answered is what the run folder holds."""

import csv
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from locust_processes import (
    MODEL,
    Folder,
    Simulator,
    free_port,
    locust,
    process,
    run_folder,
    spread,
    started,
    stop,
    wait_for,
)

from harness.errors import DELIVERED, FAILED, Outcome
from harness.measure.runs import measure


def load(simulator: Simulator, out: Path, *arguments: str) -> list[str]:
    target = ["--endpoint", simulator.url, "--model", MODEL, "--scenario", "quick", "--out", str(out)]
    return locust("--headless", "-u", "4", "-r", "4", *target, *arguments)


def agree(folder: Folder, simulator: Simulator) -> None:
    """Every request the server saw has its record, once; completed ones have the server's token counts."""
    truth = {line["request_id"]: line for line in simulator.truth(folder.manifest.run_id)}
    records = {record.request_id: record for record in folder.records}
    assert len(records) == len(folder.records), "a record was written twice"
    done = {name for name, record in records.items() if record.outcome is not Outcome.CENSORED}
    assert done <= truth.keys()
    assert truth.keys() <= records.keys()
    assert not [record for record in records.values() if record.outcome in FAILED]
    for name in done:
        assert records[name].output_tokens == truth[name]["output_tokens"]
        assert records[name].input_tokens == truth[name]["input_tokens"]
    assert done


def complete(folder: Folder, workers: int, *notes: str) -> None:
    manifest = folder.manifest
    assert manifest.finished
    assert manifest.notes == list(notes)
    assert manifest.workers_expected == workers == len(manifest.workers)
    assert all(entry.final for entry in manifest.workers.values())
    assert sum(entry.records or 0 for entry in manifest.workers.values()) == len(folder.records)
    assert not (folder.path / "spool").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_timed_run_keeps_every_record(simulator: Simulator, tmp_path: Path, processes: int) -> None:
    with process(
        load(simulator, tmp_path, "-t", "4s", "--csv", str(tmp_path / "table"), *spread(processes)), tmp_path
    ) as child:
        assert child.wait(40) == 0, child.output.read_text()
    folder = run_folder(tmp_path)
    agree(folder, simulator)
    complete(folder, processes)
    assert (folder.path / "run.json").exists()
    stages = Counter(record.stage for record in folder.records)
    assert stages["warmup"] and stages["measure"]
    finished = sum(record.outcome is not Outcome.CENSORED for record in folder.records)
    with (tmp_path / "table_stats.csv").open() as file:
        rows = {(row["Type"], row["Name"]): int(row["Request Count"]) for row in csv.DictReader(file)}
    calls = sum(count for (kind, _), count in rows.items() if kind == "chat")
    assert calls == rows["", "Aggregated"] == finished, "one request event per call"


@pytest.mark.parametrize(("number", "processes"), [(signal.SIGTERM, 1), (signal.SIGTERM, 2), (signal.SIGINT, 1)])
def test_a_stopped_run_keeps_every_record(
    simulator: Simulator, tmp_path: Path, processes: int, number: signal.Signals
) -> None:
    with process(load(simulator, tmp_path, "-t", "60s", "--stop-timeout", "0", *spread(processes)), tmp_path) as child:
        started(tmp_path, 6)
        code = stop(child, number)
    folder = run_folder(tmp_path)
    agree(folder, simulator)
    complete(folder, processes)
    assert code in (0, 4), "nothing was lost; the window may be too short to be valid"
    assert any(record.outcome is Outcome.CENSORED for record in folder.records)


def test_a_master_and_its_workers(simulator: Simulator, tmp_path: Path) -> None:
    ports = _ports()
    worker = locust("--worker", *_worker_ports(ports))
    with (
        process(
            load(simulator, tmp_path, "-t", "60s", "--master", "--expect-workers", "2", *ports), tmp_path
        ) as master,
        process(worker, tmp_path) as first,
        process(worker, tmp_path) as second,
    ):
        started(tmp_path, 6)
        assert stop(first) == 0, first.output.read_text() or "a worker that is asked to leave says goodbye properly"
        stop(master)
        second.wait(20)
    folder = run_folder(tmp_path)
    agree(folder, simulator)
    left = next(name for name, entry in folder.manifest.workers.items() if entry.pid == first.pid)
    complete(folder, 2, f"worker {left} left before the end")


def test_a_killed_worker_makes_the_run_invalid(simulator: Simulator, tmp_path: Path) -> None:
    with process(load(simulator, tmp_path, "-t", "4s", *spread(2)), tmp_path) as child:
        folder = started(tmp_path, 6)
        victim = max(entry.pid for entry in folder.manifest.workers.values())
        os.kill(victim, signal.SIGKILL)
        assert child.wait(60) == 4, child.output.read_text()
    assert any("lost" in note for note in folder.manifest.notes)
    assert (folder.path / "spool").is_dir(), "what only the spool holds is kept"


def test_a_killed_master_takes_its_workers_with_it(simulator: Simulator, tmp_path: Path) -> None:
    with process(load(simulator, tmp_path, "-t", "60s", *spread(2)), tmp_path) as child:
        folder = started(tmp_path, 6)
        workers = [entry.pid for entry in folder.manifest.workers.values()]
        child.kill()
        child.wait()
        for pid in workers:
            _gone(pid)


def test_a_worker_imports_nothing_heavy(simulator: Simulator, tmp_path: Path) -> None:
    spy = tmp_path / "spy.py"
    spy.write_text(
        f"import sys; sys.path.append({str(Path(__file__).parents[2])!r})\n"
        "from loadtests.locustfile import *\n"
        "from locust import events\n"
        "@events.quitting.add_listener\n"
        "def _(environment, **kw):\n"
        f"    open({str(tmp_path)!r} + '/' + type(environment.runner).__name__, 'w').write('\\n'.join(sys.modules))\n"
    )
    ports = _ports()
    command = load(simulator, tmp_path, "-t", "3s", "--master", "--expect-workers", "1", *ports)
    command[command.index("-f") + 1] = str(spy)
    with (
        process(command, tmp_path) as master,
        process(locust("--worker", *_worker_ports(ports), locustfile=spy), tmp_path),
    ):
        master.wait(40)
    heavy = {"pandas", "pyarrow", "scipy", "plotly", "numpy"}
    assert not heavy & set((tmp_path / "WorkerRunner").read_text().split())
    assert not (heavy - {"numpy"}) & set((tmp_path / "MasterRunner").read_text().split())


def test_a_cap_on_requests_ends_the_run(simulator: Simulator, tmp_path: Path) -> None:
    with process(load(simulator, tmp_path, "-t", "60s", "--max-requests", "12"), tmp_path) as child:
        child.wait(40)
    folder = run_folder(tmp_path)
    agree(folder, simulator)
    assert len(folder.records) == 12
    assert any("cap" in note for note in folder.manifest.notes)
    assert folder.manifest.workers["w0"].not_sent >= 1


PROVIDERS = """
endpoints:
  engine: {{base_url: {url}, model: {model}, dialect: vllm}}
"""


def test_a_model_is_told_how_hard_and_how_long_to_think(simulator: Simulator, tmp_path: Path) -> None:
    """And the run's own word goes into its manifest, not only into its requests."""
    providers = tmp_path / "providers.yaml"
    providers.write_text(PROVIDERS.format(url=simulator.url, model=MODEL))
    target = ["--endpoint", "engine", "--providers", str(providers), "--scenario", "quick", "--out", str(tmp_path)]
    thoughts: dict[str, list[int]] = {}
    for key, value in (("reasoning_effort", "none"), ("reasoning_effort", "max"), ("max_thinking_tokens", "5")):
        flag = f"--{key.replace('_', '-')}={value}"
        command = locust("--headless", "-u", "4", "-t", "60s", "--max-requests", "12", *target, flag)
        with process(command, tmp_path) as child:
            child.wait(60)
        folder = run_folder(tmp_path)
        assert str(folder.manifest.scenario["workload"][key]) == str(folder.manifest.options[key]) == value
        delivered = [record for record in folder.records if record.outcome in DELIVERED]
        assert len(delivered) > 4
        thoughts[value] = [record.reasoning_tokens or 0 for record in delivered]
        assert not any("thought" in note for note in measure(folder.path).notes), "all as it was told"
    assert set(thoughts["none"]) == {0} and set(thoughts["5"]) == {5}
    assert sum(thoughts["max"]) > 10 * len(thoughts["max"])


def test_a_dead_target_is_not_hammered(simulator: Simulator, tmp_path: Path) -> None:
    dead = Simulator(f"http://127.0.0.1:{free_port()}/v1", simulator.truth_file)
    with process(load(dead, tmp_path, "-t", "3s"), tmp_path, TRUEYIELD_PREFLIGHT="{}") as child:
        assert child.wait(40) == 4, child.output.read_text()  # not one request was answered
    folder = run_folder(tmp_path)
    assert {record.outcome for record in folder.records} == {Outcome.CONNECT_ERROR}
    assert len(folder.records) <= 4 * 7, "four users, pauses of 0.1, 0.2, 0.4, 0.8, 1, 1 s"


def _ports() -> list[str]:
    return ["--master-bind-port", str(free_port())]


def _worker_ports(ports: list[str]) -> list[str]:
    return ["--master-port", ports[1]]


def _gone(pid: int) -> None:
    def gone() -> bool:
        return subprocess.run(["kill", "-0", str(pid)], capture_output=True).returncode != 0

    wait_for(gone, 10)
