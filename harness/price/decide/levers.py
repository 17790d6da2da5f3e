"""What would have to change: a business and a wish go in; the smallest single changes, and a tornado, come out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.price.bridge.ratio import Business, Sale, break_even_share, revenue_and_cost, revenue_over_cost
from harness.providers import Rates

MOST_BARS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One input moved alone until the wish holds. `to` None: no value does it, or none that can exist (`why`)."""

    name: str
    now: float
    to: float | None
    unit: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One declared or assumed range and the yield at both ends."""

    name: str
    low: str
    high: str
    yield_low: float
    yield_high: float
    kind: str

    @property
    def width(self) -> float:
        return abs(self.yield_high - self.yield_low)


def levers(business: Business, wanted_yield: float) -> tuple[Lever, ...]:
    """Engine, use, $/GPU-h and price, each moved alone. R/C is proportional to each, so the step is exact."""
    ratio = revenue_over_cost(business)
    times = (1 + wanted_yield) / ratio if ratio > 0 else float("inf")
    return (
        _share("engine, of theory", business.efficiency, times, "the bound is 100%"),
        _use(business, wanted_yield, times),
        _hour(business, wanted_yield),
        _price(business, times),
    )


def _use(business: Business, wanted_yield: float, times: float) -> Lever:
    """Share of the day: revenue grows with it, and so does the power of an owned accelerator."""
    saved = business.idle_saving_usd / business.usd_per_gpu_hour
    if not saved or times == float("inf"):
        return _share("utilisation of a day", business.utilisation, times, "a day has no more hours")
    full = revenue_over_cost(replace(business, utilisation=1.0)) / (1 + wanted_yield)
    to = break_even_share(full, saved)
    return _share("utilisation of a day", business.utilisation, to / business.utilisation, "a day has no more hours")


def _share(name: str, now: float, times: float, why: str) -> Lever:
    to = now * times
    if to > 1 and times > 1:
        return Lever(name=name, now=now, to=None, unit="share", why=f"cannot: {to:.0%}; {why}")
    return Lever(name=name, now=now, to=to, unit="share")


def _hour(business: Business, wanted_yield: float) -> Lever:
    """The price of an hour that leaves the yield, after what is fixed."""
    revenue = revenue_and_cost(business)[0] / business.hours
    paid = business.fleet_ratio * business.unit_ratio * (1 + business.spare_share)
    name, now = "accelerator", business.usd_per_gpu_hour
    left = revenue / (1 + wanted_yield) - business.fixed_usd_per_gpu_hour if wanted_yield > -1 else 0.0
    if left <= 0:
        return Lever(name=name, now=now, to=None, unit="$/GPU-h", why="cannot: not even for nothing")
    return Lever(
        name=name, now=now, to=left / paid + business.idle_saving_usd * (1 - business.utilisation), unit="$/GPU-h"
    )


def _price(business: Business, times: float) -> Lever:
    """Every rate of the card by one factor; told as its output price."""
    now = sum(sale.share * sale.rates.usd_per_mtok_output for sale in business.sales)
    if times == float("inf"):
        return Lever(name="output price", now=now, to=None, unit="$/M", why="cannot: nothing is sold")
    return Lever(name="output price", now=now, to=now * times, unit="$/M")


def dearer(business: Business, times: float) -> Business:
    """Every rate of every sale times one factor."""
    return replace(business, sales=tuple(replace(sale, rates=_times(sale, times)) for sale in business.sales))


def _times(sale: Sale, times: float) -> Rates:
    rates = sale.rates
    hit, write = rates.usd_per_mtok_input_cached, rates.usd_per_mtok_cache_write
    return Rates(
        usd_per_mtok_input=rates.usd_per_mtok_input * times,
        usd_per_mtok_output=rates.usd_per_mtok_output * times,
        usd_per_mtok_input_cached=None if hit is None else hit * times,
        usd_per_mtok_cache_write=None if write is None else write * times,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """An input at both ends of what is declared or assumed of it."""

    name: str
    low: Business
    high: Business
    low_text: str
    high_text: str
    kind: str


def tornado(ranges: Sequence[Range]) -> tuple[Bar, ...]:
    """At most five bars, widest first."""
    bars = [
        Bar(
            name=one.name,
            low=one.low_text,
            high=one.high_text,
            yield_low=revenue_over_cost(one.low) - 1,
            yield_high=revenue_over_cost(one.high) - 1,
            kind=one.kind,
        )
        for one in ranges
    ]
    return tuple(sorted(bars, key=lambda bar: (-bar.width, bar.name))[:MOST_BARS])
