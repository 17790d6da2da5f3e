"""A run folder and gate lines in, a table of verdicts out; exit 3 if one fails, 4 if the run is invalid."""

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console

from harness.errors import ExitCode
from harness.report.contents import read_run_contents
from harness.report.gates import judge, with_default, write_verdicts
from harness.report.terminal import verdict_table


@click.command(name="gate")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("gates", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(folder: Path, gates: tuple[str, ...], as_json: bool) -> int:
    """Check GATES, lines such as 'p99(ttft_s) < 0.5', against a run FOLDER.

    Without GATES: those of the run's scenario, and share(failed) < 0.05. The verdicts are written to verdicts.json.
    A metric that was not measured fails its gate.
    """
    contents = read_run_contents(folder)
    verdicts = judge(contents, gates or with_default(contents.gates))
    write_verdicts(folder, verdicts)
    run = contents.run
    if as_json:
        document = {"run_id": run.run_id, "valid": run.valid, "invalid_reasons": run.invalid_reasons,
                    "passed": all(verdict.passed for verdict in verdicts), "verdicts": verdicts}  # fmt: skip
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        Console().print(verdict_table(verdicts))
    if not run.valid:
        click.echo(f"INVALID: {'; '.join(run.invalid_reasons) or 'no reason given'}", err=True)
        return ExitCode.INVALID
    return ExitCode.PASSED if all(verdict.passed for verdict in verdicts) else ExitCode.GATE_FAILED
