"""A bought API's run on a card with windows goes in; what its useful answers cost at each hour of that card comes out.

Reckoned, not measured: the window's own requests with their own tokens, at the rates of each kind of hour, and at the
mean of one flat week (the run's own, with its weekdays and holidays). What the API delivers at those hours may differ.
"""

from collections import Counter
from dataclasses import dataclass, replace

from harness.measure.withheld import limits_moved
from harness.price.case import Case
from harness.price.day.demand import period_card, week_labels
from harness.price.results import HourPrice
from harness.price.spend.ledger import UNIT_USES, keep_ledger
from harness.providers import PriceCard, PriceWindow, Rates

#: the share of cached input of the what-if beside a run that had fewer hits
HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of hour of a card."""

    label: str
    rates: Rates


def hour_name(window: str | None, windows: tuple[PriceWindow, ...]) -> str:
    """'peak', 'off-peak'; 'outside night' where the cheap hours have the name; 'list' where there are none."""
    if window is not None:
        return window
    if not windows:
        return "list"
    names = sorted({one.name for one in windows})
    return "off-peak" if names == ["peak"] else f"outside {', '.join(names)}"


def hours_of_card(case: Case, reasons: dict[str, str]) -> tuple[HourPrice, ...]:
    """Each kind of hour, dearest first, then the flat week; empty with a reason."""
    own, count, moment = case.own, case.run.useful.count, case.measured_s
    alone = period_card(own.card, moment) if own is not None and moment is not None else None
    if own is None or alone is None or moment is None or not count or limits_moved(case.run):
        reasons["hours"] = reasons.get("buyer") or reasons.get("buyer.usd_per_1k_useful") or "nothing useful was bought"
        return ()
    period = alone.periods[0]
    if not period.windows:
        reasons["hours"] = f"the card {own.card.name} asks the same at all hours"
        return ()
    kinds = {window.name: _Kind(label=window.name, rates=window.rates) for window in period.windows}
    kinds[""] = _Kind(label=hour_name(None, period.windows), rates=period.rates)
    usd = {name: _usd(case, own.card, kind.rates) / count * 1000 for name, kind in kinds.items()}
    week = week_labels(alone, moment)
    sent = _sent(own.unit.labels)
    rows = [
        HourPrice(label=kind.label, usd_per_1k_useful=usd[name], share_of_week=week.get(name, 0.0),
                  is_this_run=sent == {name})
        for name, kind in sorted(kinds.items(), key=lambda pair: -usd[pair[0]])
    ]  # fmt: skip
    flat = sum(usd[name] * share for name, share in week.items())
    return (*rows, HourPrice(label="over a flat week", usd_per_1k_useful=flat, share_of_week=1.0))


def _usd(case: Case, card: PriceCard, rates: Rates) -> float:
    """The unit's requests, useful or not, all at these rates."""
    flat = replace(card, periods=(replace(card.periods[0], rates=rates, windows=(), valid_from=None, valid_to=None),))
    return keep_ledger(flat, (one for one in case.entries if one.use in UNIT_USES), case.guess).unit.usd_max


def _sent(labels: Counter[str]) -> set[str]:
    """Windows in which the unit's requests were sent, from 'period/window'; '' is outside all."""
    return {label.partition("/")[2] for label in labels}


def half_cached(case: Case, reasons: dict[str, str]) -> float | None:
    """USD per million tokens of the run's own mix if half of its input had been cached, at the rates that it paid."""
    key, own = "buyer.usd_per_mtok_blended_half_cached", case.own
    if own is None or (rates := own.unit.mean_rates()) is None:
        return None
    hit, unit = rates.usd_per_mtok_input_cached, own.unit
    tokens = unit.plain.tokens + unit.cached.tokens + unit.written.tokens
    if not tokens + unit.output.tokens:
        return None
    if hit is None or hit >= rates.usd_per_mtok_input:
        reasons[key] = f"cached input is no cheaper on {own.card.name}"
        return None
    if unit.cached.tokens >= HALF * tokens:
        reasons[key] = "half of the input or more was cached in this run"
        return None
    paid = (
        tokens * (HALF * hit + (1 - HALF) * rates.usd_per_mtok_input) + unit.output.tokens * rates.usd_per_mtok_output
    )
    return paid / (tokens + unit.output.tokens)
