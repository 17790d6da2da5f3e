"""A deployment and a load go in; all that theory says about them comes out, as one value to print, draw or encode.

Every rate is a ceiling and every time a floor; `expected` is the range that engines are known to reach (see `priors`).
"""

import math
from dataclasses import dataclass

from harness.providers import Deployment
from harness.theory.architecture import kv_bytes, kv_bytes_per_token, parameters, weight_bytes
from harness.theory.bounds import Bound, Shape, best_bound, bound_at
from harness.theory.parallel import kv_copies, resident
from harness.theory.priors import Expected, Prior, Priors, expected_at
from harness.theory.split import Split
from harness.theory.steps import kv_capacity_bytes, kv_limited_batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What a model takes and whether it fits; bytes. `sequences`: of the load's mean length that fit beside it."""

    parameters: float
    active_parameters: float
    weight_bytes: float
    weight_bytes_per_accelerator: float
    kv_bytes_per_token: float
    kv_copies: float
    usable_bytes: float
    kv_room_bytes: float
    sequences: float
    fits: bool
    fits_from_count: int  # accelerators that hold the weights and one sequence, without a layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Provisioned power per accelerator, and where it is counted."""

    w: float
    boundary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One load: ceilings of rates, floors of cost and energy, and the range expected of them."""

    batch: float
    output_tokens_per_s: float
    output_tokens_per_s_per_gpu: float
    output_tokens_per_s_per_user: float
    limited_by: str
    usd_per_mtok_output_allin: float | None
    joules_per_output_token: float | None
    expected: Expected
    expected_usd_per_mtok_output_allin: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What theory says. A point is None where it was not asked for, or does not fit."""

    model: str
    accelerator: str
    count: int
    deployment: Deployment
    shape: Shape
    fit: Fit
    one_user: Point | None
    at_concurrency: Point | None
    at_best_load: Point | None
    ttft_s: float | None
    power: Power | None
    priors: tuple[Prior, ...]
    split: Split | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked of a deployment: the mean request, sequences at once, and the slowest token that will do."""

    shape: Shape
    concurrency: float | None = None
    tpot_limit_s: float | None = None


def outlook(deployment: Deployment, load: Load, priors: Priors) -> Outlook:
    """All points of one load; without those that memory does not allow."""
    found = fit_of(deployment, load.shape)
    one = point_at(deployment, load.shape, 1.0, priors) if found.fits else None
    asked, notes = load.concurrency, list[str]()
    here = None
    if asked is not None and found.fits:
        allowed = min(asked, _most(deployment, found))
        if allowed < asked:
            notes.append(f"of {asked:g} sequences {allowed:,.0f} fit at a time; the others wait")
        here = point_at(deployment, load.shape, allowed, priors)
    best = best_bound(deployment, load.shape, load.tpot_limit_s) if found.fits else None
    if best is None and found.fits:
        notes.append(f"no batch keeps a token within {load.tpot_limit_s:g} s")
    longest = load.shape.isl_tokens + load.shape.osl_tokens
    if deployment.model.context is not None and longest > deployment.model.context:
        notes.append(f"a request of {longest:,.0f} tokens exceeds the model's context of {deployment.model.context:,}")
    used = {name for point in (one, here) if point for name in point.expected.priors}
    top = None if best is None else point_of(deployment, load.shape, best, priors)
    used |= set(top.expected.priors) if top else set()
    return Outlook(
        model=deployment.model.name,
        accelerator=deployment.accelerator.name,
        count=deployment.count,
        deployment=deployment,
        shape=load.shape,
        fit=found,
        one_user=one,
        at_concurrency=here,
        at_best_load=top,
        ttft_s=bound_at(deployment, load.shape, 1.0).ttft_s if found.fits else None,
        power=power_of(deployment),
        priors=tuple(priors[name] for name in sorted(used)),
        notes=(*notes, *_doubts(deployment)),
    )


def _doubts(deployment: Deployment) -> tuple[str, ...]:
    """Rows that were used without being verified: said again beside the figures."""
    return tuple(
        f"{row.name} is {row.status} in the catalog{f': {row.note}' if row.note else ''}"
        for row in (deployment.accelerator, deployment.model)
        if row.status != "verified"
    )


def fit_of(deployment: Deployment, shape: Shape) -> Fit:
    """Memory: weights, KV and what is left."""
    model, layout = deployment.model, deployment.layout
    counts, usable = parameters(model), deployment.accelerator.hbm_bytes * deployment.memory_share
    weights = weight_bytes(model, deployment.precision)
    each = weights / deployment.count
    if layout is not None:
        each = resident(deployment, layout).total
        weights = each * deployment.count
    sequences = kv_limited_batch(deployment, shape.mean_context_tokens)
    needed = weight_bytes(model, deployment.precision)
    needed += kv_bytes(model, shape.mean_context_tokens, deployment.kv_precision)
    return Fit(
        parameters=counts.total,
        active_parameters=counts.active,
        weight_bytes=weights,
        weight_bytes_per_accelerator=each,
        kv_bytes_per_token=kv_bytes_per_token(model, deployment.kv_precision),
        kv_copies=1.0 if layout is None else kv_copies(model, layout),
        usable_bytes=usable * deployment.count,
        kv_room_bytes=kv_capacity_bytes(deployment),
        sequences=sequences,
        fits=sequences >= 1,
        fits_from_count=math.ceil(needed / usable),
    )


def power_of(deployment: Deployment) -> Power | None:
    """The widest boundary that is published: the share of the whole data centre, else the board; None: neither."""
    on = deployment.accelerator
    if on.all_in_w is not None:
        return Power(w=on.all_in_w, boundary="provisioned, all-in share of the data centre")
    return None if on.tdp_w is None else Power(w=on.tdp_w, boundary="TDP, the accelerator alone")


def point_at(deployment: Deployment, shape: Shape, batch: float, priors: Priors) -> Point:
    """Theory while `batch` sequences decode."""
    return point_of(deployment, shape, bound_at(deployment, shape, batch), priors)


def point_of(deployment: Deployment, shape: Shape, bound: Bound, priors: Priors) -> Point:
    """A bound with its cost, energy and expected range."""
    expected, power = expected_at(deployment, shape, bound.batch, priors), power_of(deployment)
    rate, hour = bound.output_tokens_per_s, deployment.usd_per_gpu_hour
    return Point(
        batch=bound.batch,
        output_tokens_per_s=rate,
        output_tokens_per_s_per_gpu=rate / deployment.count,
        output_tokens_per_s_per_user=bound.output_tokens_per_s_per_user,
        limited_by=bound.limited_by,
        usd_per_mtok_output_allin=None if hour is None else usd_per_mtok(hour, deployment.count, rate),
        joules_per_output_token=None if power is None else power.w * deployment.count / rate,
        expected=expected,
        expected_usd_per_mtok_output_allin=None if hour is None else (
            usd_per_mtok(hour, deployment.count, expected.high),
            usd_per_mtok(hour, deployment.count, expected.low),
        ),
    )  # fmt: skip


def usd_per_mtok(usd_per_gpu_hour: float, count: float, output_tokens_per_s: float) -> float:
    """All hours of all accelerators over all output tokens: $/M = 1e6 c n / (3600 T)."""
    return 1e6 * usd_per_gpu_hour * count / (3600.0 * output_tokens_per_s)


def _most(deployment: Deployment, found: Fit) -> float:
    most = float(math.floor(found.sequences))
    return most if deployment.max_batch is None else min(most, float(deployment.max_batch))
