"""Bills: a case goes in; test bill, buyer's and owner's unit costs come out, with a reason for each None."""

from datetime import UTC, datetime

from harness.price.case import Case, no_answers_reason, no_lengths_reason, no_rate_reason, no_shape_reason
from harness.price.day.hours import half_cached
from harness.price.owned.energy import energy
from harness.price.owned.splits import (
    INPUT_TOKENS_PER_OUTPUT_TOKEN,
    Classes,
    Split,
    split,
    split_by_node_time,
    split_by_price,
)
from harness.price.owned.tco import sides_of
from harness.price.results import Buyer, Owner, OwnerSide, TestBill
from harness.price.spend.ledger import UNIT_USES, USES, Ledger, Unit, weights
from harness.providers import Deployment

ADD_CARD = "this endpoint has no price card: add `price_card:` to its entry in providers.yaml"
ADD_DEPLOYMENT = "what it runs on is not declared: add `deployment:` to its entry in providers.yaml"
ADD_HOUR = "an hour of it has no price: add `usd_per_gpu_hour:`, `gpu_hour:` or `tco:` to its deployment"


def no_hour_reason(case: Case) -> str:
    """Why there is no owner's cost."""
    return ADD_DEPLOYMENT if case.deployment is None else ADD_HOUR


# -- the whole test -----------------------------------------------------------------------------------------------


def test_bill(case: Case, reasons: dict[str, str]) -> TestBill:
    """All that this test cost: on the card where there is one, else accelerator time; split by use to the last cent."""
    reported = [entry.record.usd_reported for entry in case.entries if entry.record.usd_reported is not None]
    usd_reported = sum(reported) if reported else None
    if usd_reported is None:
        reasons["test_bill.usd_reported"] = "the endpoint sends no bill of its own"
    own = case.own
    if own is None or not own.reported:
        names = ("reported_requests", "usd_of_reported", "usd_reported_less_ours")
        why = "the endpoint sends no bill of its own" if usd_reported is None else ADD_CARD
        reasons |= {f"test_bill.{name}": why for name in names}
    if own is not None and not _all_unpriced(own, case):
        return TestBill(
            usd_known=own.usd_known,
            usd_unknown_max=own.usd_unknown_max,
            spend=dict(own.spend),
            usd_reported=usd_reported,
            reported_requests=own.reported or None,
            usd_of_reported=own.usd_of_reported if own.reported else None,
            usd_reported_less_ours=own.usd_reported - own.usd_of_reported if own.reported else None,
            basis="price_card",
        )
    if case.usd_per_s is not None:
        spend = _accelerator_spend(case, case.usd_per_s)
        return TestBill(
            usd_known=sum(spend.values()),
            usd_unknown_max=0.0,
            spend=spend,
            usd_reported=usd_reported,
            basis="gpu_time",
        )
    why = ADD_CARD if own is None else _no_rates(own)
    reasons["test_bill.usd_known"] = reasons["test_bill.usd_unknown_max"] = reasons["test_bill.basis"] = why
    return TestBill(usd_known=None, usd_unknown_max=None, spend={}, usd_reported=usd_reported)


def _all_unpriced(ledger: Ledger, case: Case) -> bool:
    return bool(case.entries) and ledger.unpriced == len(case.entries)


def _no_rates(ledger: Ledger) -> str:
    return f"the price card {ledger.card.name} has no rates for the time of this run"


def _accelerator_spend(case: Case, usd_per_s: float) -> dict[str, float]:
    """Warm-up and drain cost their time; the window's time is shared by the work that each use caused."""
    warm_up_s, window_s, drain_s = _stage_seconds(case)
    work = weights(case.entries, case.guess, INPUT_TOKENS_PER_OUTPUT_TOKEN)
    inside = [use for use in USES if use in UNIT_USES or use == "cut_off"]
    total = sum(work[use] for use in inside)
    shares = {use: work[use] / total for use in inside} if total else {"failed": 1.0}
    spend = {use: shares.get(use, 0.0) * window_s * usd_per_s for use in USES}
    spend["warm_up"] += warm_up_s * usd_per_s
    spend["drain"] += drain_s * usd_per_s
    return spend


def _stage_seconds(case: Case) -> tuple[float, float, float]:
    """Length of warm-up, window and drain; a run without books has only its window."""
    stages, window_s = case.manifest.stages, case.run.window_s or 0.0
    if stages is None:
        return 0.0, window_s, 0.0
    warm_up_s = (stages.measure_begin_ns - stages.began_ns) / 1e9
    if stages.measure_end_ns is None or stages.ended_ns is None:
        return warm_up_s, window_s, 0.0
    return warm_up_s, window_s, (stages.ended_ns - stages.measure_end_ns) / 1e9


# -- the window, as its buyer sees it -----------------------------------------------------------------------------


def buyer(case: Case, reasons: dict[str, str]) -> Buyer:
    """Unit prices that were paid for the window's own requests, at their own times."""
    ledger = case.own
    if ledger is None:
        reasons["buyer"] = ADD_CARD
        return Buyer()
    unit = ledger.unit
    paid_input = unit.plain.usd + unit.cached.usd + unit.written.usd
    tokens_input = unit.plain.tokens + unit.cached.tokens + unit.written.tokens
    if not unit.priced:
        reasons["buyer"] = _no_rates(ledger) if ledger.unpriced else "no request of the measure window ended by itself"
    elif not tokens_input + unit.output.tokens:
        reasons["buyer"] = "no request of the measure window has a token count"
    if (hours := _hours(case)) is None:
        reasons["buyer.measured_at"] = "the manifest does not tell when the measure window was"
    if not case.manifest.workers:
        reasons["buyer.places"] = "the manifest names no worker"
    return Buyer(
        usd_per_mtok_input=_per_mtok(paid_input, tokens_input),
        usd_per_mtok_output=_per_mtok(unit.output.usd, unit.output.tokens),
        usd_per_mtok_blended=_per_mtok(unit.usd_known, tokens_input + unit.output.tokens),
        usd_per_mtok_blended_half_cached=half_cached(case, reasons),
        usd_per_mtok_blend_3to1=unit.blend_3to1_sum / unit.priced if unit.priced else None,
        usd_per_1k_useful=per_1k_useful(unit.usd_max, case, "buyer.usd_per_1k_useful", reasons),
        usd_per_1k_right=_per_1k_right(case, unit, reasons),
        price_card=ledger.card.name,
        price_date=ledger.card.as_of,
        measured_at=hours,
        places=len({worker.host for worker in case.manifest.workers.values()}) or None,
        price_label=", ".join(label for label, _ in unit.labels.most_common()) or None,
    )


def graded(unit: Unit) -> list[int]:
    """Places of the requests whose answer had a checker."""
    return [place for place, right in enumerate(unit.right) if right is not None]


def _per_1k_right(case: Case, unit: Unit, reasons: dict[str, str]) -> float | None:
    """Bill of the graded requests over those that were right: the ratio form of a cost-of-pass (arXiv 2504.13359)."""
    if case.run.length_biased:
        reasons["buyer.usd_per_1k_right"] = no_lengths_reason(case.run)
        return None
    checked = graded(unit)
    right = sum(unit.right[place] is True for place in checked)
    if right:
        return sum(unit.bills_usd[place] for place in checked) / right * 1000
    key = "buyer.usd_per_1k_right"
    reasons[key] = f"none of {len(checked)} graded answers was right" if checked else "no answer had a checker"
    return None


def _hours(case: Case) -> str | None:
    """Weekday, date and hours of the measure window, UTC: an API's figures hold for its hour and for one place."""
    stages, anchors = case.manifest.stages, case.manifest.workers
    if stages is None or stages.measure_end_ns is None or not anchors:
        return None
    begin, end = (datetime.fromtimestamp(ns / 1e9, UTC) for ns in (stages.measure_begin_ns, stages.measure_end_ns))
    last = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%a %Y-%m-%d %H:%M}"
    return f"{begin:%a %Y-%m-%d %H:%M}-{last} UTC"


def _per_mtok(usd: float, tokens: float) -> float | None:
    return usd / tokens * 1e6 if tokens else None


def per_1k_useful(usd: float, case: Case, key: str, reasons: dict[str, str]) -> float | None:
    """The window's cost over its useful answers; with none, the reason carries the least that it can be."""
    useful, why = case.run.useful, no_answers_reason(case.run, owned=False)
    if why is not None:
        reasons[key] = why
        return None
    if useful.count:
        return usd / useful.count * 1000
    # rule of three: zero of n puts the 95 % upper limit of the share at 3 / n
    least = f"; at 95 % confidence 1,000 cost at least ${usd / 3 * 1000:.4g}" if useful.total and usd else ""
    reasons[key] = f"none of {useful.total} answers was useful{least}"
    return None


def _owner_per_1k(window_usd: float, case: Case, reasons: dict[str, str]) -> float | None:
    key, why = "owner.usd_per_1k_useful", no_answers_reason(case.run, owned=True)
    if why is None:
        return per_1k_useful(window_usd, case, key, reasons)
    reasons[key] = why
    return None


# -- the window, as its owner sees it -----------------------------------------------------------------------------


def owner(case: Case, reasons: dict[str, str]) -> Owner:
    """Accelerator time of the window over what it delivered."""
    hour, deployment, window_usd = case.hour, case.deployment, case.window_usd
    if hour is None or deployment is None:
        reasons["owner"] = no_hour_reason(case)
        return Owner()
    in_flight = case.run.mix.mean_in_flight
    shares = _split(case, reasons)
    revenue = revenue_per_s(case.seller, case)
    if revenue is None:
        reasons["owner.revenue_per_gpu_hour"] = (
            ADD_CARD if case.seller is None else no_rate_reason(case.run, "nothing was billed")
        )
    if window_usd is None:
        reasons["owner.usd_per_1k_useful"] = reasons["owner.users_per_gpu"] = "there is no measure window"
    elif in_flight is None:
        reasons["owner.users_per_gpu"] = no_rate_reason(case.run, "there is no measure window")
    if hour.as_of is None:
        reasons["owner.as_of"] = "the price of an hour is declared without a date: add `price_as_of:`"
    cached = case.run.mix.cached_share
    per_1k = None if window_usd is None else _owner_per_1k(window_usd, case, reasons)
    return Owner(
        usd_per_gpu_hour=hour.usd,
        basis=hour.basis,
        as_of=hour.as_of,
        usd_per_mtok_output_allin=_allin(case),
        usd_per_mtok_total=_per_mtok_total(case),
        usd_per_mtok_input_computed_split=shares.usd_per_mtok_input_computed if shares else None,
        usd_per_mtok_input_cached_split=shares.usd_per_mtok_input_cached if shares and cached is not None else None,
        usd_per_mtok_output_split=shares.usd_per_mtok_output if shares else None,
        split_rule=shares.rule if shares else None,
        usd_per_1k_useful=per_1k,
        users_per_gpu=None if in_flight is None else in_flight / deployment.count,
        revenue_per_gpu_hour=None if revenue is None else revenue * 3600 / deployment.count,
        sides=_sides(case, _allin(case), per_1k, reasons),
        energy=energy(case, revenue, reasons),
    )


def _allin(case: Case) -> float | None:
    rate, usd_per_s = case.output_tokens_per_s, case.usd_per_s
    return None if rate is None or usd_per_s is None else usd_per_s / rate * 1e6


def _per_mtok_total(case: Case) -> float | None:
    """Per million tokens of either kind; each output token brings its request's share of input."""
    allin, shape = _allin(case), case.shape
    if allin is None or shape is None:
        return None
    return allin * shape.osl_tokens / (shape.isl_tokens + shape.osl_tokens)


def _split(case: Case, reasons: dict[str, str]) -> Split | None:
    """The cost of one mean request, shared by node time, by price or by the marginal rule, as declared."""
    allin, shape, deployment = _allin(case), case.shape, case.deployment
    if case.run.mix.cached_share is None:
        reasons["owner.usd_per_mtok_input_cached_split"] = "the endpoint does not tell cached tokens"
    names = ("input_computed_split", "input_cached_split", "output_split")
    split_keys = [*(f"owner.usd_per_mtok_{name}" for name in names), "owner.split_rule"]
    if allin is None or shape is None or deployment is None:
        none = no_rate_reason(case.run, "no output tokens were counted in the measure window")
        why = none if allin is None else no_shape_reason(case.run)
        keys = [*split_keys, "owner.usd_per_mtok_output_allin", "owner.usd_per_mtok_total"]
        reasons |= dict.fromkeys(keys, why)
        return None
    cached = shape.isl_tokens * shape.cached_share
    tokens = Classes(computed=shape.isl_tokens - cached, cached=cached, output=shape.osl_tokens)
    found = _by_rule(case, deployment, allin * shape.osl_tokens / 1e6, tokens)
    if found is None:
        reasons |= dict.fromkeys(split_keys, "the declared rule cannot share the cost of this run's tokens")
    return found


def _by_rule(case: Case, deployment: Deployment, usd: float, tokens: Classes) -> Split | None:
    prefill = deployment.prefill_count
    if prefill is not None:
        return split_by_node_time(usd, tokens, prefill, deployment.count - prefill)
    if deployment.split == "price":
        seller = case.seller
        rates = seller.unit.mean_rates() if seller is not None else None
        return None if rates is None or seller is None else split_by_price(usd, tokens, rates, seller.card.name)
    return split(usd, tokens.computed, tokens.cached, tokens.output)


def _sides(
    case: Case, per_mtok: float | None, per_1k: float | None, reasons: dict[str, str]
) -> tuple[OwnerSide, ...] | None:
    """Cash, full and rent side by side; the window's figures move in proportion to the price of an hour."""
    hour, deployment = case.hour, case.deployment
    sides = sides_of(deployment) if deployment is not None else {}
    if not sides or hour is None or not hour.usd:
        reasons["owner.sides"] = "an hour is declared whole: give `tco:` to see cash, full cost and rent side by side"
        return None
    for name, value, key in (("output_allin", per_mtok, "usd_per_mtok_output_allin"),
                             ("useful", per_1k, "usd_per_1k_useful")):  # fmt: skip
        if value is None:
            why = reasons.get(f"owner.{key}", f"{name} is not known")
            reasons |= {f"owner.sides.{place}.{key}": why for place in range(len(sides))}
    if deployment is not None and deployment.price_as_of is None:
        for place, side in enumerate(sides.values()):
            if side.as_of is None:
                reasons[f"owner.sides.{place}.as_of"] = "declared without a date: add `price_as_of:`"
    return tuple(
        OwnerSide(
            side=name,
            usd_per_gpu_hour=side.usd,
            basis=side.basis,
            as_of=side.as_of,
            usd_per_mtok_output_allin=None if per_mtok is None else per_mtok * side.usd / hour.usd,
            usd_per_1k_useful=None if per_1k is None else per_1k * side.usd / hour.usd,
        )
        for name, side in sides.items()
    )


def revenue_per_s(ledger: Ledger | None, case: Case) -> float | None:
    """What a card certainly brings per second: the measured output rate x the known bill per delivered output token.

    Both are of the window, but the rate counts tokens when they arrive and the bill counts requests when they began;
    taking the bill per token keeps the edges of the window out of the revenue.
    """
    rate = case.output_tokens_per_s
    if ledger is None or rate is None or not ledger.unit.delivered_output_tokens:
        return None
    return rate * ledger.unit.usd_known / ledger.unit.delivered_output_tokens
