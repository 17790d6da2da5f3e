"""A bound and a prior go in; the range that engines are known to reach comes out. Priors are data, never code.

A prior is the share of theory that others measured in the same regime. It is a range of declared inputs, (low..high),
not a sampling error, and it gives way to the fraction that was measured on the engine itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.providers import Deployment, Status
from harness.theory.architecture import parameters
from harness.theory.bounds import Shape, bound_at
from harness.theory.links import expert_group
from harness.theory.steps import decode_step, math_rate
from harness.theory.work import prefill_work

Basis = Literal["bound", "linear_math"]
#: Up to so many sequences for each copy of the model a decode step is a small batch.
SMALL_BATCH = 16
_SERVICE = "-service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Measured / theory of one regime. `of`: the shortest step, or weights multiplied at peak (the usual MFU)."""

    name: str
    low: float
    high: float
    of: Basis
    source: str
    as_of: str
    status: Status = "verified"
    note: str = ""


Priors = Mapping[str, Prior]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A range of output rates, and the names of the priors that it rests on."""

    low: float
    high: float
    priors: tuple[str, ...]


def decode_regime(deployment: Deployment, batch: float) -> str:
    """Name of the prior that fits a decode step of `batch` sequences."""
    domain, layout = deployment.accelerator.scale_up_domain, deployment.layout
    together = layout.tp * layout.dp * layout.pp if layout else min(deployment.count, domain)
    if batch * together <= SMALL_BATCH * deployment.count:
        return "decode-small-batch"
    wide = deployment.model.experts and expert_group(deployment) > domain
    return "decode-wide-ep" if wide else "decode-large-batch"


def prefill_regime(deployment: Deployment) -> str:
    """Name of the prior that fits prefill."""
    narrow = math_rate(deployment.accelerator, deployment.precision) > math_rate(deployment.accelerator, "bf16")
    return "prefill-moe-fp8" if deployment.model.experts and narrow else "prefill-dense"


def in_service(priors: Priors) -> dict[str, Prior]:
    """The same regimes as a day of real traffic knows them: NAME-service in the place of NAME where there is one."""
    return {name: priors.get(f"{name}{_SERVICE}", prior) for name, prior in priors.items()}


def linear_prefill_s(deployment: Deployment, tokens: float) -> float:
    """Time of multiplying `tokens` tokens with the weights at peak on all accelerators: MFU 1."""
    rate = math_rate(deployment.accelerator, deployment.precision) * deployment.count
    return 2 * parameters(deployment.model).active * tokens / rate


def prefill_math_s(deployment: Deployment, shape: Shape) -> float:
    """Time at peak of the larger of both kinds of math in one prompt's prefill: with weights, or with KV.

    Priors of prefill were measured on short prompts (4k and less), where the smaller of the two hides in the share; a
    long prompt spends its time in attention, and no engine's share of that is better known.
    """
    work = prefill_work(deployment, shape.computed_tokens, shape.isl_tokens)
    attention_s = work.attention_flops / (math_rate(deployment.accelerator, "bf16") * deployment.count)
    return max(linear_prefill_s(deployment, shape.computed_tokens), attention_s)


def expected_at(deployment: Deployment, shape: Shape, batch: float, priors: Priors) -> Expected:
    """Output rate that engines are known to reach while `batch` sequences decode, never above the bound.

    Each output token takes its share of a decode step and of the prefill that goes with it, each at its own prior.
    """
    decode, prefill = priors[decode_regime(deployment, batch)], priors[prefill_regime(deployment)]
    running = max(batch, 1.0)
    step_s = decode_step(deployment, running, shape.mean_context_tokens).seconds
    prefill_s = prefill_math_s(deployment, shape)
    most = bound_at(deployment, shape, batch).output_tokens_per_s
    gain = deployment.tokens_per_step

    def rate(share: tuple[float, float], gained: float) -> float:
        starts = running * gained / shape.osl_tokens
        return batch * gained / (step_s / share[0] + starts * prefill_s / share[1])

    return Expected(
        low=min(most, rate((decode.low, prefill.low), deployment.tokens_per_step_low or gain)),
        high=min(most, rate((decode.high, prefill.high), gain)),
        priors=(decode.name, prefill.name),
    )
