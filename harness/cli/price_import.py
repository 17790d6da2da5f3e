"""`trueyield price --from TOOL FILE`: prices what another load tester measured; nothing is invented."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from harness.errors import InputError, Mistake
from harness.price.imports import TOOLS, read_results
from harness.price.imports.measured import Measured, Spread
from harness.price.imports.pricing import Hardware, PricedLoad, price_load
from harness.providers import Catalog, PriceCard
from harness.report import quantities as q

HINT = "also: trueyield price --from vllm|guidellm|aiperf|genai-bench|inferencex FILE (see --from vllm --help)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options that name prices and hardware."""

    card: str | None
    gpu_hour: str | None
    accelerator: str | None
    count: int | None
    providers: Path | None


class PriceCommand(click.Command):
    """`price`, which hands `--from` over to the import: its options are of another kind."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The import's own context where the arguments say --from."""
        if any(one == "--from" or one.startswith("--from=") for one in args):
            return command.make_context(info_name, args, parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command("price")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--from", "tool", required=True, type=click.Choice(list(TOOLS)), help="The tool that wrote FILE.")
@click.option("--card", metavar="NAME", help="A price card of the catalog: what its tokens cost a buyer.")
@click.option("--gpu-hour", metavar="USD|ROW", help="USD per accelerator-hour, or a GPU-hour row of the catalog.")
@click.option("--accelerator", metavar="NAME", help="What it ran on (an accelerator of the catalog).")
@click.option("--count", type=click.IntRange(min=1), help="How many of them; else what FILE says.")
@click.option("--providers", type=click.Path(path_type=Path), help="providers.yaml with rows of your own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout instead of the table.")
def command(file: Path, tool: str, as_json: bool, **named: Any) -> None:
    """Price a result file of another tool: vllm bench serve --save-result, guidellm's benchmarks.json, aiperf's
    profile_export_aiperf.json, genai-bench's JSON of a load, InferenceX rows (JSON or CSV)."""
    from harness.config import load_providers

    asked = Asked(**named)
    catalog = load_providers(asked.providers).catalog
    hardware, card = _named(catalog, asked)
    loads = [price_load(measured, hardware, card) for measured in read_results(tool, file)]
    if as_json:
        document = {"file": str(file), "tool": tool, "loads": loads}
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
        return
    _show(Console(), tool, file, loads)


# -- what was named -----------------------------------------------------------------------------------------------


def _named(catalog: Catalog, asked: Asked) -> tuple[Hardware | None, PriceCard | None]:
    """Hardware and card, with every mistake at once."""
    mistakes: list[Mistake] = []
    card: PriceCard | None = None
    if asked.card is not None:
        card = _row(catalog.prices, "--card", asked.card, "a price card of the catalog", mistakes)
    if asked.accelerator is not None:
        _row(catalog.accelerators, "--accelerator", asked.accelerator, "an accelerator of the catalog", mistakes)
    hardware = None if asked.gpu_hour is None else _hardware(catalog, asked.gpu_hour, asked, mistakes)
    if card is None and hardware is None and not mistakes:
        mistakes.append(Mistake("--card, --gpu-hour", "", "neither", "at least one: what a token or an hour costs"))
    if mistakes:
        raise InputError(mistakes, hint="for example: --gpu-hour h100-sxm-rent --count 8, or --gpu-hour 2.10 --count 8")
    return hardware, card


def _row(shelf: Any, option: str, name: str, what: str, mistakes: list[Mistake]) -> Any:
    from harness.config.rows import near_miss

    if name not in shelf:
        mistakes.append(Mistake(option, "", repr(name), near_miss(name, shelf, what)))
    return shelf.get(name)


def _hardware(catalog: Catalog, text: str, asked: Asked, mistakes: list[Mistake]) -> Hardware | None:
    try:
        usd = float(text)
    except ValueError:
        return _catalog_hour(catalog, text, asked, mistakes)
    if not 0 < usd < 1e6:
        mistakes.append(Mistake("--gpu-hour", "", text, "US dollars, more than 0"))
        return None
    return Hardware(
        usd_per_gpu_hour=usd, basis="declared", as_of=None, accelerator=asked.accelerator, count=asked.count
    )


def _catalog_hour(catalog: Catalog, name: str, asked: Asked, mistakes: list[Mistake]) -> Hardware | None:
    hour = _row(catalog.gpu_hours, "--gpu-hour", name, "US dollars, or a GPU hour of the catalog", mistakes)
    if hour is None:
        return None
    chip = asked.accelerator
    if chip is not None and hour.accelerator != chip:
        mistakes.append(Mistake("--gpu-hour", "", f"{name}, an hour of {hour.accelerator}", f"an hour of {chip}"))
    doubt = "" if hour.status == "verified" else f", {hour.status}"
    return Hardware(
        usd_per_gpu_hour=hour.usd_per_gpu_hour,
        basis=f"{hour.basis}{doubt}",
        as_of=hour.as_of,
        accelerator=hour.accelerator,
        count=asked.count,
    )


# -- people's output ----------------------------------------------------------------------------------------------


def _show(console: Console, tool: str, file: Path, loads: Sequence[PricedLoad]) -> None:
    title = f"{tool}  {file.name}  {loads[0].measured.model or 'model not told'}"
    console.print(title, style="bold", markup=False, highlight=False, overflow="ellipsis", no_wrap=True)
    if len(loads) == 1:
        console.print(_one(loads[0]))
    else:
        console.print(_several(loads))
    for line in _footnotes(loads):
        for row in textwrap.wrap(line, min(console.width, 100), subsequent_indent="    ", break_on_hyphens=False):
            console.print(row, style="dim", markup=False, highlight=False)


def _one(load: PricedLoad) -> Table:
    measured, owner, buyer = load.measured, load.owner, load.buyer
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    chips = f"{owner.accelerators or '?'} x {owner.accelerator or 'accelerator not told'}"
    card = " ".join(filter(None, (buyer.price_card, buyer.price_date, buyer.price_label)))
    rows = (
        (
            "$/M output, all-in",
            q.usd(owner.usd_per_mtok_output_allin),
            f"{chips}, {_hour(load)}" if owner.basis else "",
        ),
        ("$/M tokens, in + out", q.usd(owner.usd_per_mtok_total), ""),
        ("1,000 requests, own GPUs", q.usd(owner.usd_per_1k_requests), ""),
        ("bill of this test", q.usd(buyer.bill_usd), card),
        ("$/M tokens, own mix", q.usd(buyer.usd_per_mtok_blended), _mix(measured)),
        ("  3:1 list blend", q.usd(buyer.usd_per_mtok_blend_3to1), ""),
        ("1,000 requests, bought", q.usd(buyer.usd_per_1k_requests), ""),
        (
            "yield at this load",
            q.signed_percent(load.yield_ratio),
            "basis seller" if load.yield_ratio is not None else "",
        ),
        ("1,000 useful answers", "-", "not in the file"),
        ("output tok/s", q.rate(measured.output_tokens_per_s), _counts(measured)),
        ("TTFT p50 / p99", _times(measured.ttft_s), ""),
        ("TPOT p50 / p99", _times(measured.tpot_s), ""),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _hour(load: PricedLoad) -> str:
    return f"{q.usd(load.owner.usd_per_gpu_hour)}/GPU-h {load.owner.basis}, {load.owner.as_of or 'no date'}"


def _several(loads: Sequence[PricedLoad]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("load", overflow="ellipsis", no_wrap=True, max_width=20)
    for head in ("users", "tok/s", "$/M out", "$/M mix", "yield", "TTFT", "TPOT"):
        table.add_column(head, justify="right", no_wrap=True)
    for load in loads:
        measured = load.measured
        table.add_row(
            measured.label,
            q.rate(measured.concurrency),
            q.rate(measured.output_tokens_per_s),
            q.usd(load.owner.usd_per_mtok_output_allin),
            q.usd(load.buyer.usd_per_mtok_blended),
            q.signed_percent(load.yield_ratio),
            q.seconds(measured.ttft_s.p50),
            q.seconds(measured.tpot_s.p50),
        )
    return table


def _footnotes(loads: Sequence[PricedLoad]) -> list[str]:
    """What holds for the loads, each sentence once, then what could not be priced and why."""
    notes = list(dict.fromkeys(note for load in loads for note in load.notes))
    notes += ["out tok/s and p50 of TTFT and TPOT; users = requests at once"] if len(loads) > 1 else []
    first = loads[0]
    if len(loads) > 1 and first.owner.basis:
        notes.insert(0, _hour(first))
    if len(loads) > 1 and first.buyer.price_card:
        notes.insert(0, f"card {first.buyer.price_card} of {first.buyer.price_date}")
    grouped: dict[str, list[str]] = {}
    for load in loads:
        for key, why in load.reasons.items():
            if key not in grouped.setdefault(why, []):
                grouped[why].append(key)
    return [f"note: {note}" for note in notes] + [f"  - {', '.join(keys)}: {why}" for why, keys in grouped.items()]


def _counts(measured: Measured) -> str:
    parts = [f"{measured.concurrency:g} at once"] if measured.concurrency is not None else []
    parts += [f"{measured.requests_ok:,} finished"] if measured.requests_ok is not None else []
    parts += [f"{measured.requests_failed:,} failed"] if measured.requests_failed is not None else []
    parts += [f"{measured.duration_s:,.0f} s"] if measured.duration_s is not None else []
    return ", ".join(parts)


def _mix(measured: Measured) -> str:
    if measured.isl_tokens is None or measured.osl_tokens is None:
        return ""
    return f"{measured.isl_tokens:,.0f} in, {measured.osl_tokens:,.0f} out a request"


def _times(spread: Spread) -> str:
    return f"{q.seconds(spread.p50)} / {q.seconds(spread.p99)}"
