"""`trueyield sweep`: one run folder for each level, resumable, and one report over all."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from locust_processes import environment, trueyield

from harness.cli import sweep
from harness.errors import ExitCode
from harness.records import read_manifest


def call(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = trueyield("sweep", *arguments)
    return subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=100)


def test_a_sweep_of_the_embedded_simulator(tmp_path: Path) -> None:
    """A sweep that got no further than its first level is resumed: each level is run once, one report is over both."""
    load = ["quick", "--endpoint", "simulator", "--run-time", "3s", "--max-tokens", "64", "--out", "runs"]
    done = call(tmp_path, *load, "--users", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = (tmp_path / "runs" / "latest").resolve()
    begun = json.loads((folder / "sweep.json").read_text())
    levels = [{"users": 2, "run": "users-0002"}, {"users": 4, "run": "users-0004"}]
    assert begun["levels"] == levels[:1]
    (folder / "sweep.json").write_text(json.dumps({**begun, "levels": levels}))
    kept = (folder / "users-0002" / "manifest.json").read_bytes()

    again = call(tmp_path, *load, "--resume", str(folder))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "users-0002: finished before" in again.stderr
    assert (folder / "users-0002" / "manifest.json").read_bytes() == kept
    for level in levels:
        assert read_manifest(folder / level["run"]).finished
        assert read_manifest(folder / level["run"]).scenario["users"] == level["users"]
        assert (folder / level["run"] / "economics.json").exists()
    assert (folder / "report.html").exists()
    assert "users" in again.stdout


def test_levels_are_run_lowest_first_and_once() -> None:
    assert sweep.user_counts(None, None, "16,4,64,4") == (4, 16, 64)  # type: ignore[arg-type]


@pytest.mark.parametrize("users", ["", "0,4", "four", "4,-1"])
def test_levels_that_are_none(users: str) -> None:
    outcome = CliRunner().invoke(sweep.command, ["quick", "--endpoint", "simulator", "--users", users])
    assert outcome.exit_code == 2
    assert "user counts" in outcome.output


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = call(tmp_path, "quick", "--endpoint", "simulator", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "worst case" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_one_cap_for_all_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caps = []

    def run(self: object, arguments: list[str], *, quiet: bool = False) -> ExitCode:
        flags = dict(word.partition("=")[::2] for word in arguments if word.startswith("--"))
        if arguments[0] == "run":
            caps.append(float(flags["--max-usd"]))
            (tmp_path / flags["--run-id"]).mkdir()
        return ExitCode.PASSED

    costs = iter([0.4, 0.7])
    monkeypatch.setattr(sweep._Child, "run", run)
    monkeypatch.setattr(sweep, "_spent_usd", lambda folder, otherwise: next(costs))
    levels = [sweep._Level(users=count, run=f"users-{count}") for count in (1, 2, 3)]
    sweep._sweep(tmp_path, levels, ["quick"], 1.0)
    assert caps == [1.0, pytest.approx(0.6)], "the third level is not run: the cap is spent"


def test_a_level_that_nobody_can_price_has_spent_its_cap(tmp_path: Path) -> None:
    assert sweep._spent_usd(tmp_path / "never-run", 1.0) == 0.0
    assert sweep._spent_usd(tmp_path, 1.0) == 1.0
