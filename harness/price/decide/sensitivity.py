"""A case under its terms goes in; the ranges that its yield hangs on come out, each with where the range comes from."""

from collections.abc import Sequence
from dataclasses import replace

from harness.price.bridge.ratio import Business
from harness.price.bridge.seller import day_business
from harness.price.case import Case
from harness.price.day.declared import hits
from harness.price.decide.comparable import Offer, request_usd
from harness.price.decide.levers import Range, dearer
from harness.price.spend.ledger import Ledger

#: Ranges that nobody declared; printed as ASSUMED. Shares of the figure, of the input, of the hours.
USE_AROUND, HITS_UP_TO, AVAILABLE_FROM = 0.25, 0.5, 0.97


def ranges_of(
    case: Case, ledger: Ledger | None, found: Sequence[Offer] = (), hour: tuple[float, float] | None = None
) -> tuple[Range, ...]:
    """$/GPU-h, use, cache hits, card and availability; an input that cannot move has no range."""
    business = day_business(case, ledger)
    if business is None:
        return ()
    made = [_hour(case, business, hour), _use(business), _hits(business), _cards(case, business, found)]
    return (*(one for one in made if one is not None), _available(business))


def _hour(case: Case, business: Business, given: tuple[float, float] | None) -> Range | None:
    deployment = case.deployment
    if given is None and deployment is not None:
        low, high = deployment.usd_per_gpu_hour_low, deployment.usd_per_gpu_hour_high
        given = (low, high) if low and high else None
    if given is None or given[0] == given[1]:
        return None
    return Range(
        name="$/GPU-h",
        low=replace(business, usd_per_gpu_hour=given[0]),
        high=replace(business, usd_per_gpu_hour=given[1]),
        low_text=f"${given[0]:.2f}",
        high_text=f"${given[1]:.2f}",
        kind="declared",
    )


def _use(business: Business) -> Range | None:
    use = business.utilisation
    low, high = use * (1 - USE_AROUND), min(1.0, use * (1 + USE_AROUND))
    return Range(
        name="utilisation of a day",
        low=replace(business, utilisation=low),
        high=replace(business, utilisation=high),
        low_text=f"{low:.0%}",
        high_text=f"{high:.0%}",
        kind="assumed",
    )


def _hits(business: Business) -> Range | None:
    high = max(HITS_UP_TO, business.shape.cached_share)
    return Range(
        name="cache hits",
        low=hits(0.0)(business),
        high=hits(high)(business),
        low_text="0%",
        high_text=f"{high:.0%}",
        kind="assumed",
    )


def _cards(case: Case, business: Business, found: Sequence[Offer]) -> Range | None:
    """The cheapest and the dearest card of the same model, by the price of this run's mean request."""
    if len(found) < 2 or case.shape is None:
        return None
    now = sum(sale.share * request_usd(sale.rates, business.shape) for sale in business.sales)
    if not now:
        return None
    low, high = found[0], found[-1]
    return Range(
        name="price card",
        low=dearer(business, low.usd_per_request / now),
        high=dearer(business, high.usd_per_request / now),
        low_text=low.card.provider,
        high_text=high.card.provider,
        kind="declared",
    )


def _available(business: Business) -> Range:
    return Range(
        name="availability",
        low=replace(business, utilisation=business.utilisation * AVAILABLE_FROM),
        high=business,
        low_text=f"{AVAILABLE_FROM:.0%}",
        high_text="100%",
        kind="assumed",
    )
