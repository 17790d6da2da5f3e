"""Business goes in, R/C comes out: the one function of revenue over cost that every yield and every waterfall uses.

R/C of one accelerator-hour. Revenue: output tokens of an hour at work, each bringing its own price and the price of
its share of input. Cost: the price of an hour, grown by the hours that are paid but not worked. Yield is R/C - 1.
DeepSeek's published day and the five constraints on it (model mix, free use, night prices, fleet in whole units and
without re-use at night, imbalance and spares) are inputs of it, as are a measured run's efficiency, batch and day.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.price.spend.cost import Usage, usage_usd
from harness.providers import Rates
from harness.theory import Shape

#: (mean request, sequences that decode at once) -> output tokens/s of one accelerator at work, at most
Ceiling = Callable[[Shape, float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A share of the tokens, sold at these rates; `discounted_share` of its value is cut by `discount`."""

    rates: Rates
    share: float = 1.0
    discounted_share: float = 0.0
    discount: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """Everything that R/C depends on. Defaults are the ideal: every factor of a waterfall moves one of them."""

    shape: Shape
    ceiling: Ceiling
    sales: tuple[Sale, ...]
    usd_per_gpu_hour: float
    batch: float = 1.0
    efficiency: float = 1.0  # of the ceiling
    billed_share: float = 1.0  # of the value of what was generated: failures and cut streams may go unpaid
    monetised_share: float = 1.0
    utilisation: float = 1.0  # share of paid hours at work
    balancedness: float = 1.0  # mean / max load of experts
    fleet_ratio: float = 1.0  # hours paid / hours needed by demand: 1 = idle nodes find other work
    unit_ratio: float = 1.0  # whole units bought / units needed
    spare_share: float = 0.0
    idle_saving_usd: float = 0.0  # what an hour that is not worked costs less: an owner's power at work less idle
    fixed_usd_per_gpu_hour: float = 0.0  # cost that no accelerator's hour holds: people, licences
    hours: float = 1.0  # accelerator-hours that money is told for; no ratio depends on it


def output_tokens_per_gpu_hour(business: Business) -> float:
    """Output tokens that one paid accelerator-hour delivers."""
    at_work = business.ceiling(business.shape, business.batch) * business.efficiency * business.balancedness
    return at_work * business.utilisation * 3600


def usd_per_output_token(business: Business) -> float:
    """Revenue that comes with one output token: its own price and its share of cached and computed input."""
    shape = business.shape
    request = Usage(
        input_tokens=shape.isl_tokens,
        output_tokens=shape.osl_tokens,
        cached_tokens=shape.isl_tokens * shape.cached_share,
    )
    listed = sum(
        sale.share * usage_usd(sale.rates, request) * (1 - sale.discounted_share * sale.discount)
        for sale in business.sales
    )
    return listed * business.billed_share * business.monetised_share / shape.osl_tokens


def revenue_and_cost(business: Business) -> tuple[float, float]:
    """USD that `hours` accelerator-hours bring, and what they cost."""
    revenue = output_tokens_per_gpu_hour(business) * usd_per_output_token(business)
    paid_hours = business.fleet_ratio * business.unit_ratio * (1 + business.spare_share)
    usd_per_paid_hour = business.usd_per_gpu_hour - business.idle_saving_usd * (1 - business.utilisation)
    cost = usd_per_paid_hour * paid_hours + business.fixed_usd_per_gpu_hour
    return revenue * business.hours, cost * business.hours


def cost_per_token(business: Business) -> float:
    """USD per output token that the paid hours deliver."""
    return revenue_and_cost(business)[1] / business.hours / output_tokens_per_gpu_hour(business)


def revenue_over_cost(business: Business) -> float:
    """R/C; the yield is this less one."""
    revenue, cost = revenue_and_cost(business)
    return revenue / cost


def break_even_utilisation(business: Business) -> float | None:
    """Share of paid hours that must be worked to earn the cost: u* = n c / sum of T p; above 1 it cannot be done.

    None where nothing is earned at any use.
    """
    full = revenue_over_cost(replace(business, utilisation=1.0))
    return break_even_share(full, business.idle_saving_usd / business.usd_per_gpu_hour) if full > 0 else None


def break_even_share(ratio: float, saved: float = 0.0) -> float:
    """u* from R/C at full use, where an idle hour costs `saved` of an hour's price less: u R = C (1 - saved (1 - u)).

    Infinite where not even the power is earned.
    """
    return (1 - saved) / (ratio - saved) if ratio > saved else math.inf
