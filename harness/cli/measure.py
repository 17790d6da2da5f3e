"""`trueyield measure DIR`: a run folder in, run.json and records.parquet in it and a short table (or JSON) out."""

from pathlib import Path

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from harness.errors import ExitCode
from harness.measure.results import RunResult
from harness.measure.runs import measure, run_json, write_run


@click.command(name="measure")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print run.json on stdout and nothing else.")
@click.option("--parquet/--no-parquet", default=True, help="Write records.parquet beside run.json (default: yes).")
def command(folder: Path, as_json: bool, parquet: bool) -> int:
    """Measure a run folder, finished or not: latencies, throughput, goodput, useful answers.

    Writes DIR/run.json and DIR/records.parquet. Exit code 4: the measurement is invalid.
    """
    result = measure(folder)
    write_run(folder, result)
    if parquet:
        from harness.measure.parquet import write_parquet  # pyarrow takes a while to load: only where it is used

        write_parquet(folder)
    if as_json:
        click.echo(run_json(result))
    else:
        Console().print(summary(result))
    return ExitCode.PASSED if result.valid else ExitCode.INVALID


def summary(result: RunResult) -> Group:
    """The run in about twenty lines of 80 columns."""
    return Group(_verdict(result), _counts(result), _spreads(result), *(Text(f"note: {note}") for note in result.notes))


def _verdict(result: RunResult) -> Text:
    window = "no measure window" if result.window_s is None else f"{result.window_s:.1f} s measured"
    words = "VALID" if result.valid else "INVALID"
    lines = Text.assemble((words, "bold green" if result.valid else "bold red"), f"  {result.run_id}  {window}")
    for reason in result.invalid_reasons:
        lines.append(f"\n  {reason}", "red")
    return lines


def _counts(result: RunResult) -> Table:
    table = Table.grid(padding=(0, 2))
    counts, rate, useful = result.requests, result.throughput, result.useful
    table.add_row(
        "requests", f"{counts.total} sent, {counts.ok} ok, {counts.failed} failed, {counts.censored} censored"
    )
    table.add_row("output", f"{_figure(rate.output_tokens_per_s)} tok/s, {_figure(rate.requests_per_s)} requests/s")
    table.add_row("one user", f"{_figure(rate.output_tokens_per_s_per_user)} tok/s (median of 1 / TPOT)")
    if result.goodput:
        table.add_row("goodput", f"{_figure(result.goodput.output_tokens_per_s)} tok/s met every SLO")
    share = "-" if useful.share is None else f"{useful.share:.1%} [{useful.share_low:.1%}, {useful.share_high:.1%}]"
    lost = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in useful.why_not.items() if count)
    table.add_row("useful", f"{share} of {useful.total}; {useful.graded} graded" + (f"; not: {lost}" if lost else ""))
    table.add_row("load", f"{result.load.state}: {result.load.evidence[0]}" if result.load.evidence else "unknown")
    return table


def _spreads(result: RunResult) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("metric", no_wrap=True)  # the name ends in its unit
    for heading in ("n", "p50", "p90", "p95", "p99", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, spread in result.metrics.items():
        if spread.n:
            figures = (spread.p50, spread.p90, spread.p95, spread.p99, spread.max)
            table.add_row(name, f"{spread.n:,}", *map(_figure, figures))
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
