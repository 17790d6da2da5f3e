"""Ledger: a run's records, their uses and a price card go in; who was billed what for which use comes out.

The whole test is split by use and sums to 100 %. The unit cost is taken from the requests of the measure window that
ended by themselves: useful, not useful, failed. Those that we cut off at the end say nothing about the endpoint.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.price.spend.cost import MILLION, Charge, Guess, Usage, blend_3to1, charge, usage_of, usage_usd
from harness.providers import PriceCard, Rates
from harness.records import StreamRecord, Wall

USES = ("useful", "not_useful", "failed", "cut_off", "warm_up", "drain")
UNIT_USES = frozenset({"useful", "not_useful", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request as money sees it: its record, what it was good for, and its worker's place on the wall clock."""

    record: StreamRecord
    use: str
    wall: Wall
    why_not: str | None = None  # why a finished request is no useful answer
    right: bool | None = None  # what its checker said; None: no checker, or no text was kept


@dataclass(slots=True, kw_only=True)
class TokenClass:
    """Tokens of one price and what they cost; cached, plain and output tokens are kept apart."""

    tokens: float = 0.0
    usd: float = 0.0

    def add(self, tokens: float, usd_per_mtok: float) -> None:
        self.tokens += tokens
        self.usd += tokens * usd_per_mtok / MILLION

    def mean_usd_per_mtok(self, otherwise: float) -> float:
        """Mean rate, weighted by tokens; `otherwise` where there were none."""
        return self.usd / self.tokens * MILLION if self.tokens else otherwise


@dataclass(slots=True, kw_only=True)
class Unit:
    """Sums over the unit uses. `delivered` is all that was generated, `billed` what is certainly paid for."""

    plain: TokenClass = field(default_factory=TokenClass)
    cached: TokenClass = field(default_factory=TokenClass)
    written: TokenClass = field(default_factory=TokenClass)
    output: TokenClass = field(default_factory=TokenClass)
    usd_known: float = 0.0
    usd_unknown_max: float = 0.0
    delivered_output_tokens: float = 0.0
    delivered_usd: float = 0.0
    blend_3to1_sum: float = 0.0
    priced: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    last_rates: Rates | None = None
    #: bill, usefulness and grade of each request, in order: sampling error is computed from them
    bills_usd: list[float] = field(default_factory=list)
    useful: list[bool] = field(default_factory=list)
    right: list[bool | None] = field(default_factory=list)

    @property
    def usd_max(self) -> float:
        """Known bill and the worst case of what was not counted."""
        return self.usd_known + self.usd_unknown_max

    def mean_rates(self) -> Rates | None:
        """The rates that held, weighted by the tokens sold at them; None where nothing was priced."""
        last = self.last_rates
        if last is None:
            return None
        cached = last.usd_per_mtok_input if last.usd_per_mtok_input_cached is None else last.usd_per_mtok_input_cached
        return Rates(
            usd_per_mtok_input=self.plain.mean_usd_per_mtok(last.usd_per_mtok_input),
            usd_per_mtok_input_cached=self.cached.mean_usd_per_mtok(cached),
            usd_per_mtok_output=self.output.mean_usd_per_mtok(last.usd_per_mtok_output),
            usd_per_mtok_cache_write=self.written.usd / self.written.tokens * MILLION
            if self.written.tokens
            else last.usd_per_mtok_cache_write,
        )


@dataclass(slots=True, kw_only=True)
class Ledger:
    """One card's books over one run."""

    card: PriceCard
    spend: dict[str, float] = field(default_factory=lambda: dict.fromkeys(USES, 0.0))
    usd_known: float = 0.0
    usd_unknown_max: float = 0.0
    unpriced: int = 0  # requests at times for which the card has no rates
    uncounted: int = 0  # requests billed by estimate
    reported: int = 0  # requests for which the provider named its own price
    usd_reported: float = 0.0
    usd_of_reported: float = 0.0  # our bill of those same requests
    unit: Unit = field(default_factory=Unit)


def keep_ledger(card: PriceCard, entries: Iterable[Entry], guess: Guess) -> Ledger:
    """Bill every entry on one card."""
    ledger = Ledger(card=card)
    for entry in entries:
        bill = charge(card, entry.record, entry.wall, guess)
        if bill is None:
            ledger.unpriced += 1
            continue
        ledger.spend[entry.use] += bill.usd
        if bill.known:
            ledger.usd_known += bill.usd
        else:
            ledger.usd_unknown_max += bill.usd
            ledger.uncounted += 1
        if entry.record.usd_reported is not None:
            ledger.reported += 1
            ledger.usd_reported += entry.record.usd_reported
            ledger.usd_of_reported += bill.usd
        if entry.use in UNIT_USES:
            _add_to_unit(ledger.unit, entry, bill, guess)
    return ledger


def _add_to_unit(unit: Unit, entry: Entry, bill: Charge, guess: Guess) -> None:
    rates = bill.moment.rates
    delivered = delivered_usage(entry.record, guess)
    unit.bills_usd.append(bill.usd)
    unit.useful.append(entry.use == "useful")
    unit.right.append(entry.right)
    unit.delivered_output_tokens += delivered.output_tokens
    unit.delivered_usd += usage_usd(rates, delivered)
    unit.priced += 1
    unit.labels[bill.moment.label] += 1
    unit.blend_3to1_sum += blend_3to1(rates)
    unit.last_rates = rates
    if not bill.known:
        unit.usd_unknown_max += bill.usd
        return
    unit.usd_known += bill.usd
    usage, cached = bill.usage, rates.usd_per_mtok_input_cached
    write = rates.usd_per_mtok_input if rates.usd_per_mtok_cache_write is None else rates.usd_per_mtok_cache_write
    unit.plain.add(usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens, rates.usd_per_mtok_input)
    unit.written.add(usage.cache_write_tokens, write)
    unit.cached.add(usage.cached_tokens, rates.usd_per_mtok_input if cached is None else cached)
    unit.output.add(usage.output_tokens, rates.usd_per_mtok_output)


def delivered_usage(record: StreamRecord, guess: Guess) -> Usage:
    """What the endpoint worked off for a request, billed or not: counted, else judged by the deltas that came."""
    counted = usage_of(record)
    if counted is not None:
        return counted
    if not record.deltas:
        return Usage(input_tokens=0, output_tokens=0)
    tokens = record.output_tokens
    return Usage(
        input_tokens=guess.input_tokens if record.input_tokens is None else record.input_tokens,
        output_tokens=record.deltas * (guess.tokens_per_delta or 1.0) if tokens is None else tokens,
        cached_tokens=record.cached_tokens or 0,
    )


def guess_from(records: Iterable[StreamRecord], fallback_input: float, fallback_output: float) -> Guess:
    """What to assume of uncounted requests: the largest prompt and answer that the server counted in this run."""
    largest_input = largest_output = tokens = deltas = 0
    for record in records:
        usage = usage_of(record)
        if usage is not None:
            largest_input = max(largest_input, int(usage.input_tokens))
            largest_output = max(largest_output, int(usage.output_tokens))
            if record.deltas:
                tokens, deltas = tokens + int(usage.output_tokens), deltas + record.deltas
    return Guess(
        input_tokens=largest_input or fallback_input,
        output_tokens=largest_output or fallback_output,
        tokens_per_delta=tokens / deltas if deltas else None,
    )


def weights(entries: Iterable[Entry], guess: Guess, input_tokens_per_output_token: float) -> Mapping[str, float]:
    """Work that each use caused, in output tokens' worth, cache hits free: the key by which GPU time is shared."""
    work = dict.fromkeys(USES, 0.0)
    for entry in entries:
        usage = delivered_usage(entry.record, guess)
        computed = usage.input_tokens - usage.cached_tokens
        work[entry.use] += usage.output_tokens + computed / input_tokens_per_output_token
    return work
