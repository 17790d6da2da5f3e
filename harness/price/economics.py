"""Economics of a run folder: manifest, run.json and records go in; economics.json comes out. Reads no clock.

Here yield is computed: revenue of the seller's card over the owner's cost, less one (`_yield`). Whose revenue and
whose cost depends on what the endpoint declares; what it does not declare is None with a reason, never invented.
"""

import math
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import msgspec

from harness.errors import InputError, Mistake
from harness.price.bills import ADD_CARD, buyer, no_hour_reason, owner, per_1k_useful, revenue_per_s, test_bill
from harness.price.bridge.buyer import buyer_bridge
from harness.price.bridge.ratio import break_even_share, cost_per_token, revenue_and_cost
from harness.price.bridge.seller import (
    bounds,
    ceilings,
    day_business,
    measured_business,
    revenue_ledger,
    seller_bridge,
    theoretical,
)
from harness.price.case import Case, no_rate_reason, read_case
from harness.price.day.declared import use_of_day
from harness.price.day.hours import hours_of_card
from harness.price.intervals import declared_ranges, money_intervals
from harness.price.owned.tco import idle_saving_usd, usd_per_worked_hour
from harness.price.results import Comparison, Day, Economics, Owner
from harness.price.spend.ledger import Ledger

__all__ = ["economics_json", "price", "read_economics", "write_economics"]


def price(folder: Path) -> Economics:
    """Price a measured run folder as its manifest declares it; InputError where it was not measured yet."""
    return economics_of(read_case(folder))


def economics_of(case: Case) -> Economics:
    """Put the ledgers beside theory."""
    reasons: dict[str, str] = {}
    ledger, basis = revenue_ledger(case)
    earned = _yield(case, ledger)
    if earned is None:
        reasons |= dict.fromkeys(
            ("yield_ratio", "yield_basis", "gross_margin", "break_even_utilisation"), _why_no_yield(case, ledger)
        )
    found = ceilings(case, reasons)
    rows = bounds(case, found, ledger, reasons)
    if not case.compared:
        reasons["comparisons"] = "no card to compare with: add `compare_with:` to the entry"
    rate, here = case.output_tokens_per_s, found.at_this_load
    fraction = None if rate is None or here is None else rate / here.output_tokens_per_s
    if fraction is None:
        why = no_rate_reason(case.run, "no output token was counted in the measure window")
        reasons["bound_fraction"] = reasons.get("bound") or reasons.get("bound.at_this_load") or why
    owned = owner(case, reasons)
    result = Economics(
        run_id=case.run.run_id,
        test_bill=test_bill(case, reasons),
        buyer=buyer(case, reasons),
        owner=owned,
        bound=rows,
        bound_fraction=fraction,
        theoretical=theoretical(case, rows, reasons),
        yield_ratio=earned,
        yield_basis=None if earned is None else basis,
        gross_margin=_gross_margin(earned, reasons),
        break_even_utilisation=_break_even(case, earned, "break_even_utilisation", reasons),
        day=_day(case, owned, ledger, reasons),
        comparisons=tuple(_comparison(case, compared, reasons) for compared in case.compared),
        waterfall=seller_bridge(case, found, ledger, reasons),
        buyer_waterfall=buyer_bridge(case, reasons),
        hours=hours_of_card(case, reasons),
        notes=tuple(_notes(case, fraction)),
        intervals=money_intervals(case, reasons),
        ranges=declared_ranges(case, owned, earned),
    )
    return replace(result, reasons=_still_missing(result, reasons))


def _yield(case: Case, ledger: Ledger | None) -> float | None:
    """R / C - 1 at this run's load: what the card brings per second over what the deployment costs per second."""
    revenue, cost = revenue_per_s(ledger, case), case.usd_per_s
    return None if revenue is None or not cost else revenue / cost - 1


def _why_no_yield(case: Case, ledger: Ledger | None) -> str:
    if case.hour is None and case.own is not None:
        return "its seller's cost cannot be measured: add `deployment:`, or see `price --assume-deployment`"
    if case.hour is None:
        return f"{no_hour_reason(case)}; {ADD_CARD}"
    if ledger is None:
        return "there is no revenue: add `price_card:` or `sell_at:`, or `compare_with:` for the bill that was avoided"
    return no_rate_reason(case.run, "nothing was delivered and billed in the measure window")


def _gross_margin(earned: float | None, reasons: dict[str, str]) -> float | None:
    """1 - C/R; the 84.5 % that belong to a yield of 545 %."""
    if earned is None:
        return None
    if earned <= -1:
        reasons["gross_margin"] = reasons["break_even_utilisation"] = "no revenue: nothing was billed"
        return None
    return 1 - 1 / (1 + earned)


def _break_even(case: Case, earned: float | None, key: str, reasons: dict[str, str]) -> float | None:
    """Share of the hours that must be worked at this load; above 1 it cannot be done."""
    if earned is None or earned <= -1 or case.hour is None or case.deployment is None:
        return None
    found = break_even_share(1 + earned, idle_saving_usd(case.deployment) / case.hour.usd)
    if found < math.inf:
        return found
    reasons[key] = "never: an hour of work earns less than the power that it takes"
    return None


def _day(case: Case, owned: Owner, ledger: Ledger | None, reasons: dict[str, str]) -> Day:
    """Unit cost and yield over the declared day: the only place where idle exists."""
    use = use_of_day(case.deployment)
    if use is None or case.deployment is None:
        why = "how much of a day it serves is not declared: add `utilisation:` or `demand:` to its deployment"
        reasons["day"] = why if case.hour else no_hour_reason(case)
        return Day()
    if use.curve is None:
        reasons["day.curve"] = "one figure for the whole day was declared: `utilisation:`"
    cost = owned.usd_per_1k_useful
    if cost is None:
        reasons["day.usd_per_1k_useful"] = reasons.get("owner.usd_per_1k_useful") or no_hour_reason(case)
    business, day = measured_business(case, ledger), day_business(case, ledger)
    if business is None or day is None:
        reasons |= dict.fromkeys(("day.yield_ratio", "day.usd_revenue", "day.usd_cost"), reasons.get("yield_ratio", ""))
        usd = case.hour.usd if case.hour else 0.0
        over, books = usd_per_worked_hour(case.deployment, usd, use.share) / usd if usd else 1 / use.share, None
    else:
        over, books = cost_per_token(day) / cost_per_token(business), revenue_and_cost(day)
    return Day(
        utilisation=use.share,
        kind="assumed" if use.kind == "assumed" else "declared",
        usd_per_1k_useful=None if cost is None else cost * over,
        yield_ratio=None if books is None else books[0] / books[1] - 1,
        curve=use.curve.name if use.curve else None,
        basis=use.evidence,
        full_load_hours=24 * use.share,
        usd_revenue=books and books[0],
        usd_cost=books and books[1],
    )


def _comparison(case: Case, ledger: Ledger, reasons: dict[str, str]) -> Comparison:
    """The window's requests on another card, at the same token counts."""
    key, earned = f"comparisons.{ledger.card.name}", _yield(case, ledger)
    cost = per_1k_useful(ledger.unit.usd_max, case, f"{key}.usd_per_1k_useful", reasons) if ledger.unit.priced else None
    if not ledger.unit.priced:
        reasons[f"{key}.usd_per_1k_useful"] = f"{ledger.card.name} has no rates for the time of this run"
    if earned is None:
        reasons[f"{key}.yield_ratio"] = reasons[f"{key}.break_even_utilisation"] = _why_no_yield(case, ledger)
    return Comparison(
        price_card=ledger.card.name,
        price_date=ledger.card.as_of,
        usd_per_1k_useful=cost,
        yield_ratio=earned,
        break_even_utilisation=_break_even(case, earned, f"{key}.break_even_utilisation", reasons),
    )


# -- what a reader must know beside the figures -------------------------------------------------------------------


def _notes(case: Case, fraction: float | None) -> list[str]:
    run, notes = case.run, []
    if not run.valid:
        notes.append("the measurement is invalid: no figure here may be quoted")
    if run.load.state == "demand_limited":
        notes.append(
            "headline withheld: the endpoint was demand-limited, so cost and yield are those of this load only"
        )
    if fraction is not None and fraction > 1:
        notes.append(
            f"measured {fraction:.0%} of the bound: the deployment is not what is declared, or it speculates "
            "(several tokens a step)"
        )
    if case.deployment is not None and run.mix.cached_share is None:
        notes.append("the endpoint does not tell cached tokens: bounds and split count every input token as computed")
    kept = [ledger for ledger in (case.own, case.seller) if ledger is not None]
    ledgers = {ledger.card.name: ledger for ledger in (*case.compared, *reversed(kept))}
    notes += [note for ledger in ledgers.values() for note in _card_notes(ledger)]
    if uncounted := max((ledger.uncounted for ledger in ledgers.values()), default=0):
        notes.append(_estimate_note(case, uncounted))
    return notes


def _card_notes(ledger: Ledger) -> list[str]:
    name, notes = ledger.card.name, []
    if ledger.card.status != "verified":
        notes.append(f"price card {name} is {ledger.card.status}")
    if ledger.unpriced:
        notes.append(f"{name}: {ledger.unpriced} requests at times without rates are left out")
    return notes


def _estimate_note(case: Case, uncounted: int) -> str:
    guess = case.guess
    per_delta = f"x {guess.tokens_per_delta:.2f} tokens" if guess.tokens_per_delta else "count for nothing: their cap"
    return (
        f"{uncounted} requests without usage are billed as {guess.input_tokens:,.0f} input tokens and their output cap "
        f"at most (cut streams: their deltas {per_delta}); that is usd_unknown_max"
    )


def _still_missing(result: Economics, reasons: dict[str, str]) -> dict[str, str]:
    """Only the reasons of what really is missing."""
    missing = set(_missing(result, ""))
    wanted = {key for key in reasons if any(name == key or name.startswith(f"{key}.") for name in missing)}
    return {key: reasons[key] for key in sorted(wanted)}


def _missing(value: object, path: str) -> list[str]:
    """Dotted keys of everything that is None or an empty ledger."""
    if path == "intervals" and isinstance(value, dict):
        return [f"{path}.{key}" for key, interval in value.items() if interval is None]
    if value is None or value == () or value == {}:
        return [path]
    if isinstance(value, tuple):
        names = [(f"{path}.{getattr(item, 'price_card', place)}", item) for place, item in enumerate(value)]
        return [key for name, item in names for key in _missing(item, name)]
    if not is_dataclass(value):
        return []
    return [
        key
        for field in fields(value)
        if field.name not in ("reasons", "notes", "ranges")
        for key in _missing(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
    ]


# -- economics.json -----------------------------------------------------------------------------------------------


def economics_json(economics: Economics) -> bytes:
    """economics.json as text."""
    return msgspec.json.format(msgspec.json.encode(economics), indent=2)


def write_economics(folder: Path, economics: Economics) -> None:
    """Write economics.json whole or not at all."""
    draft = folder / "economics.json.part"
    draft.write_bytes(economics_json(economics) + b"\n")
    draft.replace(folder / "economics.json")


def read_economics(folder: Path) -> Economics:
    """Read economics.json; InputError where it is missing or no economics.json."""
    path = folder / "economics.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Economics)
    except OSError:
        mistake = Mistake(str(path), "", "no such file", "economics.json; `trueyield price` writes it")
    except msgspec.DecodeError as error:
        mistake = Mistake(str(path), "", str(error), "economics.json of schema 1")
    raise InputError([mistake])
