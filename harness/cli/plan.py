"""`trueyield plan DIR`: a measured run goes in; break-even, fleet, mix, price floor and API-or-local come out."""

import textwrap
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from harness.config import default_providers_path, load_providers
from harness.config.demand_rows import curve_named
from harness.config.rows import near_miss, shown
from harness.errors import InputError, Mistake
from harness.price.case import Case, read_case
from harness.price.day.demand import mean_share
from harness.price.decide.comparable import comparable_cards, offers
from harness.price.decide.floor import price_floor
from harness.price.decide.plan import Ask, Plan, make_plan
from harness.price.decide.repricing import Terms, altered
from harness.price.economics import economics_of
from harness.providers import Catalog, DemandCurve, PriceCard
from harness.report import quantities as q
from harness.report.contents import is_sweep

_POSITIVE = click.FloatRange(0, min_open=True)


@click.command("plan")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--card", "cards", multiple=True, metavar="NAME", help="Against these cards; default: all that sell it.")
@click.option("--curve", metavar="FILE|NAME", help="Demand over the hours; default: the deployment's, else flat.")
@click.option("--peak-tok-s", type=_POSITIVE, help="Output tokens per second in the busiest hour.")
@click.option("--mtok-per-month", type=_POSITIVE, help="Million tokens a month, input and output.")
@click.option("--must-stay-local", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE",
              help="Share of the demand that must not go to an API.")  # fmt: skip
@click.option("--gpu-hour", type=_POSITIVE, metavar="USD", help="Another price of an accelerator-hour.")
@click.option("--rent-hour", type=_POSITIVE, metavar="USD", help="Price of an accelerator-hour rented for the peaks.")
@click.option("--hours-per-day", type=click.FloatRange(0, 24, min_open=True), default=1.0, show_default=True,
              help="Hours a day that the box works, for API or local.")  # fmt: skip
@click.option("--providers", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Where cards of your own stand; default ./providers.yaml.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(folder: Path, as_json: bool, providers: Path | None, gpu_hour: float | None, **asked: Any) -> None:
    """Decide on a measured run: own, rent or buy the tokens.

    DIR is a run folder, or one level of a sweep. The unit of every figure is the deployment that was measured, at the
    load at which it was measured.
    """
    if is_sweep(folder):
        raise InputError([Mistake(str(folder), "", "a sweep folder", "one of its levels: a run folder inside it")])
    case = altered(read_case(folder), Terms(usd_per_gpu_hour=gpu_hour))
    catalog = load_providers(providers or default_providers_path()).catalog
    chosen, ask = _asked(case, catalog, asked)
    found, without = offers(case, chosen, case.measured_s or 0.0, ask.curve)
    floor, deployment = None, case.deployment
    if deployment is not None and case.shape is not None:
        floor = price_floor(deployment, case.shape, catalog.accelerators.values(), catalog.gpu_hours.values())
    plan = make_plan(case, found, floor, ask, economics_of(case).bound_fraction)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(plan), indent=2).decode())
        return
    _show(Console(width=min(80, Console().width)), plan, ask, without)


def _asked(case: Case, catalog: Catalog, asked: dict[str, Any]) -> tuple[tuple[PriceCard, ...], Ask]:
    """Cards and demand; every mistake at once."""
    prices, mistakes = catalog.prices, list[Mistake]()
    if asked["peak_tok_s"] is not None and asked["mtok_per_month"] is not None:
        mistakes.append(Mistake("--peak-tok-s", "", "--peak-tok-s and --mtok-per-month", "one of the two"))
    for name in asked["cards"]:
        if name not in prices:
            mistakes.append(Mistake("--card", "", shown(name), near_miss(name, prices, "a price card")))
    curve: DemandCurve | None = None
    try:
        declared = case.deployment.demand if case.deployment else None
        curve = curve_named(asked["curve"]) if asked["curve"] else declared or curve_named("flat")
    except InputError as error:
        mistakes += error.mistakes
    if mistakes or curve is None:
        raise InputError(mistakes)
    chosen = tuple(prices[name] for name in asked["cards"]) or comparable_cards(case, prices.values())
    return chosen, Ask(
        curve=curve,
        peak_tokens_per_s=asked["peak_tok_s"],
        mtok_per_month=asked["mtok_per_month"],
        local_share=asked["must_stay_local"],
        usd_per_rented_hour=asked["rent_hour"],
        hours_per_day=asked["hours_per_day"],
    )


# -- what is printed ----------------------------------------------------------------------------------------------


def _show(console: Console, plan: Plan, ask: Ask, without: tuple[str, ...]) -> None:
    say = _Sayer(console)
    say(f"plan from run {plan.run_id}", bold=True)
    say(f"  unit      {plan.unit}: {q.rate(plan.output_tokens_per_s)} output tok/s as measured")
    dated = plan.price_as_of or "no date"
    capacity = f"at most {q.rate(plan.capacity_mtok_per_month)} M tokens a month"
    say(f"            {q.usd(plan.usd_per_gpu_hour)}/GPU-h, {plan.price_basis}, {dated}; {capacity}")
    say(f"  demand    curve {plan.curve} ({plan.curve_kind}), mean {mean_share(ask.curve):.0%} of its peak")
    if plan.versus:
        say("\nBreak-even against each card: this run's mix of tokens, a mean week", bold=True)
        for line in _versus(plan):
            say(line)
    for name in without:
        say(f"note: {name} has no rates at the time of this run")
    if plan.floor is not None:
        where = f"{plan.floor.count}x {plan.floor.accelerator} at the full bound"
        say(f"floor: {where}, {plan.floor.gpu_hour} of {plan.floor.as_of}")
    _show_fleet(say, plan, ask)
    say("\nAPI or local? One mean answer of this run costs", bold=True)
    for answer in plan.answers:
        say(f"  {answer.way:<26}{q.usd(answer.usd):>10}   {answer.basis}", hang=41)
    say(f"-> {plan.verdict}", hang=3)
    for note in plan.notes:
        say(f"note: {note}", hang=6)


class _Sayer:
    """Lines of at most the console's width, broken between words."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, text: str, *, bold: bool = False, hang: int = 12) -> None:
        lines = text.split("\n")
        wrapped = [
            row
            for line in lines
            for row in textwrap.wrap(line, self._console.width, subsequent_indent=" " * hang, break_on_hyphens=False)
            or [""]
        ]
        for row in wrapped:
            self._console.print(row, style="bold" if bold else "", markup=False, highlight=False)


def _versus(plan: Plan) -> list[str]:
    """A head and a line a card, and what two of its columns mean."""
    head = ("card", "as of", "$/M", "pays at", "M tok/month", "own", "price is")
    rows = [
        (
            q.plain(one.price_card, 23),
            one.price_date[:7],
            q.usd(one.usd_per_mtok).removeprefix("$"),
            q.percent(round(one.break_even_utilisation, 3)) if one.break_even_utilisation < 1000 else "never",
            "never" if one.break_even_utilisation > 1 else q.rate(one.break_even_mtok_per_month),
            f"{one.own_share:.2f}",
            one.floor if one.floor == "cannot tell" else f"{one.floor} floor",
        )
        for one in plan.versus
    ]
    return [
        f"  {card:<24}{as_of:<8}{price:>6}{even:>8}{volume:>12}{own:>6}  {floor}"
        for card, as_of, price, even, volume, own, floor in (head, *rows)
    ] + ["  pays at: share of the hours worked; own: capacity to own, over the demand's peak"]


def _show_fleet(say: _Sayer, plan: Plan, ask: Ask) -> None:
    fleet, mix = plan.fleet, plan.mix
    stated = ask.peak_tokens_per_s is not None or ask.mtok_per_month is not None
    say(f"\nFleet for {'the stated demand' if stated else 'one unit at its peak (no demand was stated)'}", bold=True)
    say(
        f"  peak {q.rate(fleet.peak_output_tokens_per_s)} output tok/s, {q.rate(fleet.mtok_per_month)} M tokens a month"
    )
    units = f"{q.counted(fleet.units, 'unit')}, {q.counted(fleet.accelerators, 'GPU')}, {fleet.utilisation:.0%} used"
    say(f"  {'all own':<26}{_month(fleet.usd_per_month)}   {units}", hang=49)
    if plan.all_api_usd_per_month is not None:
        say(f"  {'all ' + str(plan.mix_card):<26}{_month(plan.all_api_usd_per_month)}")
    if mix is None:
        say("  no mix: what must stay local has no place")
        return
    parts = [f"{q.counted(mix.own_units, 'own unit')}, {mix.served_by_own:.0%}"]
    parts += [f"rent {_usd(mix.rent_usd)}"] if mix.rent_usd else []
    parts += [f"API {_usd(mix.api_usd)}"] if mix.api_usd else []
    say(f"  {'cheapest mix':<26}{_month(mix.usd_per_month)}   {', '.join(parts)}", hang=49)
    if ask.local_share:
        say(f"  {ask.local_share:.0%} of every hour's demand stays local")


def _month(usd: float) -> str:
    return f"{_usd(usd):>12}/month"


def _usd(usd: float) -> str:
    return f"${usd:,.0f}" if usd >= 1 else q.usd(usd)
