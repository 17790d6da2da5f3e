"""A demand curve and a price card go in; its shares, the week's mean rates and the hours that pay come out.

A day's curve repeats on all seven days. Prices are looked up in quarter-hours of one week, so that peak windows,
weekday masks and holidays weigh as the calendar has them.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from harness.providers import DemandCurve, PriceCard, Rates, rates_at

_QUARTER_S, _WEEK_S = 900, 7 * 86_400
#: 1970-01-01 was a Thursday: the Monday before it
_FIRST_MONDAY_S = -3 * 86_400
FLAT = DemandCurve(name="flat", levels=(1.0,), source="the same load in every hour", as_of="-", kind="assumed")


def slot_hours(curve: DemandCurve) -> float:
    """Length of one slot, hours."""
    return curve.days * 24 / len(curve.levels)


def shares_of_peak(curve: DemandCurve) -> tuple[float, ...]:
    """Every slot over the largest."""
    peak = max(curve.levels)
    return tuple(level / peak for level in curve.levels)


def mean_share(curve: DemandCurve) -> float:
    """Mean over peak: the use of a fleet that is built for the peak and serves nothing else."""
    shares = shares_of_peak(curve)
    return sum(shares) / len(shares)


def hours_per_day(curve: DemandCurve) -> float:
    """The same in hours of full load a day."""
    return 24 * mean_share(curve)


def share_above(curve: DemandCurve, capacity: float) -> float:
    """Share of the time in which demand is above `capacity` (a share of the peak)."""
    shares = shares_of_peak(curve)
    return sum(share > capacity for share in shares) / len(shares)


def level_at(curve: DemandCurve, week_s: float) -> float:
    """Level at a time of the week, seconds from Monday 00:00 UTC."""
    span = curve.days * 86_400
    return curve.levels[int(week_s % span / span * len(curve.levels))]


def week_of(epoch_s: float) -> float:
    """Monday 00:00 UTC of the week of a moment."""
    return epoch_s - (epoch_s - _FIRST_MONDAY_S) % _WEEK_S


def period_card(card: PriceCard, epoch_s: float) -> PriceCard | None:
    """The card with only the period that holds at a moment, for all time; None where none does."""
    for period in card.periods:
        alone = replace(card, periods=(period,))
        if rates_at(alone, epoch_s) is not None:
            return replace(card, periods=(replace(period, valid_from=None, valid_to=None),))
    return None


def week_rates(card: PriceCard, curve: DemandCurve, epoch_s: float) -> Rates | None:
    """Mean rates of the week of `epoch_s`, weighted by demand: what a token of that traffic brings on average.

    The period that holds at `epoch_s` holds for the whole week. None where the card has no period then.
    """
    alone = period_card(card, epoch_s)
    if alone is None:
        return None
    plain = cached = output = weight = 0.0
    for rates, level in _quarters(alone, curve, week_of(epoch_s)):
        hit = rates.usd_per_mtok_input if rates.usd_per_mtok_input_cached is None else rates.usd_per_mtok_input_cached
        plain += level * rates.usd_per_mtok_input
        cached += level * hit
        output += level * rates.usd_per_mtok_output
        weight += level
    return Rates(
        usd_per_mtok_input=plain / weight,
        usd_per_mtok_input_cached=cached / weight,
        usd_per_mtok_output=output / weight,
    )


def week_labels(card: PriceCard, epoch_s: float) -> dict[str, float]:
    """Share of the week of `epoch_s` at each window of a card of one period; '' is outside all."""
    monday, quarters = week_of(epoch_s), _WEEK_S // _QUARTER_S
    names = [moment.label.partition("/")[2] for quarter in range(quarters)
             if (moment := rates_at(card, monday + quarter * _QUARTER_S)) is not None]  # fmt: skip
    return {name: names.count(name) / len(names) for name in sorted(set(names))}


def _quarters(card: PriceCard, curve: DemandCurve, monday_s: float) -> Iterator[tuple[Rates, float]]:
    plain = len(card.periods) == 1 and not card.periods[0].windows
    for quarter in range(1 if plain else _WEEK_S // _QUARTER_S):
        at = quarter * _QUARTER_S
        moment = rates_at(card, monday_s + at)
        level = 1.0 if plain else level_at(curve, at)
        if moment is not None:
            yield moment.rates, level


def epoch_of(day: str) -> float:
    """Unix time of an ISO day or moment, UTC where it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(day)
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp()
