"""The command line: one subcommand a stage, each loaded only when it is called."""

import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from harness.errors import ExitCode, TrueyieldError

#: name -> one line of help. The module harness.cli.<name> holds `command`; it is imported when it runs.
COMMANDS = {
    "run": "Load an endpoint with a scenario and write a run folder.",
    "sweep": "Run one scenario at several loads and report the frontier.",
    "measure": "records.jsonl -> run.json: latencies, throughput, goodput, useful answers.",
    "price": "run.json -> economics.json: cost per token, bound, yield, waterfall.",
    "report": "Write report.html and print the closing table of a run or sweep folder.",
    "gate": "Check 'agg(metric) op number' lines against a run folder; exit 3 if one fails.",
    "theory": "What physics allows a model on an accelerator: tokens/s, $/M, J/token, and what limits each.",
    "claims": "Recompute published claims; beside a run, only over the conditions both state.",
    "probe": "Ask an endpoint what it is and how it speaks; print an entry for providers.yaml.",
    "simulate": "Serve a simulated LLM endpoint that writes down what it really did.",
}


class _LazyGroup(click.Group):
    """A group that knows its commands' names and first lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"harness.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: trueyield sweep reasoning --endpoint simulator",
)
@click.version_option(package_name="trueyield")
def cli() -> None:
    """What does a token from your endpoint really cost, what was promised, and what ate the difference?"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the `trueyield` command; turns our errors into one clear message and an exit code."""
    try:
        code = cli.main(args=arguments, prog_name="trueyield", standalone_mode=False)
    except TrueyieldError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.BAD_INPUT)
    sys.exit(code if isinstance(code, int) else ExitCode.PASSED)


def _tell(error: TrueyieldError) -> None:
    click.echo(f"trueyield: {error}", err=True)
    if error.hint:
        click.echo(f"next: {error.hint}", err=True)
