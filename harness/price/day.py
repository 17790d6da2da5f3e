"""The declared day: a deployment's demand, terms and card go in; the changes from a test's load to that day come out.

Each is a change of inputs to R/C (`ratio`): how much of the day is worked, at which hours' prices, with how many cache
hits (revenue through the card, cost through prefill), how much of it is paid for, and what stands by.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from harness.price.demand import FLAT, mean_share, period_card, week_rates
from harness.price.ratio import Business
from harness.price.waterfall import Change
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
    if deployment.demand is not None:
        curve, reuse = deployment.demand, (deployment.day or DayTerms()).idle_reuse
        return Use(share=use_of_curve(curve, reuse), kind=curve.kind, evidence=_curve_text(curve, reuse), curve=curve)
    if not deployment.utilisation:
        return None
    return Use(
        share=deployment.utilisation, kind="declared", evidence=f"{deployment.utilisation:.0%} of the day at this load"
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
        changes += _hours_of_card(card, use, epoch_s)
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
    if terms.balancedness != 1 or terms.spare_share:
        evidence = f"mean / largest load {terms.balancedness:.2f}, {terms.spare_share:.0%} spares"
        apply = put(balancedness=terms.balancedness, spare_share=terms.spare_share)
        changes.append(Change(factor="imbalance, spares", kind="declared", evidence=evidence, apply=apply))
    return changes


def _hours_of_card(card: PriceCard | None, use: Use, epoch_s: float | None) -> list[Change[Business]]:
    """A card with windows brings another mean price over a week than in the minutes of a test."""
    alone = period_card(card, epoch_s) if card is not None and epoch_s is not None else None
    if alone is None or epoch_s is None or not alone.periods[0].windows:
        return []
    rates = week_rates(alone, use.curve or FLAT, epoch_s)
    if rates is None:
        return []
    spread = f"curve {use.curve.name}" if use.curve else "the same load in every hour"
    return [
        Change(
            factor="hours of the price card",
            kind=use.kind if use.curve else "assumed",
            evidence=f"{alone.name} over a week, {spread}: output {rates.usd_per_mtok_output:.4g} $/M",
            apply=sold_at(rates),
        )
    ]


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


def sold_at(rates: Rates) -> Callable[[Business], Business]:
    """Everything sold at these rates."""

    def apply(business: Business) -> Business:
        return replace(business, sales=tuple(replace(sale, rates=rates) for sale in business.sales))

    return apply
