"""A bought API's run and an assumed deployment go in; a band of its seller's yield comes out, assumed, never gated.

Nothing of the seller's side is measured. Revenue is the run's mean request on its card over a flat week; cost is the
assumed deployment at the rate that engines are known to reach of its bound (priors), at the lowest and the highest
price of an hour. The measured time per token caps the batch: a seller with more sequences at once would be slower.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.errors import InputError, Mistake
from harness.price.case import Case
from harness.price.decide.comparable import offers
from harness.price.decide.floor import Floor, Verdict, against_floor, still_asked
from harness.price.owned.tco import gpu_hour
from harness.providers import Deployment, GpuHour
from harness.theory import Shape, best_bound
from harness.theory.priors import Priors, expected_at


@dataclass(frozen=True, slots=True, kw_only=True)
class HourSpan:
    """US dollars per accelerator-hour, low..high, and where both ends stand."""

    low: float
    high: float
    basis: str
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedYield:
    """The band; None with `reason`. `fraction_*`: of the bound; `usd_per_mtok_output`: cost, all of it on output."""

    deployment: str
    price_card: str
    price_date: str
    usd_per_mtok_output_sold: float  # what an output token and its share of input bring, mean of a flat week
    hour: HourSpan
    batch: float | None = None
    limited_by: str | None = None
    fraction_low: float | None = None
    fraction_high: float | None = None
    priors: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()  # those of them that nobody published a measurement for
    usd_per_mtok_output_low: float | None = None
    usd_per_mtok_output_high: float | None = None
    yield_low: float | None = None
    yield_high: float | None = None
    floor: Verdict = "cannot tell"
    reason: str | None = None
    label: str = "assumed"


def assumed_yield(case: Case, assumed: Deployment, hour: HourSpan, priors: Priors) -> AssumedYield:
    """Raises InputError where the run declares its own deployment, or has nothing to sell."""
    usd_per_request, shape = _sold(case)
    own = case.own
    assert own is not None
    names = AssumedYield(
        deployment=f"{assumed.count}x {assumed.accelerator.name}, {assumed.model.name} {assumed.precision}",
        price_card=own.card.name,
        price_date=own.card.as_of,
        usd_per_mtok_output_sold=usd_per_request / shape.osl_tokens * 1e6,
        hour=hour,
    )
    measured = case.run.metrics.get("tpot_s")
    limit = measured.p50 if measured is not None else None
    return _band(names, assumed, shape, limit, priors)


def _sold(case: Case) -> tuple[float, Shape]:
    """USD of the mean request over a flat week, and that request."""
    mistakes = []
    if case.deployment is not None:
        mistakes.append(
            Mistake("--assume-deployment", "", "a run that declares its own", "a run without `deployment:`")
        )
    if case.own is None:
        mistakes.append(Mistake("--assume-deployment", "", "a run without a price card", "a card: add --card NAME"))
    if case.shape is None:
        mistakes.append(Mistake("--assume-deployment", "", "a run without token counts", "a run that was answered"))
    cards = [case.own.card] if case.own else []
    found, _ = offers(case, cards, case.measured_s or 0.0)
    if not mistakes and not found:
        mistakes.append(Mistake("--assume-deployment", "", f"no rates of {cards[0].name} then", "another --as-of"))
    if mistakes or case.shape is None:
        raise InputError(mistakes)
    return found[0].usd_per_request, case.shape


def _band(names: AssumedYield, assumed: Deployment, shape: Shape, limit: float | None, priors: Priors) -> AssumedYield:
    best = best_bound(assumed, shape, limit)
    if best is None:
        return replace(names, reason=_why_none(assumed, shape, limit))
    expected = expected_at(assumed, shape, best.batch, priors)
    usd_per_s = [usd * assumed.count / 3600 for usd in (names.hour.low, names.hour.high)]
    least, most = usd_per_s[0] / expected.high * 1e6, usd_per_s[1] / expected.low * 1e6
    floor = Floor(
        usd_per_request=usd_per_s[0] / best.output_tokens_per_s * shape.osl_tokens,
        accelerator=assumed.accelerator.name,
        count=assumed.count,
        gpu_hour=names.hour.basis,
        as_of=names.hour.as_of,
    )
    sold = names.usd_per_mtok_output_sold
    dearest = floor.usd_per_request / (most * shape.osl_tokens / 1e6)
    return replace(
        names,
        batch=best.batch,
        limited_by=best.limited_by.replace("SLO", "measured speed"),
        fraction_low=expected.low / best.output_tokens_per_s,
        fraction_high=expected.high / best.output_tokens_per_s,
        priors=expected.priors,
        unverified=tuple(name for name in expected.priors if priors[name].status != "verified"),
        usd_per_mtok_output_low=least,
        usd_per_mtok_output_high=most,
        yield_low=sold / most - 1,
        yield_high=sold / least - 1,
        floor=against_floor(sold * shape.osl_tokens / 1e6, floor, dearest),
    )


def _why_none(assumed: Deployment, shape: Shape, limit: float | None) -> str:
    if limit is None or best_bound(assumed, shape) is None:
        return f"{assumed.model.name} in {assumed.precision} with one such request does not fit on what is assumed"
    return (
        f"measured {1e3 * limit:.3g} ms a token; not even one sequence alone is that fast on what is assumed "
        "(it is something else, or it speculates: `tokens_per_step:`)"
    )


# -- what an hour of it may cost ----------------------------------------------------------------------------------


def hour_span(assumed: Deployment, rows: Iterable[GpuHour], given: tuple[float, float] | None) -> HourSpan | None:
    """As given; else as the deployment declares; else the catalog's verified rows; None: there are none."""
    if given is not None:
        return HourSpan(low=given[0], high=given[1], basis="as given with --gpu-hour", as_of="undated")
    declared = gpu_hour(assumed)
    if declared is not None:
        low, high = assumed.usd_per_gpu_hour_low, assumed.usd_per_gpu_hour_high
        return HourSpan(
            low=declared.usd if low is None else low,
            high=declared.usd if high is None else high,
            basis=declared.basis,
            as_of=declared.as_of or "undated",
        )
    known = [row for row in rows if row.accelerator == assumed.accelerator.name and row.status == "verified"]
    return _over(still_asked([row for row in known if row.usd_per_gpu_hour]))


def _over(rows: Sequence[GpuHour]) -> HourSpan | None:
    if not rows:
        return None
    low = min(rows, key=lambda row: row.usd_per_gpu_hour if row.low is None else row.low)
    high = max(rows, key=lambda row: row.usd_per_gpu_hour if row.high is None else row.high)
    dates = sorted({low.as_of, high.as_of})
    return HourSpan(
        low=low.usd_per_gpu_hour if low.low is None else low.low,
        high=high.usd_per_gpu_hour if high.high is None else high.high,
        basis=f"{low.name} .. {high.name}",
        as_of=" and ".join(dates),
    )
