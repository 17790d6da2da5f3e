"""`trueyield sweep`: one scenario at several loads, each a `run` of its own, and a report over all of them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness.cli.forecast import forecast
from harness.cli.run import Setting, allow_spending, checked_plan, load_options, order_of
from harness.cli.sweeping import Sweeping
from harness.errors import ExitCode, InputError, Mistake
from harness.load.clock import wall_ns
from harness.load.scenarios import Plan
from harness.sweep.book import Asked, Book, load_of, read_book, write_book
from harness.sweep.goals import GOAL_KEYS
from harness.sweep.levels import Level, Unit, read_levels

_DEFAULT = "4,16,64"
#: Options of a sweep itself; all others are the runs'.
_OWN = ("users", "rate", "search", "goal", "tolerance", "repeats", "most_runs", "confirm", "all_levels", "top", "at")


def _levels(unit: Unit, example: str) -> Callable[[click.Context, click.Parameter, str | None], tuple[Level, ...]]:
    def read(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[Level, ...]:
        try:
            return read_levels(value, unit) if value is not None else ()
        except ValueError as error:
            what = "user counts" if unit == "users" else "requests/s"
            raise click.BadParameter(f"{value!r}: {error}; {what} such as {example}") from None

    return read


def _speeds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in value.split(",")) if value else ()
    except ValueError:
        found = (-1.0,)
    if not all(0 < speed < 1e9 for speed in found):
        raise click.BadParameter(f"{value!r} is no list of tokens/s for one user such as 20,50")
    return found


def _share(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    try:
        share = float(value.rstrip("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0.005 <= share <= 1:
        raise click.BadParameter(f"{value!r} is no share from 0.5% to 100% such as 5%")
    return share


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenario", required=False)
@click.option(
    "--users",
    callback=_levels("users", "4,16,64 or 4..64"),
    metavar="LEVELS",
    help=f"Closed loops: 4,16,64 or 4..64 (doubling) or 4..64/7 (seven).  [default: {_DEFAULT}]",
)
@click.option(
    "--rate",
    callback=_levels("rate", "1,2,4 or 1..8"),
    metavar="LEVELS",
    help="Open loops instead: requests/s of all users together, in the same forms.",
)
@click.option("--arrivals", type=click.Choice(["poisson", "constant", "gamma"]), help="Of --rate. Default: poisson.")
@click.option("--search", is_flag=True, help="Go on from these levels to the best load under the SLOs.")
@click.option(
    "--goal", type=click.Choice(GOAL_KEYS), help="What is best.  [default: the first of these that has values]"
)
@click.option("--tolerance", callback=_share, default="5%", show_default=True, help="How near the search goes.")
@click.option(
    "--repeats",
    type=click.IntRange(0, 20),
    default=2,
    show_default=True,
    help="Most further runs of a level that is too near to the SLOs to tell.",
)
@click.option("--most-runs", type=click.IntRange(1, 500), default=40, show_default=True, help="The sweep ends there.")
@click.option("--top", type=click.FloatRange(0, min_open=True), metavar="LOAD", help="Highest load of a search.")
@click.option("--at", callback=_speeds, metavar="20,50", help="Report throughput and $/M at these tok/s for one user.")
@click.option(
    "--confirm/--no-confirm", default=True, show_default=True, help="Run the chosen level again, and quote that run."
)
@click.option("--all-levels", is_flag=True, help="Also run levels above one where requests queue and miss the SLOs.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Go on with a sweep, as it was asked.")
@load_options
def command(scenario: str | None, resume: Path | None, dry_run: bool, **options: Any) -> int:
    """Run one scenario at several loads and report the frontier.

    The loads are users that wait for their answers (--users) or planned requests a second (--rate).
    """  # fmt: skip
    book = None if resume is None else read_book(resume)
    asked = _asked(options) if book is None or book.asked is None else book.asked
    if book is not None:
        scenario, options = scenario or str(book.scenario), _as_it_was(book, options)
    highest = asked.levels[-1]
    order = order_of(scenario, {**options, "users": None, "rate": None, **load_of(highest)})
    setting = Setting(
        providers=options["providers"],
        out=options["out"],
        processes=options["processes"],
        metrics_port=options["metrics_port"],
        yes=options["yes"],
    )
    plan = checked_plan(order, setting, needs_key=not dry_run)
    _check(asked, plan)
    if dry_run:
        click.echo(_intention(asked))
        forecast(plan).show()
        return ExitCode.PASSED
    allow_spending(order, setting, forecast(plan))
    if resume is None or book is None:
        resume = _new_folder(setting.out, plan.scenario.name)
        book = Book(sweep_id=resume.name, scenario=order.scenario, endpoint=order.endpoint, asked=asked,
                    interactivity=options["at"], options=_kept(options))  # fmt: skip
        write_book(resume, book)
    return Sweeping(resume, book, asked, order, setting).finish()


def _asked(options: dict[str, Any]) -> Asked:
    """What to look for. Users and rates at once are two questions."""
    if options["users"] and options["rate"]:
        raise InputError([Mistake("command line", "--rate", "--users as well", "one of the two: a level has one load")])
    return Asked(
        levels=options["rate"] or options["users"] or read_levels(_DEFAULT, "users"),
        goal=options["goal"],
        adaptive=options["search"],
        tolerance=options["tolerance"],
        most_repeats=options["repeats"],
        most_runs=options["most_runs"],
        confirm=options["confirm"],
        all_levels=options["all_levels"],
        top=options["top"],
    )


def _check(asked: Asked, plan: Plan) -> None:
    found = []
    if asked.goal in ("load", "goodput") and not plan.scenario.slos:
        found.append(Mistake(plan.scenario.name, "slos", "none", f"limits: without them there is no best {asked.goal}"))
    if asked.levels[0].unit == "users" and plan.scenario.arrivals.open_loop:
        found.append(Mistake("command line", "--users", f"{plan.scenario.arrivals.kind} arrivals", "--rate 1,2,4"))
    if asked.top is not None and asked.top < asked.levels[-1].size:
        found.append(Mistake("command line", "--top", f"{asked.top:g}", f"at least {asked.levels[-1].number}"))
    if found:
        raise InputError(found)


def _intention(asked: Asked) -> str:
    sizes = ", ".join(level.number for level in asked.levels)
    unit = "users" if asked.levels[0].unit == "users" else "req/s"
    more = f", then a search: at most {asked.most_runs} runs in all" if asked.adaptive else ""
    again = "; the chosen level is run again" if asked.confirm else ""
    return f"sweep of {sizes} {unit}{more}{again}; the highest of these levels:\n"


def _kept(options: dict[str, Any]) -> dict[str, Any]:
    """Options of the runs, for a sweep that is resumed. Whoever resumes says again what may be spent."""
    left_out = (*_OWN, "yes", "max_usd", "out")
    return {
        key: str(value.absolute()) if isinstance(value, Path) else value
        for key, value in options.items()
        if key not in left_out and value is not None
    }


def _as_it_was(book: Book, options: dict[str, Any]) -> dict[str, Any]:
    """What the sweep was begun with, so that all of its levels ask the same; new are only caps and consent."""
    kept = {**book.options, "endpoint": options["endpoint"] or str(book.endpoint)} if book.options else {}
    if kept.get("providers") is not None:
        kept["providers"] = Path(kept["providers"])
    if "headers" in kept:
        kept["headers"] = tuple(kept["headers"])
    return {**options, **kept}


def _new_folder(out: Path, scenario: str) -> Path:
    stamp = f"{datetime.fromtimestamp(wall_ns() / 1e9, UTC):%Y%m%d-%H%M%S}"
    folder = out / f"{stamp}-sweep-{Path(scenario).stem}"
    folder.mkdir(parents=True)
    draft = out / f".latest-{stamp}"
    draft.symlink_to(folder.name, target_is_directory=True)
    draft.replace(out / "latest")
    return folder
