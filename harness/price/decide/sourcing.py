"""Own, rent or buy by the token: demand over the hours and three prices go in; the cheapest mix comes out.

A unit is one deployment of the measured run. Base load belongs to what is paid all day, peaks to what is paid by use:
own capacity q with Pr(demand > q) = u* = price of an own hour / value of a unit's full hour elsewhere (newsvendor).
"""

import math
from dataclasses import dataclass

from harness.price.day.demand import share_above, shares_of_peak
from harness.providers import DemandCurve

HOURS_PER_MONTH = 730.0
_ROUNDING = 1e-9


def own_share(curve: DemandCurve, break_even: float) -> float:
    """Own capacity, a share of the peak: the smallest level that demand exceeds for at most u* of the time.

    Above u* = 1 owning never pays: 0.
    """
    if break_even >= 1:
        return 0.0
    levels = sorted({0.0, *shares_of_peak(curve)})
    return next(level for level in levels if share_above(curve, level) <= break_even)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """USD for one unit's hour of full work. Own is paid all day, rent and API only for the work; None: not on offer."""

    own_usd: float
    api_usd: float | None
    rent_usd: float | None = None
    local_share: float = 0.0  # of every hour's demand: must not go to the API


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Whole own units, and what they and the rest cost in a month."""

    own_units: int
    usd_per_month: float
    own_usd: float
    rent_usd: float
    api_usd: float
    served_by_own: float  # share of the work


def cost_of(curve: DemandCurve, peak_units: float, own_units: int, sources: Sources) -> Mix | None:
    """A month with that many own units; None where something that must stay has no place."""
    shares = shares_of_peak(curve)
    hours = HOURS_PER_MONTH / len(shares)
    rent = api = own_work = work = 0.0
    for share in shares:
        demand = share * peak_units
        local, served = demand * sources.local_share, min(demand, own_units)
        rest, local_rest = demand - served, max(0.0, local - served)
        if local_rest > _ROUNDING and sources.rent_usd is None:
            return None
        forced = local_rest if sources.rent_usd is not None else 0.0
        free = rest - forced
        if sources.api_usd is not None and (sources.rent_usd is None or sources.api_usd <= sources.rent_usd):
            api, rent = api + free * hours, rent + forced * hours
        elif sources.rent_usd is not None:
            rent += rest * hours
        elif free > _ROUNDING:
            return None
        own_work, work = own_work + served * hours, work + demand * hours
    own_usd = own_units * HOURS_PER_MONTH * sources.own_usd
    rent_usd, api_usd = rent * (sources.rent_usd or 0.0), api * (sources.api_usd or 0.0)
    return Mix(
        own_units=own_units,
        usd_per_month=own_usd + rent_usd + api_usd,
        own_usd=own_usd,
        rent_usd=rent_usd,
        api_usd=api_usd,
        served_by_own=own_work / work if work else 0.0,
    )


def cheapest_mix(curve: DemandCurve, peak_units: float, sources: Sources) -> Mix | None:
    """The number of whole own units that costs least in a month; the fewest where several cost the same.

    The cost is convex in the units, so that the first unit that saves nothing ends the search.
    """
    most = math.ceil(peak_units - _ROUNDING)
    flexible = sources.rent_usd is not None or sources.api_usd is not None
    least = math.ceil(sources.local_share * peak_units - _ROUNDING) if sources.rent_usd is None else 0
    low, high = (least, most) if flexible else (most, most)
    while low < high:
        middle = (low + high) // 2
        here, more = (cost_of(curve, peak_units, units, sources) for units in (middle, middle + 1))
        assert here is not None and more is not None
        if more.usd_per_month < here.usd_per_month * (1 - _ROUNDING):
            low = middle + 1
        else:
            high = middle
    return cost_of(curve, peak_units, low, sources)
