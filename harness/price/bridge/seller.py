"""Bridge: a case goes in; what theory allowed, what was earned, and the factors between them come out.

All R/C here are of one accelerator-hour of the measured mix (`ratio`), sold on the seller's card. The seller's bridge
leads from the best load that memory and SLO allow, at full use, over this run's load and engine, to the declared day.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

from harness.price.bills import ADD_CARD, no_hour_reason
from harness.price.bridge.ratio import Business, Sale, revenue_over_cost
from harness.price.bridge.waterfall import Change, waterfall
from harness.price.case import Case, no_rate_reason, no_shape_reason
from harness.price.day.declared import day_changes, put
from harness.price.owned.tco import idle_saving_usd
from harness.price.results import BoundRow, Bounds, Factor, Theoretical
from harness.price.spend.cost import Usage, usage_usd
from harness.price.spend.ledger import Ledger
from harness.providers import Deployment
from harness.theory import Bound, Shape, best_bound, bound_at, kv_capacity_bytes

YieldBasis = Literal["seller", "avoided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """Theory for this run's mean request; None where it cannot be told."""

    at_this_load: Bound | None = None
    at_best_load: Bound | None = None


def ceilings(case: Case, reasons: dict[str, str]) -> Ceilings:
    """The bound for the batch that really ran, and for the largest one that memory and the TPOT limit allow."""
    deployment, shape = case.deployment, case.shape
    if deployment is None or shape is None:
        reasons["bound"] = no_hour_reason(case) if deployment is None else no_shape_reason(case.run)
        return Ceilings()
    limit = case.slos.get("tpot_s")
    best = best_bound(deployment, shape, limit)
    if best is None:
        reasons["bound.at_best_load"] = _why_no_batch(deployment, limit)
    batch = case.run.mix.mean_decoding
    if not batch:
        reasons["bound.at_this_load"] = no_rate_reason(case.run, "no request was decoding in the measure window")
    return Ceilings(at_this_load=bound_at(deployment, shape, batch) if batch else None, at_best_load=best)


def _why_no_batch(deployment: Deployment, limit: float | None) -> str:
    where = f"{deployment.count} x {deployment.accelerator.name}"
    if not kv_capacity_bytes(deployment):
        return f"{deployment.model.name} in {deployment.precision} does not fit on {where}: check the deployment"
    if limit is None:
        return f"not one request of this length fits beside the weights on {where}"
    return f"not even a batch of one meets the TPOT limit of {limit:g} s on {where}"


# -- the seller ---------------------------------------------------------------------------------------------------


def revenue_ledger(case: Case) -> tuple[Ledger | None, YieldBasis | None]:
    """Whose card is revenue: what the endpoint sells on, else the first card to compare with (money not spent)."""
    if case.hour is None:
        return None, None
    if case.seller is not None:
        return case.seller, "seller"
    return (case.compared[0], "avoided") if case.compared else (None, None)


def business_of(case: Case, ledger: Ledger | None, batch: float) -> Business | None:
    """The ideal seller of this run's mix on this deployment: everything works, all day, everything is paid for."""
    deployment, hour, shape = case.deployment, case.hour, case.shape
    rates = ledger.unit.mean_rates() if ledger else None
    if deployment is None or hour is None or not hour.usd or shape is None or rates is None:
        return None

    def ceiling(mean: Shape, running: float) -> float:
        return bound_at(deployment, mean, running).output_tokens_per_s / deployment.count

    return Business(
        shape=shape,
        ceiling=ceiling,
        sales=(Sale(rates=rates),),
        usd_per_gpu_hour=hour.usd,
        idle_saving_usd=idle_saving_usd(deployment),
        batch=batch,
        hours=24.0 * deployment.count,
    )


def bounds(case: Case, found: Ceilings, ledger: Ledger | None, reasons: dict[str, str]) -> Bounds:
    """Both ceilings with what a token would cost and earn there."""
    for name in ("at_this_load", "at_best_load"):
        reasons[f"bound.{name}.usd_per_mtok_output_allin"] = no_hour_reason(case)
        reasons[f"bound.{name}.yield_ratio"] = ADD_CARD if case.hour else no_hour_reason(case)
    return Bounds(
        at_this_load=_row(case, found.at_this_load, ledger), at_best_load=_row(case, found.at_best_load, ledger)
    )


def _row(case: Case, bound: Bound | None, ledger: Ledger | None) -> BoundRow | None:
    if bound is None:
        return None
    business = business_of(case, ledger, bound.batch)
    usd_per_s = case.usd_per_s
    return BoundRow(
        output_tokens_per_s=bound.output_tokens_per_s,
        limited_by=bound.limited_by,
        batch=bound.batch,
        output_tokens_per_s_per_user=bound.output_tokens_per_s_per_user,
        usd_per_mtok_output_allin=None if usd_per_s is None else usd_per_s / bound.output_tokens_per_s * 1e6,
        yield_ratio=None if business is None else revenue_over_cost(business) - 1,
        ttft_s=bound.ttft_s,
    )


def theoretical(case: Case, found: Bounds, reasons: dict[str, str]) -> Theoretical:
    """What a token should cost: at the best load where the hardware is known, else the list price of this mix."""
    best = found.at_best_load
    if best is not None and best.usd_per_mtok_output_allin is not None:
        if best.yield_ratio is None:
            reasons["theoretical.yield_ratio"] = ADD_CARD
        return Theoretical(usd_per_mtok_output_allin=best.usd_per_mtok_output_allin, yield_ratio=best.yield_ratio)
    rates, shape = (case.own.unit.mean_rates() if case.own else None), case.shape
    reasons["theoretical.yield_ratio"] = (
        reasons.get("bound.at_best_load") or reasons.get("bound") or no_hour_reason(case)
    )
    if rates is None or shape is None:
        reasons["theoretical.usd_per_mtok_output_allin"] = reasons["theoretical.yield_ratio"]
        return Theoretical()
    request = Usage(input_tokens=shape.isl_tokens, output_tokens=shape.osl_tokens)
    return Theoretical(usd_per_mtok_output_allin=usage_usd(rates, request) / shape.osl_tokens * 1e6)


# -- the factors --------------------------------------------------------------------------------------------------


def seller_bridge(case: Case, found: Ceilings, ledger: Ledger | None, reasons: dict[str, str]) -> tuple[Factor, ...]:
    """From theory at the best load and full use to this run, and on to the day where one is declared."""
    here, best = found.at_this_load, found.at_best_load
    start = business_of(case, ledger, best.batch) if best else None
    if here is None or best is None or start is None or ledger is None:
        missing = (reasons.get(key) for key in ("bound", "bound.at_best_load", "bound.at_this_load", "yield_ratio"))
        reasons["waterfall"] = next((why for why in missing if why), ADD_CARD)
        return ()
    rate = case.output_tokens_per_s
    if rate is None or not ledger.unit.usd_known:
        reasons["waterfall"] = no_rate_reason(
            case.run, "nothing was earned in the measure window: there is no R/C to lead to"
        )
        return ()
    try:
        return waterfall(start, seller_changes(case, here, best, ledger))
    except ValueError as error:
        reasons["waterfall"] = str(error)
        return ()


def seller_changes(case: Case, here: Bound, best: Bound, ledger: Ledger) -> list[Change[Business]]:
    """This run's load and engine, then the day."""
    shape, deployment = case.shape, case.deployment
    assert shape is not None and deployment is not None
    return [
        *_measured(case, here, best, ledger),
        *day_changes(deployment, ledger.card, case.measured_s, shape.cached_share),
    ]


def measured_business(case: Case, ledger: Ledger | None) -> Business | None:
    """This run's own load, all day: where the model's bound is known, other cache hits change its rate too."""
    rate, batch = case.output_tokens_per_s, case.run.mix.mean_decoding
    start = business_of(case, ledger, batch or 1.0)
    if start is None or rate is None or ledger is None or not ledger.unit.usd_known or case.deployment is None:
        return None
    count = case.deployment.count
    bound = start.ceiling(start.shape, start.batch) * count if batch else 0.0
    if not bound:
        start = replace(start, ceiling=lambda shape, running: rate / count)
        bound = rate
    return replace(start, efficiency=rate / bound, billed_share=_billed_share(start, ledger))


def day_business(case: Case, ledger: Ledger | None) -> Business | None:
    """The declared day at this run's load; where no day is declared, this load all day. None: no R/C."""
    business = measured_business(case, ledger)
    if business is None or case.deployment is None or ledger is None:
        return None
    changes = day_changes(case.deployment, ledger.card, case.measured_s, business.shape.cached_share)
    return reduce(lambda made, change: change.apply(made), changes, business)


def _billed_share(start: Business, ledger: Ledger) -> float:
    """Known bill per delivered output token over the list price of the mean request."""
    shape, unit = start.shape, ledger.unit
    request = Usage(
        input_tokens=shape.isl_tokens,
        output_tokens=shape.osl_tokens,
        cached_tokens=shape.isl_tokens * shape.cached_share,
    )
    listed = usage_usd(start.sales[0].rates, request) / shape.osl_tokens
    return unit.usd_known / unit.delivered_output_tokens / listed


def _measured(case: Case, here: Bound, best: Bound, ledger: Ledger) -> list[Change[Business]]:
    rate = case.run.throughput.output_tokens_per_s or 0.0
    start = business_of(case, ledger, best.batch)
    billed = _billed_share(start, ledger) if start else 1.0
    limited = case.run.load.state == "demand_limited"
    return [
        Change(
            factor="load (demand-limited)" if limited else "load and SLO",
            kind="measured",
            evidence=f"batch {here.batch:.1f} of {best.batch:.0f} ({best.limited_by})",
            apply=put(batch=here.batch),
        ),
        Change(
            factor="engine efficiency",
            kind="measured",
            evidence=f"{rate:,.0f} of {here.output_tokens_per_s:,.0f} output tok/s at this load",
            apply=put(efficiency=rate / here.output_tokens_per_s),
        ),
        Change(
            factor="failures",
            kind="measured",
            evidence=f"{billed:.1%} of the list value of delivered tokens was billed",
            apply=put(billed_share=billed),
        ),
    ]
