"""RunContents in, the first screen out as plain values: validity, money, theory beside measured, where it went.

Terminal and HTML both print these values, so that they cannot say different things. Texts that came from a server
or a file are still raw here: each way of printing makes them harmless in its own way.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.measure.results import Distribution
from harness.price.results import BoundRow, Economics, Factor
from harness.report import quantities as q
from harness.report.contents import RunContents
from harness.report.next_steps import next_steps

_SETTLED = ("saturated", "at_slo_knee")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    valid: bool
    text: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One way to buy or make 1,000 useful answers. `interval`: sampling error, where it is known."""

    usd: float | None
    interval: tuple[float, float] | None
    label: str
    note: str
    what: str = "1,000 useful answers of this workload cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldLine:
    """The yield, or why there is none. `figures` are (label, text) pairs."""

    title: str
    figures: tuple[tuple[str, str], ...]
    withheld: str | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of theory | measured | fraction; `help` names its glossary entry."""

    name: str
    cells: tuple[str, str, str, str]
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    name: str
    key: str
    distribution: Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstScreen:
    endpoint: str
    model: str
    hardware: str
    validity: Validity
    warnings: tuple[str, ...]
    prices: tuple[Price, ...]
    elsewhere: tuple[Price, ...]
    yield_line: YieldLine
    columns: tuple[str, str, str, str]
    rows: tuple[Row, ...]
    why: str | None
    rc: tuple[float, float] | None
    factors: tuple[Factor, ...]
    latencies: tuple[Latency, ...]
    useful: str
    useful_parts: tuple[str, ...]
    delivered: tuple[str, ...]
    load: str
    basis: tuple[str, ...]
    next_steps: tuple[str, ...]


def first_screen(contents: RunContents) -> FirstScreen:
    """Everything that a reader should see first about one run."""
    money = contents.economics
    factors = money.waterfall if money else ()
    table = _card_table(contents) if contents.kind == "buyer" else _theory_table(contents)
    return FirstScreen(
        endpoint=contents.endpoint.name,
        model=contents.endpoint.model,
        hardware=hardware(contents),
        validity=validity(contents),
        warnings=_warnings(contents),
        prices=_prices(contents),
        elsewhere=_elsewhere(contents),
        yield_line=yield_line(contents),
        columns=table[0],
        rows=table[1],
        why=_why(contents),
        rc=(factors[0].rc_before, factors[-1].rc_after) if factors else None,
        factors=factors,
        latencies=_latencies(contents),
        useful=_useful(contents),
        useful_parts=_useful_parts(contents),
        delivered=_delivered(contents),
        load=_load(contents),
        basis=_basis(contents),
        next_steps=next_steps(contents),
    )


def hardware(contents: RunContents) -> str:
    """What it runs on, as declared, or where it is."""
    deployment = contents.endpoint.deployment
    if deployment is None:
        return contents.endpoint.base_url if contents.endpoint.base_url != contents.endpoint.name else ""
    return f"{deployment.precision}  {deployment.count}x {deployment.accelerator.name} (declared)"


def at_load(contents: RunContents) -> str:
    """The load that a figure belongs to."""
    return "at full load" if contents.run.load.state in _SETTLED else "at this load"


def validity(contents: RunContents) -> Validity:
    run = contents.run
    requests = run.requests
    parts = [q.counted(contents.users, "user")] if contents.users is not None else []
    parts += [q.duration(run.window_s)] if run.window_s is not None else []
    parts.append(f"n={run.useful.total:,}" if run.useful.total else "n=0")
    lag = run.metrics.get("client_lag_s")
    if lag is not None and lag.mean is not None:
        parts.append(f"client lag {q.seconds(lag.mean)}")
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
    card = contents.endpoint.price_card
    if card is not None and card.status != "verified":
        warnings.append(f"price card {card.name} is {card.status}")
    return tuple(warnings)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _prices(contents: RunContents) -> tuple[Price, ...]:
    """The headline, and the owner's day where its use is declared."""
    money = contents.economics
    usd = contents.usd_per_1k_useful
    key = "buyer" if contents.kind == "buyer" else "owner"
    note = "" if usd is not None else contents.reason(f"{key}.usd_per_1k_useful") or _undeclared(contents)
    label = at_load(contents)
    if contents.kind == "buyer" and money is not None:
        label = money.buyer.price_label or "list"
    prices = [Price(usd=usd, interval=_interval(contents, usd), label=label, note=note)]
    if money is not None and money.day.usd_per_1k_useful is not None:
        use = f"{q.percent(money.day.utilisation)}, {(money.day.kind or 'assumed').upper()}"
        prices.append(
            Price(usd=money.day.usd_per_1k_useful, interval=None, label=f"your day ({use})", note="", what="")
        )
    return tuple(prices)


def _undeclared(contents: RunContents) -> str:
    return "no price card, no deployment declared" if contents.kind == "undeclared" else "not priced"


def _interval(contents: RunContents, usd: float | None) -> tuple[float, float] | None:
    """Sampling error of the useful share, carried over to the cost of a useful answer."""
    useful = contents.run.useful
    if usd is None or not useful.share or not useful.share_low or not useful.share_high:
        return None
    return usd * useful.share / useful.share_high, usd * useful.share / useful.share_low


def _elsewhere(contents: RunContents) -> tuple[Price, ...]:
    comparisons = contents.economics.comparisons if contents.economics else ()
    return tuple(
        Price(
            usd=found.usd_per_1k_useful,
            interval=None,
            label=f"{found.price_date}, if as useful",
            note="useful rate assumed equal",
            what=f"same answers on {found.price_card}",
        )
        for found in comparisons
    )


def yield_line(contents: RunContents) -> YieldLine:
    """The yield with its basis; withheld where demand, not the endpoint, set the rate."""
    money = contents.economics
    title = "SELLER'S YIELD" if contents.kind == "buyer" else "YIELD"
    if money is None or money.yield_ratio is None:
        reason = contents.reason("yield_ratio") or _undeclared(contents)
        return YieldLine(title=title, figures=(), withheld=reason)
    title = {"seller": "YIELD vs that card", "avoided": "YIELD (avoided purchases)"}.get(money.yield_basis or "", title)
    if contents.run.load.state == "demand_limited":
        return YieldLine(title="YIELD", figures=(), withheld=_held(contents))
    figures = [(at_load(contents), q.signed_percent(money.yield_ratio))]
    if money.day.yield_ratio is not None:
        figures.append(("your day", q.signed_percent(money.day.yield_ratio)))
    if money.break_even_utilisation is not None:
        figures.append(("break-even use", _break_even(money.break_even_utilisation)))
    return YieldLine(title=title, figures=tuple(figures), ratio=money.yield_ratio)


def _break_even(utilisation: float) -> str:
    """The share of the day that pays for the day; a day has no more than 100 %."""
    return q.percent(round(utilisation, 2)) if utilisation <= 1 else "never"


def _held(contents: RunContents) -> str:
    evidence = contents.run.load.evidence
    return f"withheld: demand-limited run{f' ({evidence[0]})' if evidence else ''}"


def _theory_table(contents: RunContents) -> tuple[tuple[str, str, str, str], tuple[Row, ...]]:
    """Theory at the best load | theory at this load | measured | fraction."""
    money, run = contents.economics, contents.run
    best = money.bound.at_best_load if money else None
    this = money.bound.at_this_load if money else None
    rate = run.throughput
    columns = ("theory, best load", "theory, this load", "measured", "measured/theory")
    rows = [
        Row(name="output tok/s", help="bound", cells=(
            _bound(best, "output_tokens_per_s", q.rate), _bound(this, "output_tokens_per_s", q.rate),
            q.rate(rate.output_tokens_per_s), q.fraction(money.bound_fraction if money else None))),
        Row(name="  limited by", help="limited_by", cells=(
            best.limited_by if best else q.MISSING, this.limited_by if this else q.MISSING, _load_note(contents), "")),
        Row(name="tok/s/user", help="interactivity", cells=(
            _bound(best, "output_tokens_per_s_per_user", q.rate), _bound(this, "output_tokens_per_s_per_user", q.rate),
            q.rate(rate.output_tokens_per_s_per_user),
            _fraction(rate.output_tokens_per_s_per_user, this.output_tokens_per_s_per_user if this else None))),
    ]  # fmt: skip
    if money is not None and contents.endpoint.deployment is not None:
        rows += _money_rows(contents, money)
    return columns, tuple(rows)


def _money_rows(contents: RunContents, money: Economics) -> list[Row]:
    best, this, cost = money.bound.at_best_load, money.bound.at_this_load, money.owner.usd_per_mtok_output_allin
    theory_cost = this.usd_per_mtok_output_allin if this else None
    times = f"{cost / theory_cost:.1f}x" if cost is not None and theory_cost else ""
    rows = [Row(name="$/M output, all-in", help="all_in", cells=(
        _bound(best, "usd_per_mtok_output_allin", q.usd), q.usd(theory_cost), q.usd(cost), times))]  # fmt: skip
    if contents.kind == "seller" or money.yield_ratio is not None:
        held = contents.run.load.state == "demand_limited"
        measured = "withheld" if held else q.signed_percent(money.yield_ratio)
        rows.append(Row(name="yield, 100% use", help="yield", cells=(
            _bound(best, "yield_ratio", q.signed_percent), _bound(this, "yield_ratio", q.signed_percent),
            measured, "")))  # fmt: skip
    return rows


def _bound(row: BoundRow | None, name: str, text: object) -> str:
    found = getattr(row, name) if row is not None else None
    return text(found) if callable(text) else q.MISSING


def _fraction(measured: float | None, bound: float | None) -> str:
    return q.fraction(measured / bound) if measured is not None and bound else ""


def _load_note(contents: RunContents) -> str:
    batch = contents.run.mix.mean_decoding
    return f"(batch {q.rate(batch)})" if batch is not None else ""


def _card_table(contents: RunContents) -> tuple[tuple[str, str, str, str], tuple[Row, ...]]:
    """A bought API: the list price at a nominal mix | at your mix | per token of useful answers."""
    buyer = contents.economics.buyer if contents.economics else None
    mix = contents.run.mix
    columns = ("list, in:out 3:1", "list, your mix", "paid per, useful token", "paid/list")
    if buyer is None:
        return columns, ()
    per_useful = None
    if buyer.usd_per_1k_useful is not None and mix.isl_tokens is not None and mix.osl_tokens is not None:
        tokens = mix.isl_tokens + mix.osl_tokens
        per_useful = buyer.usd_per_1k_useful * 1e3 / tokens if tokens else None
    blend = buyer.usd_per_mtok_blend_3to1
    times = f"{per_useful / blend:.1f}x" if per_useful is not None and blend else ""
    row = Row(name="$/M tokens", help="blend", cells=(
        q.usd(blend), q.usd(buyer.usd_per_mtok_blended), q.usd(per_useful), times))  # fmt: skip
    return columns, (row,)


def _why(contents: RunContents) -> str | None:
    """What made your mix cost what it does; how fast it came."""
    mix, useful, parts = contents.run.mix, contents.run.useful, []
    if contents.kind != "buyer":
        return None
    if mix.isl_tokens and mix.osl_tokens:
        ratio = mix.osl_tokens / mix.isl_tokens
        parts.append(f"1:{ratio:.1f} in:out" if ratio >= 1 else f"{1 / ratio:.1f}:1 in:out")
    if mix.reasoning_share is not None:
        parts.append(f"{q.percent(round(mix.reasoning_share, 2))} of output is thinking")
    if mix.cached_share is not None:
        parts.append(f"{q.percent(round(mix.cached_share, 2))} cache hits")
    if useful.share is not None:
        parts.append(f"{q.percent(round(1 - useful.share, 3))} not useful")
    return ", ".join(parts) or None


def _latencies(contents: RunContents) -> tuple[Latency, ...]:
    names = (("first token", "ttft_s"), ("first ANSWER", "ttfat_s"), ("per token", "tpot_s"), ("whole answer", "e2e_s"))
    found = contents.run.metrics
    return tuple(Latency(name=name, key=key, distribution=found[key]) for name, key in names if key in found)


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
    if useful.share is None:
        return f"Useful: {contents.reason('useful') or 'no answer in the measure window'}"
    interval = ""
    if useful.share_low is not None and useful.share_high is not None:
        interval = f" [{100 * useful.share_low:.1f}, {100 * useful.share_high:.1f}]"
    return f"Useful {100 * useful.share:.1f}%{interval}"


def _useful_parts(contents: RunContents) -> tuple[str, ...]:
    useful = contents.run.useful
    parts = [f"{name} {100 * number / useful.total:.1f}" for name, number in why_not_useful(contents) if useful.total]
    if useful.total and not useful.graded:
        parts.append("no checker: right or wrong unknown")
    return tuple(parts)


def _delivered(contents: RunContents) -> tuple[str, ...]:
    rate, good = contents.run.throughput, contents.run.goodput
    parts = (
        f"{q.rate(rate.output_tokens_per_s)} output tok/s",
        f"{q.rate(rate.output_tokens_per_s_per_user)} tok/s/user",
        f"{q.rate(rate.requests_per_s)} requests/s",
    )
    return parts if good is None else (*parts, f"goodput {q.rate(good.requests_per_s)}/s")


def _load(contents: RunContents) -> str:
    load = contents.run.load
    evidence = "; ".join(load.evidence)
    return f"Load: {load.state.replace('_', ' ')}{f' ({evidence})' if evidence else ''}"


def _basis(contents: RunContents) -> tuple[str, ...]:
    """What the money rests on: every figure with its basis and its date."""
    money = contents.economics
    if money is None:
        return ()
    parts = []
    if money.owner.usd_per_gpu_hour is not None:
        parts.append(f"{q.usd(money.owner.usd_per_gpu_hour)}/GPU-h {money.owner.basis or ''} {money.owner.as_of or ''}")
    if money.buyer.price_card is not None:
        rates = f"{_bare(money.buyer.usd_per_mtok_input)}/{_bare(money.buyer.usd_per_mtok_output)}"
        parts.append(f"card {money.buyer.price_card} {rates} of {money.buyer.price_date or 'no date'}")
    if money.test_bill.usd_known is not None:
        parts.append(bill_text(money))
    return tuple(" ".join(part.split()) for part in parts)


def _bare(value: float | None) -> str:
    return q.MISSING if value is None else f"{value:.4g}"


def bill_text(money: Economics) -> str:
    """The whole bill of this test, with what is not known for sure beside it."""
    bill = money.test_bill
    text = f"test bill {q.usd(bill.usd_known)}"
    if bill.usd_unknown_max:
        text += f" + at most {q.usd(bill.usd_unknown_max)}"
    return text + (f" (provider says {q.usd(bill.usd_reported)})" if bill.usd_reported is not None else "")
