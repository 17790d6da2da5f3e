"""What a buyer pays: usage of a request and the price card at its timestamp go in, US dollars come out.

cost = hit x p_hit + miss x p_miss + write x p_write + (visible + reasoning) x p_out. In our records cached tokens are
inside `input_tokens` and reasoning tokens are inside `output_tokens` (the stream core brings every dialect to that
convention), so reasoning is billed as output and never twice.
"""

from dataclasses import dataclass, replace

from harness.errors import Outcome
from harness.providers import PriceCard, RatedMoment, Rates, rates_at
from harness.records import StreamRecord, Wall

MILLION = 1e6

#: The server refused, or never got the request: no provider bills these.
_NEVER_BILLED = frozenset({Outcome.HTTP_ERROR, Outcome.RATE_LIMITED, Outcome.CONNECT_ERROR, Outcome.TIMEOUT_CONNECT})
#: The stream began and was cut by us, by them or by the network: the card's `bills_cut_streams` decides.
CUT_STREAMS = frozenset(
    {
        Outcome.CUT,
        Outcome.CENSORED,
        Outcome.ENGINE_LOST,
        Outcome.PROTOCOL_ERROR,
        Outcome.STREAM_ERROR,
        Outcome.TIMEOUT_TTFT,
        Outcome.TIMEOUT_GAP,
        Outcome.TIMEOUT_TOTAL,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Billable tokens; `cached_tokens` are inside `input_tokens`, cache writes are inside the uncached rest."""

    input_tokens: float
    output_tokens: float
    cached_tokens: float = 0
    cache_write_tokens: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What to bill where the server did not count: the run's own largest or mean figures, stated in the result."""

    input_tokens: float
    output_tokens: float
    tokens_per_delta: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One request's bill. `known`: from the server's own counts; otherwise `input_usd + output_usd` is a worst case."""

    usage: Usage
    input_usd: float
    output_usd: float
    known: bool
    moment: RatedMoment

    @property
    def usd(self) -> float:
        return self.input_usd + self.output_usd


def input_usd(rates: Rates, usage: Usage) -> float:
    """Price of the prompt: cached, written and plain tokens each at their rate (which defaults to the input rate)."""
    plain = rates.usd_per_mtok_input
    cached = plain if rates.usd_per_mtok_input_cached is None else rates.usd_per_mtok_input_cached
    write = plain if rates.usd_per_mtok_cache_write is None else rates.usd_per_mtok_cache_write
    rest = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    return (rest * plain + usage.cached_tokens * cached + usage.cache_write_tokens * write) / MILLION


def usage_usd(rates: Rates, usage: Usage) -> float:
    """Price of one usage at one moment's rates."""
    return input_usd(rates, usage) + usage.output_tokens * rates.usd_per_mtok_output / MILLION


def blend_3to1(rates: Rates) -> float:
    """The list blend that is quoted most, (3 x input + output) / 4; it knows neither caching nor the real mix."""
    return (3 * rates.usd_per_mtok_input + rates.usd_per_mtok_output) / 4


def usage_of(record: StreamRecord) -> Usage | None:
    """The server's own counts; None where it sent none. A cache that is not reported is billed as no cache."""
    if record.token_source not in ("usage", "continuous_usage"):
        return None
    if record.input_tokens is None or record.output_tokens is None:
        return None
    # a class cannot be larger than the whole that it lies in, whatever the server says
    cached = min(record.cached_tokens or 0, record.input_tokens)
    return Usage(
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cached_tokens=cached,
        cache_write_tokens=min(record.cache_write_tokens or 0, record.input_tokens - cached),
    )


def moment_s(record: StreamRecord, wall: Wall) -> float:
    """Unix time (s) at which the request left us: the moment whose rates hold."""
    sent = record.started_ns if record.sent_first_ns is None else record.sent_first_ns
    return (sent + wall.offset_ns) / 1e9


def charge(card: PriceCard, record: StreamRecord, wall: Wall, guess: Guess) -> Charge | None:
    """One request's bill on a card; None where the card has no rates for that time."""
    moment = rates_at(card, moment_s(record, wall))
    if moment is None:
        return None
    usage, known = billable(record, guess, card.bills_cut_streams)
    return Charge(
        usage=usage,
        input_usd=input_usd(moment.rates, usage),
        output_usd=usage.output_tokens * moment.rates.usd_per_mtok_output / MILLION,
        known=known,
        moment=moment,
    )


def billable(record: StreamRecord, guess: Guess, bills_cut_streams: bool) -> tuple[Usage, bool]:
    """Tokens that will be billed, and whether the server itself counted them."""
    cut = record.outcome in CUT_STREAMS
    if record.outcome in _NEVER_BILLED or record.sent_first_ns is None or (cut and not bills_cut_streams):
        return Usage(input_tokens=0, output_tokens=0), True
    counted = usage_of(record)
    return (counted, True) if counted else (_worst_case(record, guess, cut), False)


def _worst_case(record: StreamRecord, guess: Guess, cut: bool) -> Usage:
    """Input as large as any seen, output up to the cap; a cut stream that did deliver is judged by what came."""
    known_input = guess.input_tokens if record.input_tokens is None else record.input_tokens
    cap = guess.output_tokens if record.cap_tokens is None else record.cap_tokens
    if cut and record.output_tokens is not None:
        output: float = record.output_tokens
    elif cut and record.deltas and guess.tokens_per_delta is not None:
        output = min(record.deltas * guess.tokens_per_delta, cap)
    else:
        output = cap
    return Usage(input_tokens=known_input, output_tokens=output, cached_tokens=record.cached_tokens or 0)


def request_usd(card: PriceCard, record: StreamRecord, wall: Wall) -> float | None:
    """What one request certainly costs; None where the server counted nothing or the card has no rates for the time."""
    bill = charge(card, record, wall, Guess(input_tokens=0, output_tokens=0))
    return bill.usd if bill is not None and bill.known else None


def dearest(card: PriceCard, epoch_s: float | None = None) -> Rates:
    """The highest rate of each kind over all windows of the periods valid at `epoch_s` (None: of all periods)."""
    periods = card.periods
    if epoch_s is not None:
        valid = [period for period in periods if rates_at(replace(card, periods=(period,)), epoch_s)]
        periods = tuple(valid) or periods
    rates = [one for period in periods for one in (period.rates, *(window.rates for window in period.windows))]
    plain = max(max(one.usd_per_mtok_input, one.usd_per_mtok_cache_write or 0.0) for one in rates)
    return Rates(
        usd_per_mtok_input=plain,
        usd_per_mtok_output=max(one.usd_per_mtok_output for one in rates),
        usd_per_mtok_input_cached=plain,
    )
