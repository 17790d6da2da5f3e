"""`--keep-awake` in real processes: held while a run lasts and no longer, or refused before anything is sent."""

import os
from pathlib import Path

import pytest
from locust_processes import MODEL, Simulator, free_port, locust, process, run_folder, started, wait_for

from harness.cli.run import command
from harness.errors import InputError
from harness.load import machine
from harness.load.machine import LATENCY, not_allowed
from harness.measure.runs import measure
from tests.loadtests.test_locust_web_ui import START, Page


def holders() -> set[int]:
    """Processes that hold the file open."""
    found = set()
    for process_folder in Path("/proc").glob("[0-9]*"):
        try:
            targets = [os.readlink(link) for link in (process_folder / "fd").iterdir()]
        except OSError:
            continue
        if str(LATENCY) in targets:
            found.add(int(process_folder.name))
    return found


def test_cpus_are_awake_while_a_run_lasts_and_not_between_two(simulator: Simulator, tmp_path: Path) -> None:
    port, runs = free_port(), tmp_path / "runs"
    target = ["--endpoint", simulator.url, "--model", MODEL, "--scenario", "quick", "--out", str(runs)]
    with process(locust("--web-port", str(port), "--keep-awake", *target), tmp_path) as child:
        if not_allowed():
            assert child.wait(40) == 2 and str(LATENCY) in child.output.read_text()
            return
        page = Page(port)
        wait_for(page.up)
        assert child.pid not in holders()
        page("POST", "/swarm", START)
        started(runs, 4)
        assert child.pid in holders()
        page("POST", "/stop", {})
        wait_for(lambda: child.pid not in holders())
    folder = run_folder(runs)
    assert folder.manifest.options["keep_awake"]
    share = folder.manifest.workers["w0"].stolen_share
    assert share is not None and 0 <= share <= 1
    told = [note for note in measure(folder.path).notes if "CPU time" in note]
    assert len(told) == (share > 0.02) and not any("--keep-awake" in note for note in told)


def test_who_may_not_is_told_before_anything_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LATENCY", tmp_path / "none")
    words = ["quick", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m", "--keep-awake", "--out", str(tmp_path)]
    with pytest.raises(InputError) as caught:
        command.main(words, standalone_mode=False)
    assert [mistake.key for mistake in caught.value.mistakes] == ["--keep-awake"]
    assert list(tmp_path.iterdir()) == []
