"""The five constraints of a published yield as parameters: they go in, changes of inputs to R/C come out.

A figure such as 545 % holds if everything is sold at one model's list price, around the clock, on rented accelerators
at one price, in whole units that always have a queue, with perfectly balanced experts. Each parameter gives one up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.price.bridge.ratio import Business
from harness.price.bridge.waterfall import Change
from harness.price.day.declared import hits, put
from harness.price.day.demand import mean_share
from harness.price.day.fleet import fleet_ratio
from harness.providers import DemandCurve


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """`share` of the value is sold at `cut` below the list price."""

    share: float
    cut: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """None or the ideal value: the constraint does not bite. Shares and discounts follow `Business.sales`."""

    # 1: what is sold, and for how much
    sale_shares: tuple[float, ...] | None = None
    discounts: Mapping[int, Discount] = field(default_factory=dict)
    monetised_share: float = 1.0
    cached_share: float | None = None
    # 2: what an hour costs
    usd_per_gpu_hour: float | None = None
    # 3: whole units
    units_needed: float | None = None
    units_bought: float | None = None
    # 4: always a queue; the ideal's cost is that of the curve's mean, 0 < idle_reuse < 1 pays for part of the idle time
    curve: DemandCurve | None = None
    idle_reuse: float = 1.0
    # 5: imbalance and redundancy
    balancedness: float = 1.0
    spare_share: float = 0.0


def constraint_changes(given: Constraints) -> list[Change[Business]]:
    """At most eight factors, every one assumed or declared by whoever gives the parameters."""
    return [*_revenue(given), *_cost(given)]


def _revenue(given: Constraints) -> list[Change[Business]]:
    changes: list[Change[Business]] = []
    if given.sale_shares is not None:
        shares = given.sale_shares
        evidence = "shares of the tokens " + " : ".join(f"{share:.0%}" for share in shares)

        def mixed(business: Business) -> Business:
            pairs = zip(business.sales, shares, strict=True)
            return replace(business, sales=tuple(replace(sale, share=share) for sale, share in pairs))

        changes.append(Change(factor="model mix", kind="assumed", evidence=evidence, apply=mixed))
    if given.discounts:
        changes.append(Change(factor="off-peak prices", kind="declared", evidence="value sold at a discount",
                              apply=lambda business: _discounted(business, given.discounts)))  # fmt: skip
    if given.monetised_share != 1:
        changes.append(Change(factor="share that pays", kind="assumed",
                              evidence=f"{given.monetised_share:.0%} of the tokens",
                              apply=put(monetised_share=given.monetised_share)))  # fmt: skip
    if given.cached_share is not None:
        changes.append(Change(factor="cache hits", kind="assumed", evidence=f"{given.cached_share:.0%} of the input",
                              apply=hits(given.cached_share)))  # fmt: skip
    return changes


def _discounted(business: Business, discounts: Mapping[int, Discount]) -> Business:
    sales = list(business.sales)
    for place, discount in discounts.items():
        sales[place] = replace(sales[place], discounted_share=discount.share, discount=discount.cut)
    return replace(business, sales=tuple(sales))


def _cost(given: Constraints) -> list[Change[Business]]:
    changes: list[Change[Business]] = []
    if given.usd_per_gpu_hour is not None:
        changes.append(Change(factor="GPU price", kind="assumed", evidence=f"${given.usd_per_gpu_hour:.4g} an hour",
                              apply=put(usd_per_gpu_hour=given.usd_per_gpu_hour)))  # fmt: skip
    if given.units_needed and given.units_bought:
        changes.append(Change(factor="whole units", kind="assumed",
                              evidence=f"{given.units_bought:.4g} bought for {given.units_needed:.4g} needed",
                              apply=put(unit_ratio=given.units_bought / given.units_needed)))  # fmt: skip
    if given.curve is not None:
        evidence = f"curve {given.curve.name}, mean {mean_share(given.curve):.0%} of its peak"
        changes.append(Change(factor="idle hours", kind=given.curve.kind, evidence=evidence,
                              apply=put(fleet_ratio=fleet_ratio(given.curve, given.idle_reuse))))  # fmt: skip
    if given.balancedness != 1 or given.spare_share:
        evidence = f"mean / largest load {given.balancedness:.2f}, {given.spare_share:.0%} spares"
        apply = put(balancedness=given.balancedness, spare_share=given.spare_share)
        changes.append(Change(factor="imbalance, spares", kind="assumed", evidence=evidence, apply=apply))
    return changes
