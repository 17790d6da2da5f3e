"""Demand over the hours -> accelerators paid for in whole units, and the day's ledger.

N_h = ceil(demand_h / (unit's rate x balancedness)) x (1 + spares), at least N_min; of the units that an hour does not
need, the share `idle_reuse` finds other work and is not charged. C = sum_h N_h x price of a unit's hour + fixed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.price.day.demand import mean_share, shares_of_peak, slot_hours
from harness.providers import DemandCurve

#: slack for a demand that fills a whole number of units but for rounding
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """`peak_units`: units that the curve's peak needs at their full rate, before imbalance, rounding and spares."""

    curve: DemandCurve
    peak_units: float
    whole: bool = True
    balancedness: float = 1.0
    spare_share: float = 0.0
    least_units: float = 0.0
    idle_reuse: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLedger:
    """One mean day, USD and unit-hours."""

    usd_revenue: float
    usd_cost: float
    unit_hours_needed: float
    unit_hours_paid: float
    peak_units_paid: float

    @property
    def yield_ratio(self) -> float:
        """R / C - 1."""
        return self.usd_revenue / self.usd_cost - 1


def fleet_ratio(curve: DemandCurve, idle_reuse: float) -> float:
    """Hours paid / hours that demand needs: [r mean + (1 - r) peak] / mean."""
    mean = mean_share(curve)
    return (idle_reuse * mean + 1 - idle_reuse) / mean


def needed_units(fleet: Fleet) -> tuple[float, ...]:
    """Units at work in every slot, before rounding."""
    return tuple(share * fleet.peak_units / fleet.balancedness for share in shares_of_peak(fleet.curve))


def paid_units(fleet: Fleet) -> tuple[float, ...]:
    """Units paid for in every slot."""
    running = [_rounded(need, fleet) for need in needed_units(fleet)]
    peak = max(running)
    return tuple(fleet.idle_reuse * units + (1 - fleet.idle_reuse) * peak for units in running)


def _rounded(need: float, fleet: Fleet) -> float:
    units = math.ceil(need - _ROUNDING) if fleet.whole else need
    return max(units * (1 + fleet.spare_share), fleet.least_units)


def day_ledger(
    fleet: Fleet, usd_per_unit_hour: float, usd_revenue_of: Callable[[int], float], fixed_usd: float = 0.0
) -> DayLedger:
    """Books of a mean day; `usd_revenue_of(slot)`: what a unit's hour of full, balanced work brings in that slot."""
    hours, days = slot_hours(fleet.curve), fleet.curve.days
    shares, paid = shares_of_peak(fleet.curve), paid_units(fleet)
    work = [share * fleet.peak_units for share in shares]
    return DayLedger(
        usd_revenue=sum(units * usd_revenue_of(slot) for slot, units in enumerate(work)) * hours / days,
        usd_cost=sum(paid) * hours / days * usd_per_unit_hour + fixed_usd,
        unit_hours_needed=sum(work) * hours / days,
        unit_hours_paid=sum(paid) * hours / days,
        peak_units_paid=max(paid),
    )
