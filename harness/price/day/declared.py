"""The declared day: a deployment's demand, terms and card go in; the changes from a test's load to that day come out.

Each is a change of inputs to R/C (`ratio`): how much of the day is worked, at which hours' prices, with how many cache
hits (revenue through the card, cost through prefill), how much of it is paid for, and what stands by.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from harness.price.bridge.ratio import Business, Sale
from harness.price.bridge.waterfall import Change
from harness.price.day.demand import FLAT, mean_share, period_card, week_rates
from harness.providers import DayTerms, DemandCurve, Deployment, PriceCard, Rates

Kind = Literal["measured", "declared", "assumed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Share of the paid hours at work; `curve` None: one figure for the day."""

    share: float
    kind: Kind
    evidence: str
    curve: DemandCurve | None = None


def use_of_day(deployment: Deployment | None) -> Use | None:
    """What the deployment declares about its day; None where it declares nothing."""
    if deployment is None:
        return None
    idle = _idle_text(deployment)
    if deployment.demand is not None:
        curve, reuse = deployment.demand, (deployment.day or DayTerms()).idle_reuse
        return Use(
            share=use_of_curve(curve, reuse), kind=curve.kind, evidence=_curve_text(curve, reuse) + idle, curve=curve
        )
    if not deployment.utilisation:
        return None
    return Use(
        share=deployment.utilisation,
        kind="declared",
        evidence=f"{deployment.utilisation:.0%} of the day at this load{idle}",
    )


def _idle_text(deployment: Deployment) -> str:
    """How idle hours draw power, where its owner pays for it."""
    if deployment.tco is None or not deployment.tco.power_kw:
        return ""
    power = deployment.power
    return (
        f", idle at {power.idle_watts:,.0f} W" if power and power.idle_watts is not None else ", idle power as at work"
    )


def use_of_curve(curve: DemandCurve, idle_reuse: float = 0.0) -> float:
    """Hours at work over hours paid, for a fleet built for the peak: mean / (r mean + (1 - r) peak)."""
    mean = mean_share(curve)
    return mean / (idle_reuse * mean + 1 - idle_reuse)


def _curve_text(curve: DemandCurve, reuse: float) -> str:
    text = f"curve {curve.name} of {curve.as_of}: mean {mean_share(curve):.0%} of its peak"
    return text + (f", {reuse:.0%} of idle hours find other work" if reuse else "")


def day_changes(
    deployment: Deployment, card: PriceCard | None, epoch_s: float | None, cached_share: float = 0.0
) -> list[Change[Business]]:
    """What the declared day changes; empty where nothing is declared. `epoch_s`: when the run was."""
    use, terms = use_of_day(deployment), deployment.day or DayTerms()
    changes: list[Change[Business]] = []
    if use is not None:
        changes.append(
            Change(
                factor="utilisation of a day", kind=use.kind, evidence=use.evidence, apply=put(utilisation=use.share)
            )
        )
    changes += _sold(card, terms, use, epoch_s)
    if terms.cached_share is not None and terms.cached_share != cached_share:
        evidence = f"{cached_share:.0%} of input in this run, {terms.cached_share:.0%} in a day"
        changes.append(
            Change(factor="cache hits of a day", kind="declared", evidence=evidence, apply=hits(terms.cached_share))
        )
    return changes + _terms(terms)


def _terms(terms: DayTerms) -> list[Change[Business]]:
    changes: list[Change[Business]] = []
    if terms.monetised_share != 1:
        evidence = f"{terms.monetised_share:.0%} of the tokens are paid for"
        changes.append(
            Change(factor="share that pays", kind="declared", evidence=evidence,
                   apply=put(monetised_share=terms.monetised_share))
        )  # fmt: skip
    return changes + _fleet(terms)


def _fleet(terms: DayTerms) -> list[Change[Business]]:
    """What stands by, and what an hour of it costs."""
    inputs: dict[str, float] = {}
    said = []
    if terms.balancedness != 1:
        inputs["balancedness"] = terms.balancedness
        said.append(f"mean / largest load {terms.balancedness:.2f}")
    if terms.spare_share:
        inputs["spare_share"] = terms.spare_share
        said.append(f"{terms.spare_share:.0%} spares")
    if terms.units_needed is not None:
        whole = math.ceil(terms.units_needed - 1e-9)
        inputs["unit_ratio"] = whole / terms.units_needed
        said.append(f"{whole} units for {terms.units_needed:g}")
    if terms.usd_per_gpu_hour is not None:
        inputs |= {"usd_per_gpu_hour": terms.usd_per_gpu_hour, "idle_saving_usd": 0.0}
        said.append(f"${terms.usd_per_gpu_hour:g}/GPU-h")
    if not inputs:
        return []
    names = {
        "balancedness": "imbalance",
        "spare_share": "spares",
        "unit_ratio": "units",
        "usd_per_gpu_hour": "GPU price",
        "idle_saving_usd": "",
    }
    factor = ", ".join(names[key] for key in inputs if names[key])
    return [Change(factor=factor, kind="declared", evidence=", ".join(said), apply=put(**inputs))]


def _sold(card: PriceCard | None, terms: DayTerms, use: Use | None, epoch_s: float | None) -> list[Change[Business]]:
    """What the day sells, and at which hours: a card with windows brings another mean price than a test's minutes."""
    alone = period_card(card, epoch_s) if card is not None and epoch_s is not None else None
    if alone is None or epoch_s is None:
        return []
    windows = bool(alone.periods[0].windows) and use is not None
    if not windows and not terms.mix:
        return []
    curve = use.curve if use is not None and use.curve is not None else FLAT
    rest = 1 - sum(share for _, share in terms.mix)
    said = [f"{share:.0%} on {other.name}" for other, share in terms.mix]
    sales = [Sale(rates=_rates(other, curve, epoch_s), share=share) for other, share in terms.mix]
    if windows:
        rates = _rates(alone, curve, epoch_s)
        spread = f"curve {curve.name}" if use is not None and use.curve else "the same load in every hour"
        said.insert(0, f"{alone.name} over a week, {spread}: output {rates.usd_per_mtok_output:.4g} $/M")
        sales.insert(0, Sale(rates=rates, share=rest))
    names = ["hours of the price card"] if windows else []
    names += ["model mix"] if terms.mix else []
    assumed = windows and (use is None or use.curve is None or use.curve.kind == "assumed")
    return [
        Change(
            factor=" and ".join(names).replace("hours of the price card and", "card hours and"),
            kind="assumed" if assumed else "declared",
            evidence=", ".join(said),
            apply=_selling(tuple(sales), None if windows else rest),
        )
    ]


def _rates(card: PriceCard, curve: DemandCurve, epoch_s: float) -> Rates:
    """Mean rates of a week; the newest of the card where it has none for that time."""
    return week_rates(card, curve, epoch_s) or card.periods[-1].rates


def _selling(sales: tuple[Sale, ...], kept: float | None) -> Callable[[Business], Business]:
    """These sales alone, or beside `kept` of what is sold now."""

    def apply(business: Business) -> Business:
        before = () if kept is None else tuple(replace(sale, share=sale.share * kept) for sale in business.sales)
        return replace(business, sales=(*before, *sales))

    return apply


# -- changes of inputs --------------------------------------------------------------------------------------------


def put(**values: float) -> Callable[[Business], Business]:
    """Set scalar inputs."""

    def apply(business: Business) -> Business:
        return replace(business, **values)  # type: ignore[arg-type]

    return apply


def hits(cached_share: float) -> Callable[[Business], Business]:
    """Other cache hits: less to compute, and cheaper input on the card."""

    def apply(business: Business) -> Business:
        return replace(business, shape=replace(business.shape, cached_share=cached_share))

    return apply
