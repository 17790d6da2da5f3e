"""The catalog's cards and a run go in; the cards that sell the same model come out, the cheapest first.

Providers name a model each in their own way, so a card counts as the same model where its own name, less its
provider, is the model's catalog name or the end of it; cards that the run names are always in. Only verified rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.price.case import Case
from harness.price.day.demand import FLAT, week_rates
from harness.price.spend.cost import Usage, usage_usd
from harness.providers import DemandCurve, PriceCard, Rates
from harness.theory import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a card asks for this run's mean request, over the week of the run."""

    card: PriceCard
    rates: Rates
    usd_per_request: float


def offers(
    case: Case, cards: Iterable[PriceCard], epoch_s: float, curve: DemandCurve = FLAT
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    """Offers, cheapest first, and the names of cards without rates at that time."""
    found, without = [], []
    for card in cards:
        rates = week_rates(card, curve, epoch_s)
        if rates is None or case.shape is None:
            without.append(card.name)
            continue
        found.append(Offer(card=card, rates=rates, usd_per_request=request_usd(rates, case.shape)))
    return tuple(sorted(found, key=lambda offer: (offer.usd_per_request, offer.card.name))), tuple(without)


def request_usd(rates: Rates, shape: Shape) -> float:
    """Price of the mean request."""
    cached = shape.isl_tokens * shape.cached_share
    return usage_usd(rates, Usage(input_tokens=shape.isl_tokens, output_tokens=shape.osl_tokens, cached_tokens=cached))


def comparable_cards(case: Case, catalog: Iterable[PriceCard]) -> tuple[PriceCard, ...]:
    """The run's own cards, then the catalog's of the same model."""
    endpoint = case.endpoint
    named = [card for card in (endpoint.sell_at, endpoint.price_card, *endpoint.compare_with) if card is not None]
    model = endpoint.deployment.model.name if endpoint.deployment else None
    same = [card for card in catalog if card.status == "verified" and model is not None and sells(card, model)]
    return tuple({card.name: card for card in (*same, *named)}.values())


def sells(card: PriceCard, model: str) -> bool:
    """'together-r1' sells deepseek-r1, 'groq-llama-3.3-70b' sells llama-3.3-70b."""
    own = card.name.removeprefix(f"{card.provider}-")
    return model == own or model == card.model or model.endswith(f"-{own}")
