"""Sweeping: a book of a sweep in, its missing runs made one after the other, each a `trueyield run` of its own."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.cli.run import Setting
from harness.config import default_providers_path
from harness.errors import ExitCode, InputError
from harness.load.orders import Order
from harness.load.places import child_environment
from harness.price.economics import read_economics
from harness.records import read_manifest
from harness.report.contents import SweepContents, read_sweep_contents
from harness.report.screen.frontier import quoted_goal
from harness.sweep.book import Asked, Book, Skipped, entry_of, load_of, write_book
from harness.sweep.goals import goal_named
from harness.sweep.search import Next, Trial, next_run, skipped
from harness.sweep.seeds import seed_of

#: From harmless to worst; a run that ends with one of the last two ends the sweep.
_SEVERITY = (ExitCode.PASSED, ExitCode.GATE_FAILED, ExitCode.INVALID, ExitCode.BAD_INPUT, ExitCode.BUG)
#: What a search looks for until a level has a value for something better.
_FALLBACK = "tokens_per_s"


class Sweeping:
    """Makes runs until the search has nothing left to ask. The folder is all of its memory."""

    def __init__(self, folder: Path, book: Book, asked: Asked, order: Order, setting: Setting) -> None:
        self._folder, self._book, self._asked = folder, book, asked
        self._order = order
        self._flags = _child_flags(order, setting)
        self._child = _Child()
        self._spent_usd = 0.0

    def finish(self) -> int:
        """The report's exit code: it judges all runs together. Of the runs' own only what stops a sweep counts."""
        self._drop_unfinished()
        worst = ExitCode.PASSED
        while not self._child.stopped and (step := self._next()) is not None:
            code = self._run(step)
            if code is None:
                break
            if code in (ExitCode.BAD_INPUT, ExitCode.BUG):
                worst = code
                break
        if any(_is_finished(self._folder / entry.run) for entry in self._book.levels):
            worst = max(worst, self._child.run(["report", str(self._folder)]), key=_SEVERITY.index)
        if worst is not ExitCode.PASSED or self._child.stopped:
            text = f"sweep {self._folder}: exit code {int(worst)}; go on with: trueyield sweep --resume {self._folder}"
            click.echo(text, err=True)
        return worst

    def _drop_unfinished(self) -> None:
        """Runs that were broken off are made again; what they left behind is evidence, so it is renamed."""
        kept = []
        for entry in self._book.levels:
            folder = self._folder / entry.run
            if _is_finished(folder):
                click.echo(f"{entry.run}: finished before", err=True)
                self._spent_usd += _spent_usd(folder, 0.0)
                kept.append(entry)
            else:
                _put_aside(folder)
        self._write(msgspec.structs.replace(self._book, levels=kept))

    def _next(self) -> Next | None:
        contents = read_sweep_contents(self._folder)
        search = self._asked.search(_goal(contents))
        trials = _trials(contents, search.goal.key)
        left_out = [Skipped(**load_of(level), why=why) for level, why in skipped(search, trials)]
        if left_out != self._book.skipped:
            for one in left_out:
                click.echo(f"{one.level.words}: not run: {one.why}", err=True)
            self._write(msgspec.structs.replace(self._book, skipped=left_out))
        return next_run(search, trials)

    def _run(self, step: Next) -> ExitCode | None:
        """None: the cap is spent."""
        name = self._name(step)
        seed = seed_of(self._order.seed, step.role, name)
        place = [step.level.option, f"--out={self._folder}", f"--run-id={name}", f"--seed={seed}"]
        if step.level.unit == "rate":  # a backlog that grows without bound has said all that it can
            place.append("--stop-when-oversaturated")
        if self._order.max_usd is not None:  # one cap for the whole command
            left = self._order.max_usd - self._spent_usd
            if left <= 0:
                click.echo(f"{name}: not run, the cap of ${self._order.max_usd:g} is spent", err=True)
                return None
            place.append(f"--max-usd={left!r}")
        why = "" if step.role == "level" else f" ({step.why})"
        click.echo(f"{name}: {step.level.words}{why}", err=True)
        entry = entry_of(step.level, name, step.role)
        self._write(msgspec.structs.replace(self._book, levels=[*self._book.levels, entry]))
        code = self._child.run(["run", *self._flags, *place], quiet=True)
        self._spent_usd += _spent_usd(self._folder / name, self._order.max_usd or 0.0)
        return code

    def _name(self, step: Next) -> str:
        taken = {entry.run for entry in self._book.levels}
        names = [step.level.folder, *(f"{step.level.folder}.{number}" for number in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)

    def _write(self, book: Book) -> None:
        self._book = book
        write_book(self._folder, book)


class _Child:
    """Runs one command at a time. The first Ctrl-C or SIGTERM lets it drain, and ends the sweep after it."""

    def __init__(self) -> None:
        self.stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(signal.SIGTERM, self._interrupted)

    def run(self, arguments: list[str], *, quiet: bool = False) -> ExitCode:
        """Run `trueyield <arguments>` and wait. `quiet`: without the closing table."""
        environment = {**child_environment(), **({"TRUEYIELD_CLOSING_TABLE": "no"} if quiet else {})}
        self._process = subprocess.Popen([sys.executable, "-m", "harness", *arguments], env=environment)
        code = self._process.wait()
        return ExitCode(code) if code in set(ExitCode) else ExitCode.BUG

    def _interrupted(self, number: int, _frame: object) -> None:
        self.stopped = True
        # A terminal sends Ctrl-C to the whole group; SIGTERM comes to us alone.
        if number == signal.SIGTERM and self._process is not None and self._process.poll() is None:
            self._process.terminate()


def _goal(contents: SweepContents) -> str:
    goal = quoted_goal(contents)
    return _FALLBACK if goal is None else goal.key


def _trials(contents: SweepContents, goal: str) -> list[Trial]:
    return [run.trial(goal_named(goal)) for run in contents.runs]


def _child_flags(order: Order, setting: Setting) -> list[str]:
    pairs: list[tuple[str, Any]] = [
        ("--endpoint", order.endpoint),
        ("--model", order.model),
        ("--providers", setting.providers or default_providers_path()),
        ("--arrivals", order.arrivals),
        ("--spawn-rate", order.spawn_rate),
        ("--run-time", None if order.run_time_s is None else f"{order.run_time_s:.0f}s"),
        ("--stop-timeout", None if order.stop_timeout_s is None else f"{order.stop_timeout_s:.0f}s"),
        ("--processes", setting.processes),
        ("--max-tokens", order.max_tokens),
        ("--temperature", order.temperature),
        ("--reasoning-effort", order.reasoning_effort),
        ("--max-thinking-tokens", order.max_thinking_tokens),
        ("--extra-body", order.extra_body or None),
        ("--max-requests", order.max_requests),
        ("--metrics-port", setting.metrics_port),
        *(("--header", text) for text in order.headers),
    ]
    switches = ["--keep-awake"] if order.keep_awake else []
    return [order.scenario, "--yes", *switches, *(f"{name}={value}" for name, value in pairs if value is not None)]


def _is_finished(folder: Path) -> bool:
    """Only a run whose books were closed and whose report was made counts."""
    try:
        return read_manifest(folder).finished and (folder / "run.json").exists()
    except (OSError, msgspec.MsgspecError):
        return False


def _spent_usd(folder: Path, otherwise: float) -> float:
    """At most what a level has cost, unknown usage at its worst case; `otherwise` where nobody can tell any more."""
    if not folder.exists():
        return 0.0
    try:
        bill = read_economics(folder).test_bill
    except InputError:
        return otherwise
    return (bill.usd_known or 0.0) + (bill.usd_unknown_max or 0.0)


def _put_aside(folder: Path) -> None:
    """An unfinished level is evidence, so it is renamed, never deleted."""
    number = 1
    while folder.exists():
        aside = folder.with_name(f"{folder.name}.unfinished-{number}")
        if not aside.exists():
            folder.rename(aside)
        number += 1
