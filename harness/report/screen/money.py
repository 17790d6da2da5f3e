"""RunContents in, the lines of money out: what it costs, here and elsewhere, the yield, and what all of it rests on."""

from harness.price.results import Economics
from harness.report import quantities as q
from harness.report.contents import RunContents
from harness.report.screen.shapes import Price, YieldLine

_LOADS = {"saturated": "at full load", "at_slo_knee": "at SLO limit"}


def at_load(contents: RunContents) -> str:
    """The load that a figure belongs to."""
    return _LOADS.get(contents.run.load.state, "at this load")


def prices(contents: RunContents) -> tuple[Price, ...]:
    """The headline, and the owner's day where its use is declared."""
    money = contents.economics
    usd = contents.usd_per_1k_useful
    key = "buyer" if contents.kind == "buyer" else "owner"
    name = f"{key}.usd_per_1k_useful"
    note = "" if usd is not None else contents.reason(name) or _undeclared(contents)
    interval = None if usd is None else _interval(contents, name)
    why_not = "" if usd is None or interval else contents.reason(f"intervals.{name}") or ""
    label = at_load(contents) if contents.kind != "buyer" or money is None else _hour_label(money)
    too_low = usd is not None and contents.run.length_biased
    found = [Price(usd=usd, interval=interval, label=label, note=note, too_low=too_low, no_interval=why_not)]
    if money is not None and money.day.usd_per_1k_useful is not None:
        use = f"{q.percent(_round(money.day.utilisation))} {(money.day.kind or 'assumed').upper()}"
        found.append(_beside(money.day.usd_per_1k_useful, f"your day ({use})", too_low))
    if usd is not None and money is not None:
        found += [_beside(other, text, too_low) for other, text in _other_ways(contents, money)]
    return tuple(found)


def _beside(usd: float, label: str, too_low: bool) -> Price:
    return Price(usd=usd, interval=None, label=label, note="", what="", too_low=too_low)


def _hour_label(money: Economics) -> str:
    """The hour of the card at which this run bought."""
    if not money.hours:
        return f"list price of {money.buyer.price_date or 'no date'}"
    mine = next((hour.label for hour in money.hours if hour.is_this_run), None)
    return _at(mine) if mine else "at several hours"


def _at(label: str) -> str:
    return label if label.startswith(("off-", "outside ", "over ")) else f"at {label}"


def _other_ways(contents: RunContents, money: Economics) -> list[tuple[float, str]]:
    """The same answers at the card's other hours; what of an owner's cost is electricity."""
    if contents.kind == "buyer":
        return [
            (hour.usd_per_1k_useful, f"{_at(hour.label)}, re-priced") for hour in money.hours if not hour.is_this_run
        ][:3]
    energy = money.owner.energy
    if energy is None or energy.kind == "assumed" or energy.usd_per_1k_useful_electricity is None:
        return []
    power = f"{energy.watts:,.0f} W {energy.kind.upper()}"
    return [(energy.usd_per_1k_useful_electricity, f"electricity, {power}")]


def _round(share: float | None) -> float | None:
    return None if share is None else round(share, 2)


def to_break_even(contents: RunContents) -> str | None:
    """What alone would bring a losing day to break-even: engine, use, price of an hour. R/C is proportional to each."""
    money, deployment = contents.economics, contents.endpoint.deployment
    if money is None or not contents.run.valid or contents.run.load.state == "demand_limited":
        return None
    earned, fraction, use = money.day.yield_ratio, money.bound_fraction, money.day.utilisation
    if earned is None or deployment is None or not -1 < earned < 0:
        return None
    times, ways = 1 / (1 + earned), []
    if fraction is not None and fraction * times <= 1:
        ways.append(f"engine {q.fraction(fraction)} -> {q.fraction(fraction * times)}")
    powered = money.owner.energy is not None and money.owner.energy.idle_watts is not None
    if use is not None and use * times <= 1 and not powered:  # an idle hour costs less: use is not proportional
        ways.append(f"use {q.fraction(use * times)}")
    hour = money.owner.usd_per_gpu_hour
    if hour is not None and (deployment.day is None or deployment.day.usd_per_gpu_hour is None):
        ways.append(f"{q.usd(hour / times)}/GPU-h")
    return f"Break-even of your day: {', '.join(ways[:-1])}{', or ' if ways[1:] else ''}{ways[-1]}" if ways else None


def _undeclared(contents: RunContents) -> str:
    return "no price card, no deployment declared" if contents.kind == "undeclared" else "not priced"


def _interval(contents: RunContents, key: str) -> tuple[float, float | None] | None:
    """Sampling error of a figure of economics.json."""
    money = contents.economics
    found = money.intervals.get(key) if money is not None else None
    return None if found is None else (found.low, found.high)


def elsewhere(contents: RunContents) -> tuple[Price, ...]:
    """The same useful answers bought: on the card that the yield is reckoned with, then on those to compare with."""
    money = contents.economics
    if money is None:
        return ()
    rows = {found.price_card: (found.price_date, found.usd_per_1k_useful) for found in money.comparisons}
    if contents.kind == "seller" and money.buyer.price_card is not None:
        rows = {money.buyer.price_card: (money.buyer.price_date or "no date", money.buyer.usd_per_1k_useful)} | rows
    return tuple(
        Price(
            usd=usd,
            interval=None,
            label=f"{date}, if as useful",
            note="useful rate assumed equal",
            what=f"same answers on {card}",
            too_low=contents.run.length_biased,
        )
        for card, (date, usd) in rows.items()
        if usd is not None
    )


def yield_line(contents: RunContents) -> YieldLine:
    """The yield with its basis; withheld where demand, not the endpoint, set the rate."""
    money = contents.economics
    title = "SELLER'S YIELD" if contents.kind == "buyer" else "YIELD"
    if money is None or money.yield_ratio is None:
        reason = contents.reason("yield_ratio") or _undeclared(contents)
        return YieldLine(title=title, figures=(), withheld=reason)
    title = _yield_title(contents, money.yield_basis)
    if contents.run.load.state == "demand_limited":
        return YieldLine(title="YIELD", figures=(), withheld=_held(contents))
    figures = [(at_load(contents), q.signed_percent(money.yield_ratio))]
    if money.day.yield_ratio is not None:
        figures.append(("your day", q.signed_percent(money.day.yield_ratio)))
    if money.break_even_utilisation is not None:
        figures.append(("break-even", _break_even(money.break_even_utilisation)))
    elif money.reasons.get("break_even_utilisation", "").startswith("never"):
        figures.append(("break-even", "never"))
    return YieldLine(title=title, figures=tuple(figures), ratio=money.yield_ratio)


def _yield_title(contents: RunContents, basis: str | None) -> str:
    """The yield names the card that its revenue is reckoned with."""
    card = contents.endpoint.sell_at or contents.endpoint.price_card
    if basis == "seller" and card is not None:
        return f"YIELD sold at {card.name}"
    return "YIELD (avoided purchases)" if basis == "avoided" else "YIELD"


def _break_even(utilisation: float) -> str:
    """The share of the day that pays for the day; a day has no more than 100 %."""
    text = q.percent(round(utilisation, 2))
    return f"at {text} use" if utilisation <= 1 else f"never ({text} use)"


def _held(contents: RunContents) -> str:
    evidence = contents.run.load.evidence
    return f"withheld: demand-limited run{f' ({evidence[0]})' if evidence else ''}"


def basis(contents: RunContents) -> tuple[str, ...]:
    """What the money rests on: every figure with its basis and its date."""
    money = contents.economics
    if money is None:
        return ()
    parts = []
    if money.owner.usd_per_gpu_hour is not None:
        hour = f"{q.usd(money.owner.usd_per_gpu_hour)}/GPU-h {money.owner.basis or ''} {money.owner.as_of or 'no date'}"
        span = money.ranges.get("owner.usd_per_gpu_hour")
        parts.append(f"{hour} ({_bare(span.low)}..{_bare(span.high)})" if span else hour)
    parts += _owned(money)
    if money.buyer.price_card is not None:
        rates = f"{_bare(money.buyer.usd_per_mtok_input)}/{_bare(money.buyer.usd_per_mtok_output)}"
        parts.append(f"card {money.buyer.price_card} {rates} of {money.buyer.price_date or 'no date'}")
    if contents.kind == "buyer" and money.buyer.measured_at is not None:
        parts.append(f"{money.buyer.measured_at} from {q.counted(money.buyer.places or 1, 'place')}")
    if money.test_bill.usd_known is not None:
        parts.append(bill_text(money))
    return tuple(" ".join(part.split()) for part in parts)


def _owned(money: Economics) -> list[str]:
    """An owned hour from its three sides, and the energy of a token where its power was declared or measured."""
    words = {"cash": "cash", "full": "full", "rent_opportunity": "rent forgone"}
    parts = [", ".join(f"{words[side.side]} {q.usd(side.usd_per_gpu_hour)}" for side in money.owner.sides or ())]
    energy = money.owner.energy
    if energy is not None and energy.kind != "assumed":
        parts.append(f"{energy.j_per_output_token:.3g} J/output token ({energy.kind}, {energy.boundary})")
    return [part for part in parts if part]


def _bare(value: float | None) -> str:
    return q.MISSING if value is None else f"{value:.4g}"


def bill_text(money: Economics) -> str:
    """The whole bill of this test, with what is not known for sure beside it."""
    bill = money.test_bill
    text = f"test bill {q.usd(bill.usd_known)}"
    if bill.usd_unknown_max:
        text += f" + at most {q.usd(bill.usd_unknown_max)}"
    if bill.usd_reported is None:
        return text
    told = f"{text} (provider says {q.usd(bill.usd_reported)}"
    ours, more = bill.usd_of_reported, bill.usd_reported_less_ours
    return f"{told}, {q.signed_percent(more / ours)} against ours)" if ours and more is not None else f"{told})"
