"""`trueyield price DIR`: a measured run folder goes in, economics.json and a short table come out.

With other terms (`--as-of`, `--card`, ...) the run is re-priced beside its own figures, and nothing is written.
"""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from harness.cli.price_import import HINT, PriceCommand
from harness.cli.repricing import Wish, reprice, terms_options
from harness.price.economics import economics_json, price, write_economics
from harness.price.results import BuyerWaterfall, Day, Economics


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
    console = Console()
    console.print(money_table(economics))
    for note in economics.notes:
        console.print(f"note: {note}", markup=False, highlight=False)
    for key, why in economics.reasons.items():
        console.print(f"  - {key}: {why}", style="dim", markup=False, highlight=False)


def money_table(economics: Economics) -> Table:
    """The main figures, a row each; a dash where there is none (the reasons are printed below)."""
    table = Table(title=f"money of run {economics.run_id}", title_justify="left", show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value, basis in _rows(economics):
        table.add_row(name, value, basis)
    return table


def _rows(economics: Economics) -> list[tuple[str, str, str]]:
    bill, buyer, owner = economics.test_bill, economics.buyer, economics.owner
    here, best = economics.bound.at_this_load, economics.bound.at_best_load
    card = f"{buyer.price_card}, {buyer.price_date}" if buyer.price_card else ""
    hour = f"{_usd(owner.usd_per_gpu_hour)}/GPU-h, {owner.basis}, {owner.as_of or 'no date'}" if owner.basis else ""
    rows = [
        ("this test", _usd(bill.usd_known), f"+ at most {_usd(bill.usd_unknown_max)} not counted; {bill.basis or '-'}"),
        ("1,000 useful answers, bought", _usd(buyer.usd_per_1k_useful), card),
        ("1,000 useful answers, own GPUs", _usd(owner.usd_per_1k_useful), hour),
        ("$/M output, all-in", _usd(owner.usd_per_mtok_output_allin), "own GPUs, this load"),
        ("  theory", _usd(economics.theoretical.usd_per_mtok_output_allin), best.limited_by if best else "list price"),
        ("$/M tokens, own mix", _usd(buyer.usd_per_mtok_blended), "price card, cached tokens at their rate"),
        ("  3:1 list blend", _usd(buyer.usd_per_mtok_blend_3to1), ""),
        ("output tok/s of the bound", _share(economics.bound_fraction), here.limited_by if here else ""),
        ("yield", _signed(economics.yield_ratio), f"basis {economics.yield_basis}" if economics.yield_basis else ""),
        ("  theory, full use", _signed(economics.theoretical.yield_ratio), ""),
        ("gross margin", _share(economics.gross_margin), "1 - cost / revenue"),
        ("break-even use", _share(economics.break_even_utilisation), ""),
        ("yield of your day", _signed(economics.day.yield_ratio), _day(economics.day)),
    ]
    rows += [
        (f"  {factor.factor}", f"x{factor.ratio:.2f}", f"{factor.kind}: {factor.evidence}")
        for factor in economics.waterfall
    ]
    if economics.buyer_waterfall is not None and not economics.waterfall:
        rows += _path(economics.buyer_waterfall)
    return rows


def _day(day: Day) -> str:
    return ": ".join(text for text in (day.kind, day.basis) if text)


def _path(path: BuyerWaterfall) -> list[tuple[str, str, str]]:
    """The buyer's waterfall: the list price of 1,000 answers, and the steps from there."""
    start = ("list price, in:out 3:1, no thoughts", _usd(path.usd_per_1k_list_3to1), "1,000 answers")
    return [
        start,
        *((f"  {step.factor}", f"x{step.ratio:.2f}", f"{step.kind}: {step.evidence}") for step in path.steps),
    ]


def _usd(value: float | None) -> str:
    return "-" if value is None else f"${value:,.4g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.0%}"
