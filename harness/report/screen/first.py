"""RunContents in, the first screen out as plain values: validity, money, theory beside measured, where it went."""

from collections.abc import Iterable

from harness.records import worrying_steal
from harness.report import quantities as q
from harness.report.contents import RunContents
from harness.report.screen.money import basis, elsewhere, prices, to_break_even, yield_line
from harness.report.screen.moving import moving
from harness.report.screen.next_steps import next_steps
from harness.report.screen.shapes import FirstScreen, Latency, Validity
from harness.report.screen.theory import card_table, theory_table

#: requests of one turn, below which its mean is no more than an accident
_FEW = 3
#: what is too low where long answers are missing
_LEAN_LOW = ("ttfat_s", "think_s", "e2e_s", "osl_tokens")


def first_screen(contents: RunContents) -> FirstScreen:
    """Everything that a reader should see first about one run."""
    money = contents.economics
    factors = money.waterfall if money and contents.run.valid else ()
    table = card_table(contents) if contents.kind == "buyer" else theory_table(contents)
    return FirstScreen(
        endpoint=contents.endpoint.name,
        model=contents.endpoint.model,
        hardware=hardware(contents),
        validity=validity(contents),
        warnings=_warnings(contents),
        length_bias=length_bias(contents),
        prices=prices(contents),
        elsewhere=elsewhere(contents),
        yield_line=yield_line(contents),
        columns=table[0],
        rows=table[1],
        why=_why(contents),
        what_if=_what_if(contents),
        rc=(factors[0].rc_before, factors[-1].rc_after) if factors else None,
        factors=factors,
        curve=money.day.curve if money else None,
        to_break_even=to_break_even(contents),
        factors_note=_factors_note(contents),
        largest=_largest(contents),
        price_path=money.buyer_waterfall if money and contents.run.valid and contents.kind == "buyer" else None,
        latencies=_latencies(contents),
        useful=_useful(contents),
        useful_parts=_useful_parts(contents),
        delivered=_delivered(contents),
        turns=_turns(contents),
        load=_load(contents),
        basis=basis(contents),
        next_steps=next_steps(contents),
        moving=moving(contents),
    )


def hardware(contents: RunContents) -> str:
    """What it runs on, as declared, or where it is."""
    deployment = contents.endpoint.deployment
    if deployment is None:
        return contents.endpoint.base_url if contents.endpoint.base_url != contents.endpoint.name else ""
    return f"{deployment.precision}  {deployment.count}x {deployment.accelerator.name} (declared)"


def validity(contents: RunContents) -> Validity:
    run = contents.run
    requests = run.requests
    parts = [q.counted(contents.users, "user")] if contents.users is not None else []
    parts += [q.duration(run.window_s)] if run.window_s is not None else []
    parts.append(f"n={run.useful.total:,}" if run.useful.total else "n=0")
    lag = run.metrics.get("client_lag_s")
    if lag is not None and lag.mean is not None:
        parts.append(f"client lag {q.seconds(lag.mean)}")
    if share := worrying_steal(contents.manifest.workers.values()):
        parts.append(f"CPU steal {share:.0%}")
    if requests.failed:
        parts.append(f"{requests.failed:,} failed")
    if requests.censored:
        parts.append(f"{requests.censored:,} censored")
    return Validity(valid=run.valid, text=", ".join(parts), reasons=tuple(run.invalid_reasons))


def _warnings(contents: RunContents) -> tuple[str, ...]:
    asked, answered = contents.endpoint.model, contents.run.response_models
    other = [name for name in answered if name != asked]
    warnings = [f'asked for "{asked}", answered as {_listed(other)}'] if other else []
    warnings += contents.trouble
    if contents.run.window.reason is not None:
        warnings.append(contents.run.window.reason)
    card = contents.endpoint.price_card
    if card is not None and card.status != "verified":
        warnings.append(f"price card {card.name} is {card.status}")
    return tuple(warnings)


def length_bias(contents: RunContents) -> str | None:
    """Why long answers are missing in this run; None where they are not."""
    if not contents.run.length_biased:
        return None
    why, _, _ = (contents.run.reasons.get("mix.osl_tokens") or "the run was short").partition(":")
    return why


def too_low(contents: RunContents, key: str) -> bool:
    """Long answers are missing in this run, and the metric hangs on them."""
    return contents.run.length_biased and key in _LEAN_LOW


def _largest(contents: RunContents) -> str | None:
    """What ate most of the theoretical yield, or made most of a bought answer's price."""
    money = contents.economics
    if money is None or not contents.run.valid:
        return None
    path = money.buyer_waterfall.steps if money.buyer_waterfall and contents.kind == "buyer" else ()
    steps = [step for step in (money.waterfall or path) if step.share is not None]
    if not steps:
        return None
    most = max(steps, key=lambda step: abs(step.share or 0.0))
    kind = most.kind if most.kind == "measured" else most.kind.upper()
    return f"{most.factor} x{most.ratio:.2f} ({kind})"


def _factors_note(contents: RunContents) -> str | None:
    if contents.run.load.state != "demand_limited":
        return None
    return 'demand-limited: "load and SLO" shows few users, no limit of the endpoint'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _why(contents: RunContents) -> str | None:
    """What made your mix cost what it does; how fast it came."""
    mix, useful, parts = contents.run.mix, contents.run.useful, []
    if contents.kind != "buyer":
        return None
    if mix.isl_tokens and mix.osl_tokens:
        ratio = mix.osl_tokens / mix.isl_tokens
        lean = "~" if contents.run.length_biased else ""
        parts.append(f"{lean}1:{ratio:.1f} in:out" if ratio >= 1 else f"{lean}{1 / ratio:.1f}:1 in:out")
    if mix.reasoning_share is not None:
        parts.append(f"{q.percent(round(mix.reasoning_share, 2))} of output is thinking")
    if mix.cached_share is not None:
        parts.append(f"{q.percent(round(mix.cached_share, 2))} cache hits")
    if useful.share is not None:
        parts.append(f"{q.fraction(1 - useful.share)} not useful")
    return ", ".join(parts) or None


def _what_if(contents: RunContents) -> str | None:
    """What cache hits would make of the price of a bought token."""
    money = contents.economics
    usd = None if money is None or contents.kind != "buyer" else money.buyer.usd_per_mtok_blended_half_cached
    if usd is None:
        return None
    return f"with 50% cache hits your mix would be {q.usd(usd)} (re-priced, not measured)"


def _latencies(contents: RunContents) -> tuple[Latency, ...]:
    names = (("first token", "ttft_s"), ("first ANSWER", "ttfat_s"), ("per token", "tpot_s"), ("whole answer", "e2e_s"))
    found = contents.run.metrics
    return tuple(
        Latency(name=name, key=key, distribution=found[key], too_low=too_low(contents, key))
        for name, key in names
        if key in found
    )


LOAD_WORDS = {
    "demand_limited": "demand-limited",
    "at_slo_knee": "at the SLO knee",
    "saturated": "saturated",
    "unknown": "unknown",
}
_WORDS = {
    "cut_in_thought": "cut in thought",
    "slo_missed": "SLO missed",
    "truncated": "cut short",
}


def why_not_useful(contents: RunContents) -> list[tuple[str, int]]:
    """The answers that were not useful, most frequent reason first."""
    found = sorted(contents.run.useful.why_not.items(), key=lambda pair: -pair[1])
    return [(_WORDS.get(name, name.replace("_", " ")), number) for name, number in found if number]


def _useful(contents: RunContents) -> str:
    useful = contents.run.useful
    if contents.run.length_biased:
        return "Useful: not told, the run is too short"
    if useful.share is None:
        return f"Useful: {contents.reason('useful') or 'no answer in the measure window'}"
    interval = ""
    if useful.share_low is not None and useful.share_high is not None:
        interval = f" [{100 * useful.share_low:.1f}, {100 * useful.share_high:.1f}]"
    return f"Useful {100 * useful.share:.1f}%{interval}"


def _useful_parts(contents: RunContents) -> tuple[str, ...]:
    useful = contents.run.useful
    if contents.run.length_biased:
        return ()
    parts = [f"{name} {100 * number / useful.total:.1f}" for name, number in why_not_useful(contents) if useful.total]
    if useful.total and not useful.graded:
        parts.append("no checker: right or wrong unknown")
    return tuple(parts)


def _delivered(contents: RunContents) -> tuple[str, ...]:
    rate, good = contents.run.throughput, contents.run.goodput
    parts = [
        f"{q.rate(rate.output_tokens_per_s)}{_sampled(contents, 'throughput.output_tokens_per_s')} output tok/s",
        f"{q.rate(rate.output_tokens_per_s_per_user)} tok/s/user",
        f"{q.rate(rate.requests_per_s)} requests/s",
    ]
    if good is not None:
        parts.append(f"goodput {q.rate(good.requests_per_s)}/s")
    if contents.run.mix.osl_tokens is not None:
        lean = "~" if too_low(contents, "osl_tokens") else ""
        parts.append(f"OSL {lean}{q.rate(contents.run.mix.osl_tokens)} tokens")
    return tuple(parts)


def _sampled(contents: RunContents, key: str) -> str:
    """Sampling error of a rate, where the run allows one."""
    found = contents.run.intervals.get(key)
    return "" if found is None or found.high is None else f" [{q.rate(found.low)}, {q.rate(found.high)}]"


def _turns(contents: RunContents) -> str | None:
    """The first turn beside the last one that has a few requests; dashes where the endpoint does not tell."""
    told = [turn for turn in contents.run.turns if turn.n >= _FEW or turn.turn == 1]
    if len(told) < 2:
        return None
    first, last = told[0], told[-1]
    tokens = f"{q.rate(first.input_tokens)} -> {q.rate(last.input_tokens)}"
    cached = f"{q.fraction(first.cached_share)} -> {q.fraction(last.cached_share)}"
    waits = q.quantiles((first.ttft_p50_s, last.ttft_p50_s)).replace("/", " -> ")
    return f"Turns {first.turn} -> {last.turn}: ISL {tokens}, cached {cached}, TTFT p50 {waits}"


def _load(contents: RunContents) -> str:
    load = contents.run.load
    evidence = "; ".join(load.evidence)
    return f"Load: {LOAD_WORDS[load.state]}{f' ({evidence})' if evidence else ''}"
