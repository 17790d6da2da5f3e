"""A published measurement goes in; the bound of the same conditions and the range stated for it come out."""

from dataclasses import dataclass
from typing import Literal

from harness.providers import Deployment, Status
from harness.theory.priors import Prior, linear_prefill_s
from harness.theory.steps import decode_step, kv_limited_batch, step_of
from harness.theory.work import prefill_work

Task = Literal["decode", "prefill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """All that a bound needs. `batch`: sequences on all accelerators; `context`: mean KV length, or prompt length."""

    deployment: Deployment
    batch: float
    context: float
    prior: Prior


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A published rate, tokens/s of the whole deployment; `conditions` None: theory cannot express it, and why."""

    name: str
    title: str
    task: Task
    tokens_per_s: float
    model: str
    accelerator: str | None
    source: str
    as_of: str
    conditions: Conditions | None = None
    not_expressible: str = ""
    explained: str = ""
    exceeds_bound: bool = False
    status: Status = "verified"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A measurement held against theory: ceiling and stated range, tokens/s of the whole deployment."""

    measurement: Measurement
    bound: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """True where the stated range holds the figure, as far as its own digits (0.5 %) can tell."""
        return self.low * 0.995 <= self.measurement.tokens_per_s <= self.high * 1.005

    @property
    def bound_fraction(self) -> float:
        """Measured / bound."""
        return self.measurement.tokens_per_s / self.bound


def hold(measurement: Measurement) -> Held | None:
    """The measurement beside theory; None where theory cannot express it."""
    at = measurement.conditions
    if at is None:
        return None
    most = _decode(at) if measurement.task == "decode" else prefill_bound(at.deployment, at.context)
    base = most if at.prior.of == "bound" else at.context / linear_prefill_s(at.deployment, at.context)
    return Held(measurement=measurement, bound=most, low=base * at.prior.low, high=min(most, base * at.prior.high))


def _decode(at: Conditions) -> float:
    gain = at.deployment.tokens_per_step
    return at.batch * gain / decode_step(at.deployment, at.batch, at.context).seconds


def prefill_bound(deployment: Deployment, prompt_tokens: float, computed_tokens: float | None = None) -> float:
    """Most prompt tokens per second (cached ones included), as many prompts together as memory holds, one at least."""
    prompts = max(1.0, kv_limited_batch(deployment, prompt_tokens))
    computed = prompt_tokens if computed_tokens is None else computed_tokens
    work = prefill_work(deployment, computed, prompt_tokens).times(prompts)
    return prompts * prompt_tokens / step_of(deployment, work).seconds
