"""The buyer's bridge: a bought API's list price at in:out 3:1 goes in; what 1,000 useful answers cost comes out.

Between the two stand the buyer's own mix, the thoughts, cache hits, the hour of the day, and everything that was paid
for and of no use. Each is a change of inputs to one function, `usd_per_1k`, shared as in the seller's bridge.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.price.bridge.waterfall import Change, effects, ranked
from harness.price.case import Case, no_answers_reason
from harness.price.day.demand import period_card
from harness.price.results import BuyerWaterfall, PriceStep
from harness.price.spend.cost import CUT_STREAMS, MILLION, blend_3to1, charge, moment_s
from harness.price.spend.ledger import Entry, Ledger, TokenClass
from harness.providers import Rates

#: why an answer was of no use -> the factor that it belongs to
_WASTE = {
    "failed": "failures, cut streams",
    "cut_in_thought": "cut in thought, short",
    "truncated": "cut in thought, short",
    "empty": "cut in thought, short",
    "wrong": "wrong answers",
    "slo_missed": "SLO missed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """Tokens of one useful answer, the rates, and what else was paid for, as a share of the useful answers' bill."""

    input_tokens: float
    answer_tokens: float
    rates: Rates
    thinking_tokens: float = 0.0
    cached_share: float = 0.0
    own_mix: bool = False
    waste: Mapping[str, float] = field(default_factory=dict)


def usd_per_1k(purchase: Purchase) -> float:
    """USD for 1,000 useful answers."""
    rates, output = purchase.rates, purchase.answer_tokens + purchase.thinking_tokens
    if purchase.own_mix:
        hit = rates.usd_per_mtok_input_cached
        cached = rates.usd_per_mtok_input if hit is None else hit
        inside = purchase.cached_share * cached + (1 - purchase.cached_share) * rates.usd_per_mtok_input
        usd = (purchase.input_tokens * inside + output * rates.usd_per_mtok_output) / MILLION
    else:
        usd = (purchase.input_tokens + output) * blend_3to1(rates) / MILLION
    return 1000 * usd * (1 + sum(purchase.waste.values()))


@dataclass(slots=True, kw_only=True)
class _Books:
    """Sums over the window's priced requests that ended by themselves."""

    plain: TokenClass = field(default_factory=TokenClass)
    cached: TokenClass = field(default_factory=TokenClass)
    output: TokenClass = field(default_factory=TokenClass)
    thinking_tokens: float = 0.0
    list_rates: Rates | None = None
    labels: Counter[str] = field(default_factory=Counter)
    wasted_usd: dict[str, float] = field(default_factory=dict)
    wasted: Counter[str] = field(default_factory=Counter)
    streams_cut: int = 0

    @property
    def useful_usd(self) -> float:
        return self.plain.usd + self.cached.usd + self.output.usd


def buyer_bridge(case: Case, reasons: dict[str, str]) -> BuyerWaterfall | None:
    """From list to paid; None with a reason where nothing useful was bought."""
    ledger, count = case.own, case.run.useful.count
    if ledger is None or not count or no_answers_reason(case.run, owned=False):
        reasons["buyer_waterfall"] = reasons.get("buyer") or reasons.get("buyer.usd_per_1k_useful") or "nothing useful"
        return None
    books = _books(case, ledger)
    start = _start(books, count)
    if start is None or min(usd_per_1k(start), books.useful_usd) <= 0:
        reasons["buyer_waterfall"] = (
            f"the price card {ledger.card.name} asks nothing for the useful answers of this run"
        )
        return None
    changes = _changes(books, start, count)
    found = effects(start, changes, lambda purchase: (usd_per_1k(purchase),))
    mix = replace(start, own_mix=True, thinking_tokens=books.thinking_tokens / count)
    tokens = mix.input_tokens + mix.answer_tokens + mix.thinking_tokens
    logs = [of[0] for of in found.of]
    steps, level = [], found.first[0]
    total = math.log(found.last[0] / found.first[0])
    for position in ranked(logs, changes):
        change, usd = changes[position], found.usd(position, 0)
        steps.append(
            PriceStep(
                factor=change.factor, ratio=math.exp(logs[position]), kind=change.kind, usd=usd, usd_before=level,
                usd_after=level + usd, evidence=change.evidence, share=logs[position] / total if total else None,
            )
        )  # fmt: skip
        level += usd
    return BuyerWaterfall(
        usd_per_1k_list_3to1=found.first[0],
        usd_per_1k_useful=found.last[0],
        usd_per_mtok_own_mix=usd_per_1k(mix) / 1000 / tokens * MILLION,
        usd_per_mtok_useful=found.last[0] / 1000 / tokens * MILLION,
        price_card=ledger.card.name,
        price_date=ledger.card.as_of,
        steps=tuple(steps),
    )


def _books(case: Case, ledger: Ledger) -> _Books:
    books = _Books()
    for entry in case.entries:
        if entry.use not in ("useful", "not_useful", "failed"):
            continue
        bill = charge(ledger.card, entry.record, entry.wall, case.guess)
        if bill is None:
            continue
        if entry.use != "useful":
            name = _WASTE.get(entry.why_not or "failed", "failures, cut streams")
            books.wasted_usd[name] = books.wasted_usd.get(name, 0.0) + bill.usd
            books.wasted[name] += 1
            books.streams_cut += entry.record.outcome in CUT_STREAMS
            continue
        rates, usage = bill.moment.rates, bill.usage
        hit = rates.usd_per_mtok_input if rates.usd_per_mtok_input_cached is None else rates.usd_per_mtok_input_cached
        books.plain.add(usage.input_tokens - usage.cached_tokens, rates.usd_per_mtok_input)
        books.cached.add(usage.cached_tokens, hit)
        books.output.add(usage.output_tokens, rates.usd_per_mtok_output)
        books.thinking_tokens += min(entry.record.reasoning_tokens or 0, usage.output_tokens)
        books.labels[bill.moment.label] += 1
        books.list_rates = books.list_rates or _list_rates(ledger, entry)
    return books


def _list_rates(ledger: Ledger, entry: Entry) -> Rates | None:
    """What the card asks outside its windows."""
    card = period_card(ledger.card, moment_s(entry.record, entry.wall))
    return card.periods[0].rates if card else None


def _start(books: _Books, count: int) -> Purchase | None:
    """The answer alone, every token at the 3:1 blend of the list."""
    if books.list_rates is None:
        return None
    return Purchase(
        input_tokens=(books.plain.tokens + books.cached.tokens) / count,
        answer_tokens=(books.output.tokens - books.thinking_tokens) / count,
        rates=books.list_rates,
    )


def _changes(books: _Books, start: Purchase, count: int) -> list[Change[Purchase]]:
    count_input = books.plain.tokens + books.cached.tokens
    ratio = count_input / books.output.tokens if books.output.tokens else 0.0
    mix = f"in:out {ratio:.1f}:1" if ratio >= 1 or not ratio else f"in:out 1:{1 / ratio:.1f}"
    changes = [_change("own mix", f"{mix} of useful, not 3:1", own_mix=True)]
    if books.thinking_tokens:
        share = books.thinking_tokens / books.output.tokens
        changes.append(
            _change("thinking", f"{share:.0%} of useful output", thinking_tokens=books.thinking_tokens / count)
        )
    if books.cached.tokens:
        hits = books.cached.tokens / count_input
        changes.append(_change("cache hits", f"{hits:.0%} of input", cached_share=hits))
    rates = _paid_rates(books, start.rates)
    if rates != start.rates:
        labels = ", ".join(label for label, _ in books.labels.most_common(2))
        changes.append(_change("hour of the day", f"sent at {labels}", rates=rates))
    return changes + _waste(books)


def _paid_rates(books: _Books, listed: Rates) -> Rates:
    """Mean rates by tokens; the listed ones where every request was sent at them."""
    if not any("/" in label for label in books.labels) and len(books.labels) == 1:
        return listed
    hit = listed.usd_per_mtok_input if listed.usd_per_mtok_input_cached is None else listed.usd_per_mtok_input_cached
    return Rates(
        usd_per_mtok_input=books.plain.mean_usd_per_mtok(listed.usd_per_mtok_input),
        usd_per_mtok_input_cached=books.cached.mean_usd_per_mtok(hit),
        usd_per_mtok_output=books.output.mean_usd_per_mtok(listed.usd_per_mtok_output),
    )


def _waste(books: _Books) -> list[Change[Purchase]]:
    """What was paid for beside the useful answers, over their bill; a group each."""
    changes = []
    for name, number in sorted(books.wasted.items()):
        share = books.wasted_usd[name] / books.useful_usd
        noun = "request" if number == 1 else "requests"
        cut = f" ({books.streams_cut} cut)" if name == "failures, cut streams" and books.streams_cut else ""
        evidence = f"{number} {noun}{cut}, {share:.1%} of useful bill"
        changes.append(Change(factor=name, kind="measured", evidence=evidence, apply=_wasting(name, share)))
    return changes


def _wasting(name: str, share: float) -> Callable[[Purchase], Purchase]:
    return lambda purchase: replace(purchase, waste={**purchase.waste, name: share})


def _change(factor: str, evidence: str, **values: Any) -> Change[Purchase]:
    return Change(factor=factor, kind="measured", evidence=evidence, apply=lambda purchase: replace(purchase, **values))
