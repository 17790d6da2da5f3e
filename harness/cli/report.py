"""A run or sweep folder in, everything that is missing in it and the closing table out."""

import sys
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from harness.errors import ExitCode, TrueyieldError
from harness.measure.runs import measure, write_run
from harness.price.economics import price, write_economics
from harness.report.contents import RunContents, is_sweep, level_folders, read_run_contents, read_sweep_contents
from harness.report.documents import write_report, write_run_report
from harness.report.gates import Verdict, judge, read_verdicts, with_default, write_verdicts
from harness.report.screen import frontier
from harness.report.screen.frontier import reached_speeds
from harness.report.terminal import closing_table
from harness.sweep.book import load_of


@dataclass(slots=True)
class _Rebuild:
    """What could not be made: said at the end, never a reason to stop before the rest is made."""

    anew: bool
    trouble: list[str] = field(default_factory=list)


@click.command(name="report")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document {run, economics, verdicts} on stdout.")
@click.option("--anew", is_flag=True, help="Measure and price again, also where the results are there.")
@click.option("--open", "open_page", is_flag=True, help="Show report.html in the browser.")
def command(folder: Path, as_json: bool, anew: bool, open_page: bool) -> int:
    """Write what is missing in a run or sweep FOLDER (run.json, economics.json, verdicts.json, report.html).

    Prints the closing table. Exit code: 4 if the measurement is invalid (in a sweep: if a level has no valid run), 3 if
    a gate of the scenario failed (in a sweep: at the level that is quoted), 1 if a part could not be made, else 0.
    """
    work = _Rebuild(anew)
    code = _sweep(folder, work) if is_sweep(folder) else _run(folder, work)
    page = _page(folder, work)
    if as_json:
        sys.stdout.write(msgspec.json.encode(_document(folder)).decode() + "\n")
    else:
        Console().print(closing_table(folder))
    for text in work.trouble:
        click.echo(f"trueyield: {text}", err=True)
    if page is not None:
        click.echo(f"report: {page}", err=True)
        if open_page:
            webbrowser.open(page.resolve().as_uri())
    return code or (ExitCode.BUG if work.trouble else ExitCode.PASSED)


def _run(folder: Path, work: _Rebuild) -> int:
    """Make run.json, economics.json and verdicts.json of one run; its exit code."""
    if work.anew or not (folder / "run.json").is_file():
        write_run(folder, measure(folder))
    if work.anew or not (folder / "economics.json").is_file():
        try:
            write_economics(folder, price(folder))
        except Exception as error:  # what was measured is still worth a report
            work.trouble.append(f"{folder}: could not be priced: {_told(error)}")
    contents = read_run_contents(folder)
    verdicts: list[Verdict] = []
    try:
        verdicts = judge(contents, with_default(contents.gates))
    except TrueyieldError as error:  # a gate of the scenario that cannot be read has not passed
        verdicts = [Verdict(gate=gate, passed=False, found=None, reason=_told(error)) for gate in contents.gates]
    write_verdicts(folder, verdicts)
    if not contents.run.valid:
        return ExitCode.INVALID
    return ExitCode.PASSED if all(verdict.passed for verdict in verdicts) else ExitCode.GATE_FAILED


def _sweep(folder: Path, work: _Rebuild) -> int:
    """Make every level, then judge: the frontier needs all of them, the gates are those of the quoted one."""
    codes: dict[Path, int] = {}
    for level in level_folders(folder):
        try:
            codes[level] = _run(level, work)
        except TrueyieldError as error:
            work.trouble.append(_told(error))
            codes[level] = ExitCode.INVALID
    sweep = read_sweep_contents(folder)
    for contents in sweep.readable:  # only now is it known how loaded each level was
        _page(contents.folder, work, contents)
    found = frontier(sweep)
    if found.best is None or not found.valid:
        return ExitCode.INVALID
    return codes[folder / found.best.name]


def _page(folder: Path, work: _Rebuild, contents: RunContents | None = None) -> Path | None:
    try:
        return write_report(folder) if contents is None else write_run_report(contents)
    except Exception as error:  # the closing table and the numbers do not depend on a page
        work.trouble.append(f"{folder}: report.html could not be written: {_told(error)}")
        return None


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, TrueyieldError) else f"{type(error).__name__}: {error}"


def _document(folder: Path) -> dict[str, Any]:
    """{run, economics, verdicts} of a run; {sweep, best, levels: [...]} of a sweep."""
    if not is_sweep(folder):
        contents = read_run_contents(folder)
        return {"run": contents.run, "economics": contents.economics, "verdicts": read_verdicts(folder)}
    sweep = read_sweep_contents(folder)
    found = frontier(sweep)
    levels = [
        {
            **load_of(run.level),
            "folder": run.name,
            "role": run.role,
            **(_document(folder / run.name) if run.contents else {}),
        }
        for run in sweep.runs
    ]
    return {"sweep": sweep.sweep_id, "best": found.best.name if found.best else None,
            "best_for": found.best_for, "valid": found.valid, "levels": levels,
            "at_interactivity": reached_speeds(sweep, found.runs)}  # fmt: skip
