"""Options of `trueyield price` that re-price a run: parsed here, reckoned in `harness.price`, shown beside its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.cli.assumption import assume, show_assumed
from harness.config import default_providers_path, load_providers
from harness.config.demand_rows import curve_named
from harness.config.rows import near_miss, shown
from harness.errors import InputError, Mistake
from harness.price.bridge.ratio import revenue_over_cost
from harness.price.bridge.seller import day_business, revenue_ledger
from harness.price.case import Case, read_case
from harness.price.day.demand import epoch_of
from harness.price.decide.assumed import AssumedYield
from harness.price.decide.comparable import comparable_cards, offers
from harness.price.decide.levers import Bar, Lever, levers, tornado
from harness.price.decide.repricing import LABEL, Terms, altered, changes_in_words
from harness.price.decide.sensitivity import ranges_of
from harness.price.economics import economics_of
from harness.price.results import Economics
from harness.providers import PriceCard
from harness.report import quantities as q

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options as they were typed."""

    as_of: str | None
    card: str | None
    gpu_hour: str | None
    cache_hit: float | None
    curve: str | None
    utilisation: float | None
    want_yield: float | None
    show_tornado: bool
    assume_deployment: str | None
    assume_model: str | None
    providers: Path | None
    out: Path | None

    @property
    def is_one(self) -> bool:
        """Anything but the run's own terms."""
        given = (self.as_of, self.card, self.gpu_hour, self.cache_hit, self.curve, self.utilisation, self.want_yield,
                 self.assume_deployment)  # fmt: skip
        return self.show_tornado or any(value is not None for value in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repriced:
    """The document that --json prints and --out writes. Two entries of `repriced`: both ends of a declared range."""

    label: str
    run_id: str
    changes: list[str]
    own: Economics
    repriced: list[Economics]
    wanted_yield: float | None = None
    levers: tuple[Lever, ...] = ()
    tornado: tuple[Bar, ...] = ()
    assumed: AssumedYield | None = None


def terms_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options, in the order of the help text."""
    options = (
        click.option("--as-of", metavar="DATE", help="Price every request as if sent on that day, e.g. 2026-08-20."),
        click.option("--card", metavar="NAME", help="Sell on another price card of the catalog or of providers.yaml."),
        click.option("--gpu-hour", metavar="X|LO..HI", help="US dollars per accelerator-hour, or a range of them."),
        click.option("--cache-hit", type=click.FloatRange(0, 1, max_open=True), metavar="SHARE",
                     help="Share of input tokens that hit the cache: cheaper on the card, less to compute."),
        click.option("--curve", metavar="FILE|NAME", help="Demand over the hours of the day or week of your day."),
        click.option("--utilisation", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE",
                     help="Share of the day at this run's load."),
        click.option("--want-yield", type=click.FloatRange(-1, min_open=True), metavar="Y",
                     help="Print the smallest single changes that reach a yield, e.g. 0.5 for +50%."),
        click.option("--tornado", "show_tornado", is_flag=True, help="Print what the yield hangs on, widest first."),
        click.option("--assume-deployment", metavar="NAME",
                     help="A bought API: the seller's yield if it ran on NAME, e.g. 8xh200-sxm or an entry; assumed."),
        click.option("--assume-model", metavar="MODEL", help="... and served this model of the catalog."),
        click.option("--providers", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                     help="Where cards of your own stand; default ./providers.yaml."),
        click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON document here."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def reprice(folder: Path, wish: Wish, as_json: bool) -> None:
    """Read, reckon, print; write only to --out."""
    low, high, cards = _terms(wish)
    case = read_case(folder)
    hour = (low.usd_per_gpu_hour, high.usd_per_gpu_hour)
    given = (hour[0], hour[1]) if hour[0] is not None and hour[1] is not None else None
    if wish.assume_deployment is not None:  # the hour is that of the assumption
        low = high = replace(low, usd_per_gpu_hour=None)
    cases = [altered(case, terms) for terms in ([low] if low == high else [low, high])]
    ledger, _ = revenue_ledger(cases[0])
    business = day_business(cases[0], ledger)
    if business is None and (wish.want_yield is not None or wish.show_tornado):
        why = economics_of(cases[0]).reasons.get("yield_ratio", "there is no yield")
        raise InputError([Mistake(str(folder), "yield_ratio", f"no yield: {why}", "a run that has a yield")])
    found, _ = offers(cases[0], comparable_cards(cases[0], cards.values()), case.measured_s or 0.0)
    span = given if low != high else None
    document = Repriced(
        label=LABEL,
        run_id=case.run.run_id,
        changes=_said(wish, low, high),
        own=economics_of(case),
        repriced=[economics_of(one) for one in cases],
        wanted_yield=wish.want_yield,
        levers=levers(business, wish.want_yield) if business and wish.want_yield is not None else (),
        tornado=tornado(ranges_of(cases[0], ledger, found, span)) if wish.show_tornado else (),
        assumed=None
        if wish.assume_deployment is None
        else assume(cases[0], wish.assume_deployment, wish.assume_model, given, wish.providers),
    )
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    if wish.out is not None:
        wish.out.write_text(text)
    if as_json:
        click.echo(text, nl=False)
        return
    _show(document, None if business is None else revenue_over_cost(business) - 1, cases[0])


# -- what was asked for -------------------------------------------------------------------------------------------


def _terms(wish: Wish) -> tuple[Terms, Terms, dict[str, PriceCard]]:
    """Terms at both ends of the range; every mistake at once."""
    mistakes: list[Mistake] = []
    hours = _range(wish.gpu_hour, mistakes)
    as_of = None
    if wish.as_of is not None:
        try:
            as_of = epoch_of(wish.as_of)
        except ValueError:
            mistakes.append(Mistake("--as-of", "", shown(wish.as_of), "a day or moment, e.g. 2026-08-20"))
    if wish.curve is not None and wish.utilisation is not None:
        mistakes.append(Mistake("--curve", "", "--curve and --utilisation", "one of the two"))
    cards = dict(load_providers(wish.providers or default_providers_path()).catalog.prices)
    card = None if wish.card is None else cards.get(wish.card)
    if wish.card is not None and card is None:
        mistakes.append(Mistake("--card", "", shown(wish.card), near_miss(wish.card, cards, "a price card")))
    curve = None
    if wish.curve is not None:
        try:
            curve = curve_named(wish.curve)
        except InputError as error:
            mistakes += error.mistakes
    if mistakes:
        raise InputError(mistakes)
    ends = [
        Terms(
            as_of_s=as_of,
            whole_days=wish.as_of is not None and len(wish.as_of) <= len(date.min.isoformat()),
            card=card,
            usd_per_gpu_hour=hour,
            cached_share=wish.cache_hit,
            curve=curve,
            utilisation=wish.utilisation,
        )
        for hour in hours or (None, None)
    ]
    return ends[0], ends[1], cards


def _range(text: str | None, mistakes: list[Mistake]) -> Range | None:
    """'2.4' or '1.3..4'."""
    if text is None:
        return None
    low, dots, high = text.partition("..")
    try:
        found = (float(low), float(high if dots else low))
    except ValueError:
        found = (0.0, 0.0)
    if not 0 < found[0] <= found[1] < float("inf"):
        mistakes.append(Mistake("--gpu-hour", "", shown(text), "dollars, e.g. 2.4, or a range, e.g. 1.3..4"))
        return None
    return found


def _said(wish: Wish, low: Terms, high: Terms) -> list[str]:
    said = changes_in_words(low)
    if low != high:
        said = [
            f"${low.usd_per_gpu_hour:g}..{high.usd_per_gpu_hour:g}/GPU-h" if "/GPU-h" in one else one for one in said
        ]
    return ([f"prices of {wish.as_of}"] if wish.as_of else []) + said


# -- what is printed ----------------------------------------------------------------------------------------------


def _show(document: Repriced, reached: float | None, case: Case) -> None:
    console = Console(width=min(80, Console().width))
    if document.changes:
        title = f"run {document.run_id}, {LABEL}: {', '.join(document.changes)}"
        console.print(title, style="bold", markup=False, highlight=False)
        console.print(_table(document))
    for note in _notes(document, case):
        console.print(f"note: {note}", markup=False, highlight=False)
    if len(document.repriced) > 1 and (document.levers or document.tornado):
        console.print("note: below, the low end of the range is the starting point", highlight=False)
    if document.wanted_yield is not None and reached is not None:
        _show_levers(console, document, reached)
    if document.tornado:
        _show_tornado(console, document.tornado)
    if document.assumed is not None:
        show_assumed(lambda row: console.print(row, markup=False, highlight=False), document.assumed, console.width)
    console.print("Reckoned from the run, not measured; economics.json is unchanged.", style="dim")


def _table(document: Repriced) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("")
    table.add_column("this run", justify="right", no_wrap=True)
    table.add_column("re-priced (low..high)" if len(document.repriced) > 1 else "re-priced", justify="right")
    for name, value, text in _ROWS:
        own, others = value(document.own), [value(one) for one in document.repriced]
        if own is None and all(other is None for other in others):
            continue
        ends = [text(other) for other in others]
        table.add_row(name, text(own), ends[0] if len(set(ends)) == 1 else f"({ends[0]}..{ends[1]})")
    return table


_ROWS: tuple[tuple[str, Callable[[Economics], float | None], Callable[[float | None], str]], ...] = (
    ("1,000 useful answers, bought", lambda one: one.buyer.usd_per_1k_useful, q.usd),
    ("$/M tokens, own mix", lambda one: one.buyer.usd_per_mtok_blended, q.usd),
    ("1,000 useful answers, own GPUs", lambda one: one.owner.usd_per_1k_useful, q.usd),
    ("$/M output, all-in", lambda one: one.owner.usd_per_mtok_output_allin, q.usd),
    ("yield at this load", lambda one: one.yield_ratio, q.signed_percent),
    ("  theory, best load", lambda one: one.theoretical.yield_ratio, q.signed_percent),
    ("break-even use", lambda one: one.break_even_utilisation, q.percent),
    ("use of the day", lambda one: one.day.utilisation, q.percent),
    ("yield of the day", lambda one: one.day.yield_ratio, q.signed_percent),
    ("1,000 useful answers, the day", lambda one: one.day.usd_per_1k_useful, q.usd),
)


def _notes(document: Repriced, case: Case) -> list[str]:
    """Why a figure is missing, and how far the deployment's theory carries."""
    found = document.repriced[0]
    notes = [f"{key}: {found.reasons[key]}" for key in ("buyer", "yield_ratio") if key in found.reasons]
    if any("cache hits" in change for change in document.changes) and case.deployment is not None:
        notes.append("cache hits change the rate as the bound of this deployment says, at this run's batch")
    return notes


def _show_levers(console: Console, document: Repriced, reached: float) -> None:
    wanted = document.wanted_yield or 0.0
    day = document.repriced[0].day
    where = (
        f"your day, {q.percent(day.utilisation)} use" if day.utilisation else "this load all day; no day is declared"
    )
    console.print(f"\nTo a yield of {q.signed_percent(wanted)} from {q.signed_percent(reached)} ({where}), one of")
    if reached >= wanted:
        console.print("  nothing: it is reached; this is how far each may fall")
    for lever in document.levers:
        text = f"  {lever.name:<22}{_amount(lever.now, lever.unit):>12} -> "
        text += lever.why if lever.to is None else _amount(lever.to, lever.unit)
        console.print(text, markup=False, highlight=False)


def _amount(value: float, unit: str) -> str:
    return q.percent(value) if unit == "share" else f"{q.usd(value)} {unit.removeprefix('$')}".replace(" /", "/")


def _show_tornado(console: Console, bars: tuple[Bar, ...]) -> None:
    """Each input at both ends of its range, the others as they are."""
    console.print("\nWhat the yield hangs on, each alone", style="bold")
    widest = max(bar.width for bar in bars) or 1.0
    for bar in bars:
        ends = f"{q.signed_percent(bar.yield_low)} .. {q.signed_percent(bar.yield_high)}"
        kind = bar.kind if bar.kind == "measured" else bar.kind.upper()
        line = f"  {bar.name:<21}{f'{bar.low} .. {bar.high}':<19}{ends:>16}  "
        console.print(f"{line}{q.bar(bar.width / widest, 10):<10}  {kind}", markup=False, highlight=False)
