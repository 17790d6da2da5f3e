"""`trueyield sweep`: one run folder for each level, resumable, and one report over all."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from locust_processes import environment, trueyield

from harness.cli import sweep, sweeping
from harness.cli.run import Setting
from harness.errors import ExitCode
from harness.load.orders import Order
from harness.records import read_manifest
from harness.report.contents import read_run_contents
from harness.sweep.book import Asked, Book, read_book
from harness.sweep.levels import read_levels
from harness.sweep.search import Next
from harness.sweep.seeds import seed_of


def call(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = trueyield("sweep", *arguments)
    return subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200)


@pytest.mark.timeout(240)
def test_a_sweep_of_the_embedded_simulator(tmp_path: Path) -> None:
    """A sweep that got no further than its first level is resumed, as it was asked and with nothing said again: each
    level is run once, the best one again, and one report is over all."""
    load = ["quick", "--endpoint", "simulator", "--run-time", "3s", "--max-tokens", "64", "--out", "runs"]
    done = call(tmp_path, *load, "--users", "2,4")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = (tmp_path / "runs" / "latest").resolve()
    whole = json.loads((folder / "sweep.json").read_text())
    first, second, rerun = whole["levels"]
    assert (first, second["run"]) == ({"users": 2, "run": "users-0002"}, "users-0004")
    assert rerun == {"users": rerun["users"], "run": f"users-{rerun['users']:04}.2", "role": "confirm"}
    assert "confirmed" in done.stdout

    (folder / "sweep.json").write_text(json.dumps({**whole, "levels": [first, second]}))
    (folder / second["run"] / "run.json").unlink()  # broken off before its report
    kept = (folder / first["run"] / "manifest.json").read_bytes()
    shutil.rmtree(folder / rerun["run"])

    again = call(tmp_path, "--resume", str(folder))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "users-0002: finished before" in again.stderr
    assert (folder / first["run"] / "manifest.json").read_bytes() == kept
    assert (folder / f"{second['run']}.unfinished-1").exists(), "what was broken off is evidence"
    levels = json.loads((folder / "sweep.json").read_text())["levels"]
    assert [level.get("role") for level in levels] == [None, None, "confirm"]
    for level in levels:
        manifest = read_manifest(folder / level["run"])
        assert manifest.finished and manifest.scenario["users"] == level["users"]
        assert manifest.scenario["run_time_s"] == 3 and manifest.scenario["workload"]["max_tokens"] == 64
        assert manifest.seed == seed_of(1, level.get("role", "level"), level["run"])
        assert (folder / level["run"] / "economics.json").exists()
    assert (folder / "report.html").exists()


@pytest.mark.timeout(240)
def test_a_sweep_of_rates(tmp_path: Path) -> None:
    load = ["quick", "--endpoint", "simulator", "--run-time", "3s", "--max-tokens", "64", "--out", "runs"]
    done = call(tmp_path, *load, "--rate", "4,8", "--arrivals", "constant", "--no-confirm", "--at", "1,100000")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = (tmp_path / "runs" / "latest").resolve()
    levels = json.loads((folder / "sweep.json").read_text())["levels"]
    assert levels == [{"rate": 4.0, "run": "rate-4"}, {"rate": 8.0, "run": "rate-8"}]
    assert read_manifest(folder / "rate-4").scenario["arrivals"]["kind"] == "constant"
    assert read_run_contents(folder / "rate-8").run.requests.total == pytest.approx(24, abs=1)
    assert "req/s" in done.stdout
    assert "at 1 tok/s/user: at least" in done.stdout and "at 100,000 tok/s/user: not reached" in done.stdout


def test_users_and_rates_are_two_sweeps(tmp_path: Path) -> None:
    done = call(tmp_path, "quick", "--endpoint", "simulator", "--users", "2,4", "--rate", "1,2")
    assert done.returncode == 2
    assert "one of the two" in done.stderr


def test_what_a_search_cannot_look_for(tmp_path: Path) -> None:
    done = call(tmp_path, "quick", "--endpoint", "simulator", "--search", "--goal", "load", "--top", "32")
    assert done.returncode == 2
    assert "slos" in done.stderr and "--top" in done.stderr, "both mistakes at once"


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
        return ExitCode.PASSED

    costs = iter([0.4, 0.7])
    monkeypatch.setattr(sweeping._Child, "run", run)
    monkeypatch.setattr(sweeping, "_spent_usd", lambda folder, otherwise: next(costs))
    asked = Asked(levels=read_levels("1,2,3", "users"))
    order = Order(endpoint="simulator", scenario="quick", max_usd=1.0)
    setting = Setting(providers=None, out=tmp_path, processes=1, metrics_port=None, yes=True)
    sweeping.Sweeping(tmp_path, Book(sweep_id="test", asked=asked), asked, order, setting).finish()
    assert caps == [1.0, pytest.approx(0.6)], "the third level is not run: the cap is spent"


def test_only_levels_that_were_asked_for_ask_the_same_and_a_resumed_sweep_draws_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a search, a repeat or a rerun draws hangs on its name, however often the sweep was begun."""
    steps = [Next(level=level, role="level", why="") for level in read_levels("2,4", "rate")]
    steps += [Next(level=steps[0].level, role="repeat", why="")] * 2 + [
        Next(level=steps[1].level, role="confirm", why="")
    ]

    def seeds_of(book: Book, left: list[Next]) -> list[str]:
        drawn, coming = [], iter([*left, None])
        monkeypatch.setattr(sweeping.Sweeping, "_next", lambda self: next(coming))
        monkeypatch.setattr(sweeping, "_is_finished", lambda folder: True)

        def run(self: object, arguments: list[str], *, quiet: bool = False) -> ExitCode:
            drawn.extend(word for word in arguments if word.startswith("--seed") and arguments[0] == "run")
            return ExitCode.PASSED

        monkeypatch.setattr(sweeping._Child, "run", run)
        order = Order(endpoint="simulator", scenario="quick", seed=7)
        setting = Setting(providers=None, out=tmp_path, processes=1, metrics_port=None, yes=True)
        sweeping.Sweeping(tmp_path, book, Asked(levels=()), order, setting).finish()
        return drawn

    whole = seeds_of(Book(sweep_id="test"), steps)
    assert whole[:2] == ["--seed=7"] * 2
    assert len(set(whole)) == 4
    begun = read_book(tmp_path)
    for made in range(len(steps)):
        resumed = msgspec.structs.replace(begun, levels=begun.levels[:made])
        assert seeds_of(resumed, steps[made:]) == whole[made:]


def test_a_level_that_nobody_can_price_has_spent_its_cap(tmp_path: Path) -> None:
    assert sweeping._spent_usd(tmp_path / "never-run", 1.0) == 0.0
    assert sweeping._spent_usd(tmp_path, 1.0) == 1.0
