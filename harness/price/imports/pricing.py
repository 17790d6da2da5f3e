"""Pricing of imports: one measured load and what an hour or a token costs go in; its price comes out, or why not.

Owner: the whole deployment's cost per second over its rate of tokens. Buyer: the tokens on a card at the moment of
the file (its list rates where the file tells none), every input token as uncached, for no tool tells the hits. What
an answer was worth none of these files tells, so that there is no price of a useful answer.
"""

from dataclasses import dataclass, field, replace

from harness.price.imports.measured import Measured
from harness.price.spend.cost import Usage, blend_3to1, usage_usd
from harness.providers import PriceCard, RatedMoment, rates_at

USEFUL = "the file does not tell which answers were useful: run the scenario with trueyield"
NO_HOUR = "no hour is priced: add --gpu-hour (and --count)"
NO_CARD = "no card is named: add --card NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What the load ran on, as named on the command line; `count` None: the file's own."""

    usd_per_gpu_hour: float
    basis: str
    as_of: str | None
    accelerator: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrice:
    """What the load costs whoever pays for the accelerators."""

    accelerator: str | None = None
    accelerators: int | None = None
    usd_per_gpu_hour: float | None = None
    basis: str | None = None
    as_of: str | None = None
    usd_per_mtok_output_allin: float | None = None
    usd_per_mtok_total: float | None = None
    usd_per_1k_requests: float | None = None

    @property
    def usd_per_s(self) -> float | None:
        """Of the whole deployment."""
        if self.usd_per_gpu_hour is None or self.accelerators is None:
            return None
        return self.usd_per_gpu_hour * self.accelerators / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPrice:
    """What the load costs whoever pays by the token."""

    price_card: str | None = None
    price_date: str | None = None
    price_label: str | None = None
    bill_usd: float | None = None
    usd_per_mtok_blended: float | None = None
    usd_per_mtok_blend_3to1: float | None = None
    usd_per_1k_requests: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLoad:
    """USD. `reasons` says by dotted key why a figure is None."""

    measured: Measured
    owner: OwnPrice
    buyer: CardPrice
    yield_ratio: float | None
    usd_per_1k_useful: float | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def price_load(measured: Measured, hardware: Hardware | None, card: PriceCard | None) -> PricedLoad:
    """Everything that this file and these prices allow."""
    reasons = {"usd_per_1k_useful": USEFUL}
    notes = list(measured.notes)
    owner = _owner(measured, hardware, reasons, notes)
    buyer = _buyer(measured, card, reasons, notes)
    earned = _yield(measured, owner, card, reasons)
    return PricedLoad(
        measured=measured, owner=owner, buyer=buyer, yield_ratio=earned, reasons=reasons, notes=tuple(notes)
    )


def _owner(measured: Measured, hardware: Hardware | None, reasons: dict[str, str], notes: list[str]) -> OwnPrice:
    if hardware is None:
        reasons["owner"] = NO_HOUR
        return OwnPrice(accelerator=measured.accelerator, accelerators=measured.accelerators)
    if hardware.count and measured.accelerators and hardware.count != measured.accelerators:
        notes.append(f"--count {hardware.count} is used; the file itself has {measured.accelerators} accelerators")
    theirs, ours = measured.accelerator, hardware.accelerator
    if theirs and ours and not ours.startswith(theirs):
        notes.append(f"the hour is one of {ours}; the file says {theirs}")
    named = OwnPrice(
        accelerator=hardware.accelerator or measured.accelerator,
        accelerators=hardware.count or measured.accelerators,
        usd_per_gpu_hour=hardware.usd_per_gpu_hour,
        basis=hardware.basis,
        as_of=hardware.as_of,
    )
    usd_per_s = named.usd_per_s
    if usd_per_s is None:
        reasons["owner"] = "the file does not tell how many accelerators: add --count N"
        return named
    out, into = measured.output_tokens_per_s, measured.input_tokens_per_s
    both = None if out is None or into is None else out + into
    finished = requests_per_s(measured)

    def over(usd: float, rate: float | None, key: str, what: str) -> float | None:
        if rate:
            return usd / rate
        reasons[f"owner.{key}"] = f"the file has no rate of {what}" if rate is None else "nothing was delivered"
        return None

    return replace(
        named,
        usd_per_mtok_output_allin=over(usd_per_s * 1e6, out, "usd_per_mtok_output_allin", "output"),
        usd_per_mtok_total=over(usd_per_s * 1e6, both, "usd_per_mtok_total", "input and output"),
        usd_per_1k_requests=over(usd_per_s * 1e3, finished, "usd_per_1k_requests", "requests"),
    )


def requests_per_s(measured: Measured) -> float | None:
    """Finished requests per second; from lengths where the file has only rates of tokens."""
    if measured.requests_ok is not None and measured.duration_s:
        return measured.requests_ok / measured.duration_s
    if measured.output_tokens_per_s is not None and measured.osl_tokens and measured.tool != "inferencex":
        return measured.output_tokens_per_s / measured.osl_tokens
    return None


def _buyer(measured: Measured, card: PriceCard | None, reasons: dict[str, str], notes: list[str]) -> CardPrice:
    if card is None:
        reasons["buyer"] = NO_CARD
        return CardPrice()
    named = CardPrice(price_card=card.name, price_date=card.as_of)
    moment = moment_of(card, measured)
    if moment is None:
        reasons["buyer"] = f"{card.name} has no rates for the time of this file"
        return named
    notes += _card_notes(measured, card)
    usage = _usage(measured)
    bill = None if usage is None else usage_usd(moment.rates, usage)
    if bill is None:
        reasons["buyer.bill_usd"] = "the file has no sums of input and output tokens"
    blended = _blended(measured, moment)
    if blended is None:
        reasons["buyer.usd_per_mtok_blended"] = "the file has neither sums nor rates of input and output tokens"
    per_1k = bill / measured.requests_ok * 1000 if bill is not None and measured.requests_ok else None
    if per_1k is None:
        reasons["buyer.usd_per_1k_requests"] = "the file does not tell the tokens of how many requests were finished"
    return replace(
        named,
        price_label=moment.label,
        bill_usd=bill,
        usd_per_mtok_blended=blended,
        usd_per_mtok_blend_3to1=blend_3to1(moment.rates),
        usd_per_1k_requests=per_1k,
    )


def _card_notes(measured: Measured, card: PriceCard) -> list[str]:
    notes = ["input is billed as uncached: the file tells no cache hits; failed requests are not in it"]
    if measured.epoch_s is None:
        notes.append(f"the file tells no moment with its zone: the latest list rates of {card.name} are used")
    if card.status != "verified":
        notes.append(f"price card {card.name} is {card.status}")
    return notes


def moment_of(card: PriceCard, measured: Measured) -> RatedMoment | None:
    """Rates at the file's moment; without one the list rates of the card's latest period."""
    if measured.epoch_s is not None:
        return rates_at(card, measured.epoch_s)
    latest = max(card.periods, key=lambda period: period.valid_from or "")
    return RatedMoment(latest.rates, latest.name)


def _usage(measured: Measured) -> Usage | None:
    if measured.input_tokens is None or measured.output_tokens is None:
        return None
    return Usage(input_tokens=measured.input_tokens, output_tokens=measured.output_tokens)


def _blended(measured: Measured, moment: RatedMoment) -> float | None:
    """Per million tokens of the load's own mix: of its sums, else of its rates."""
    pairs = (
        (measured.input_tokens, measured.output_tokens),
        (measured.input_tokens_per_s, measured.output_tokens_per_s),
    )
    for into, out in pairs:
        if into is not None and out is not None and into + out > 0:
            return usage_usd(moment.rates, Usage(input_tokens=into, output_tokens=out)) / (into + out) * 1e6
    return None


def _yield(measured: Measured, owner: OwnPrice, card: PriceCard | None, reasons: dict[str, str]) -> float | None:
    """R / C - 1 if this rate were sold on the card, every second of the hour; basis `seller`."""
    out, into = measured.output_tokens_per_s, measured.input_tokens_per_s
    cost = owner.usd_per_s
    moment = moment_of(card, measured) if card is not None else None
    if moment is None or not cost:
        reasons["yield_ratio"] = "needs a card and the price of an hour: add --card, --gpu-hour and --count"
        return None
    if out is None or into is None:
        reasons["yield_ratio"] = "the file has no rate of input and output"
        return None
    return usage_usd(moment.rates, Usage(input_tokens=into, output_tokens=out)) / cost - 1
