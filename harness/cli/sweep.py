"""`trueyield sweep`: one scenario at several loads, each a `run` of its own, and a report over all of them."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.cli.forecast import forecast
from harness.cli.run import Setting, allow_spending, checked_plan, load_options, order_of
from harness.config import default_providers_path
from harness.errors import ExitCode, InputError, Mistake
from harness.load.clock import wall_ns
from harness.load.orders import Order
from harness.load.places import child_environment
from harness.price.economics import read_economics
from harness.records import read_manifest

SWEEP_SCHEMA = 1
#: From harmless to worst; a level that ends with one of the last two ends the sweep.
_SEVERITY = (ExitCode.PASSED, ExitCode.GATE_FAILED, ExitCode.INVALID, ExitCode.BAD_INPUT, ExitCode.BUG)


class _Level(msgspec.Struct, frozen=True, kw_only=True):
    users: int
    run: str  # sub folder


class SweepFile(msgspec.Struct, frozen=True, kw_only=True):
    """sweep.json"""

    schema: int = SWEEP_SCHEMA
    sweep_id: str
    scenario: str
    endpoint: str
    levels: list[_Level]


def user_counts(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, ...]:
    """4,16,64 -> the loads, lowest first, each once."""
    try:
        levels = tuple(sorted({int(part) for part in value.split(",")}))
    except ValueError:
        levels = ()
    if not levels or levels[0] < 1:
        raise click.BadParameter(f"{value!r} is not a list of user counts such as 4,16,64")
    return levels


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenario", required=False)
@click.option("--users", callback=user_counts, default="4,16,64", show_default=True, help="Loads, lowest first.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Finish the missing levels of a sweep.")
@load_options
def command(scenario: str | None, users: tuple[int, ...], resume: Path | None, dry_run: bool, **options: Any) -> int:
    """Run one scenario at several loads and report the frontier."""
    if resume is not None:
        old = _read(resume)
        scenario, users = scenario or old.scenario, tuple(level.users for level in old.levels)
        options["endpoint"] = options["endpoint"] or old.endpoint
    order = order_of(scenario, {**options, "users": max(users)})
    setting = Setting(
        providers=options["providers"],
        out=options["out"],
        processes=options["processes"],
        metrics_port=options["metrics_port"],
        yes=options["yes"],
    )
    plan = checked_plan(order, setting, needs_key=not dry_run)
    if dry_run:
        click.echo(f"sweep of {', '.join(map(str, users))} users; the highest level:\n")
        forecast(plan).show()
        return ExitCode.PASSED
    allow_spending(order, setting, forecast(plan))
    folder = resume or _new_folder(setting.out, plan.scenario.name)
    levels = [_Level(users=count, run=f"users-{count:04}") for count in users]
    _write(folder, SweepFile(sweep_id=folder.name, scenario=order.scenario, endpoint=order.endpoint, levels=levels))
    return _sweep(folder, levels, _child_flags(order, setting), order.max_usd)


def _sweep(folder: Path, levels: list[_Level], flags: list[str], max_usd: float | None) -> int:
    worst, spent_usd = ExitCode.PASSED, 0.0
    child = _Child()
    for level in levels:
        if _is_finished(folder / level.run):
            click.echo(f"{level.run}: finished before", err=True)
            continue
        click.echo(f"{level.run}: {level.users} users", err=True)
        _put_aside(folder / level.run)
        place = [f"--users={level.users}", f"--out={folder}", f"--run-id={level.run}"]
        if max_usd is not None:  # one cap for the whole command
            left = max_usd - spent_usd
            if left <= 0:
                click.echo(f"{level.run}: not run, the cap of ${max_usd:g} is spent", err=True)
                break
            place.append(f"--max-usd={left!r}")
        code = child.run(["run", *flags, *place], quiet=True)
        spent_usd += _spent_usd(folder / level.run, max_usd or 0.0)
        worst = max(worst, code, key=_SEVERITY.index)
        if code in (ExitCode.BAD_INPUT, ExitCode.BUG) or child.stopped:
            break
    if any(_is_finished(folder / level.run) for level in levels):
        worst = max(worst, child.run(["report", str(folder)]), key=_SEVERITY.index)
    if worst is not ExitCode.PASSED:
        click.echo(f"sweep {folder}: exit code {int(worst)}; go on with: trueyield sweep --resume {folder}", err=True)
    return worst


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


def _child_flags(order: Order, setting: Setting) -> list[str]:
    pairs: list[tuple[str, Any]] = [
        ("--endpoint", order.endpoint),
        ("--model", order.model),
        ("--providers", setting.providers or default_providers_path()),
        ("--spawn-rate", order.spawn_rate),
        ("--run-time", None if order.run_time_s is None else f"{order.run_time_s:.0f}s"),
        ("--stop-timeout", None if order.stop_timeout_s is None else f"{order.stop_timeout_s:.0f}s"),
        ("--processes", setting.processes),
        ("--max-tokens", order.max_tokens),
        ("--temperature", order.temperature),
        ("--extra-body", order.extra_body or None),
        ("--max-requests", order.max_requests),
        ("--metrics-port", setting.metrics_port),
        ("--seed", order.seed),
        *(("--header", text) for text in order.headers),
    ]
    return [order.scenario, "--yes", *(f"{name}={value}" for name, value in pairs if value is not None)]


def _new_folder(out: Path, scenario: str) -> Path:
    stamp = _stamp(wall_ns())
    folder = out / f"{stamp}-sweep-{Path(scenario).stem}"
    folder.mkdir(parents=True)
    draft = out / f".latest-{stamp}"
    draft.symlink_to(folder.name, target_is_directory=True)
    draft.replace(out / "latest")
    return folder


def _stamp(at_ns: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%Y%m%d-%H%M%S}"


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


def _read(folder: Path) -> SweepFile:
    path = folder / "sweep.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=SweepFile)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError([Mistake(str(path), "", str(error), "a sweep folder")]) from error


def _write(folder: Path, sweep: SweepFile) -> None:
    (folder / "sweep.json").write_text(json.dumps(msgspec.to_builtins(sweep), indent=2) + "\n")
