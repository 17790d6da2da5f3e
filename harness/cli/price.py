"""`trueyield price DIR`: a measured run folder goes in, economics.json and a short table come out.

With other terms (`--as-of`, `--card`, ...) the run is re-priced beside its own figures, and nothing is written.
"""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from harness.cli.price_import import HINT, PriceCommand
from harness.cli.repricing import Wish, reprice, terms_options
from harness.price.economics import economics_json, price, write_economics
from harness.report.terminal.money_table import money_notes, money_table


@click.command("price", cls=PriceCommand, epilog=HINT)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@terms_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout instead of the table.")
def command(folder: Path, as_json: bool, **wish: Any) -> None:
    """run.json -> economics.json: cost per token, bound, yield, waterfall.

    With any option but --json, DIR is re-priced without running again: the figures are reckoned, not measured, stand
    beside the run's own, and economics.json stays as it is.
    """
    wanted = Wish(**wish)
    if wanted.is_one:
        reprice(folder, wanted, as_json)
        return
    economics = price(folder)
    write_economics(folder, economics)
    if as_json:
        click.echo(economics_json(economics))
        return
    console = Console(width=min(80, Console().width))
    console.print(money_table(economics))
    for line in money_notes(economics, console.width):
        console.print(line, markup=False, highlight=False)
