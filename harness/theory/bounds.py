"""A deployment, a mean request and a batch go in; the ceiling of the output rate comes out, naming its resource."""

import math
from dataclasses import dataclass, replace

from harness.providers import Deployment
from harness.theory.steps import kv_limited_batch, step_of
from harness.theory.work import decode_work, prefill_work


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The mean request of a load: input tokens (cached ones included), output tokens, cached share of the input."""

    isl_tokens: float
    osl_tokens: float
    cached_share: float = 0.0

    @property
    def computed_tokens(self) -> float:
        """Input tokens that prefill must compute; at least one, because the last position is never cached."""
        return max(self.isl_tokens * (1.0 - self.cached_share), min(1.0, self.isl_tokens))

    @property
    def mean_context_tokens(self) -> float:
        """KV length that a decode step sees, averaged over the request's life."""
        return self.isl_tokens + self.osl_tokens / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A ceiling of the output rate; `output_tokens_per_s_per_user` is its 1 / TPOT, `ttft_s` an unloaded floor."""

    output_tokens_per_s: float
    limited_by: str
    batch: float
    output_tokens_per_s_per_user: float
    ttft_s: float


def bound_at(deployment: Deployment, shape: Shape, batch: float, *, alternating: bool = False) -> Bound:
    """Ceiling while `batch` sequences decode and new ones are prefilled at the rate at which others finish.

    For each output token there are computed_tokens / OSL tokens of prefill. By default a step carries both (chunked
    prefill): decode reads the weights anyway, and math of prefill may hide behind memory of decode, so that no engine
    without speculation can beat this bound. `alternating`: prefill and decode steps take turns, as in a mixed fleet,
    1 / (1/T_decode + (in/out) / T_prefill).
    Below one sequence on average the engine idles for the rest of the time. With speculation a decode step yields
    `tokens_per_step` tokens a sequence; what drafting and checking cost is left out, and prefill gains nothing.
    """
    running, gain = max(batch, 1.0), deployment.tokens_per_step
    starts = running * gain / shape.osl_tokens  # requests that begin per decode step
    decode = decode_work(deployment, running, shape.mean_context_tokens)
    prefill = prefill_work(deployment, shape.computed_tokens, shape.isl_tokens)
    alone = step_of(deployment, prefill)
    if alternating:
        only = step_of(deployment, decode)
        seconds = only.seconds + starts * alone.seconds
        limited_by = only.limited_by if only.seconds >= starts * alone.seconds else alone.limited_by
    else:
        both = step_of(deployment, decode.carrying(prefill, starts))
        seconds, limited_by = both.seconds, both.limited_by
    return Bound(
        output_tokens_per_s=batch * gain / seconds,
        limited_by=limited_by,
        batch=batch,
        output_tokens_per_s_per_user=gain / seconds,
        ttft_s=alone.seconds,
    )


def best_bound(deployment: Deployment, shape: Shape, tpot_limit_s: float | None = None) -> Bound | None:
    """The ceiling at the largest whole batch that KV memory, `max_batch` and a TPOT limit allow; None: not even one.

    The rate never falls with the batch, so the largest batch is the best; where a step is limited by memory traffic,
    whatever caps the batch is named beside it.
    """
    batch, cap = _largest_batch(deployment, shape)
    if batch < 1:
        return None
    if tpot_limit_s is not None and _tpot(deployment, shape, batch) > tpot_limit_s:
        batch, cap = _largest_within(deployment, shape, batch, tpot_limit_s), "SLO"
        if batch < 1:
            return None
    found = bound_at(deployment, shape, batch)
    return replace(found, limited_by=f"memory + {cap}") if found.limited_by == "memory" else found


def _largest_batch(deployment: Deployment, shape: Shape) -> tuple[int, str]:
    fits = math.floor(kv_limited_batch(deployment, shape.mean_context_tokens))
    if deployment.max_batch is not None and deployment.max_batch < fits:
        return deployment.max_batch, "max batch"
    return fits, "KV capacity"


def _tpot(deployment: Deployment, shape: Shape, batch: int) -> float:
    return 1.0 / bound_at(deployment, shape, batch).output_tokens_per_s_per_user


def _largest_within(deployment: Deployment, shape: Shape, too_many: int, limit_s: float) -> int:
    """Largest batch below `too_many` whose step meets the limit, by bisection: a larger batch is never faster."""
    low, high = 0, too_many
    while high - low > 1:
        middle = (low + high) // 2
        if _tpot(deployment, shape, middle) <= limit_s:
            low = middle
        else:
            high = middle
    return low
