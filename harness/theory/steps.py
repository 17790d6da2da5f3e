"""A deployment and a batch go in; the shortest time of one decode or prefill step comes out, with what limits it.

Roofline of memory, math and communication. Without a layout, weights and KV are held once and every accelerator takes
an equal share; with one, `parallel` says what each holds and sends. No figure of an accelerator stands here.
"""

import math
from dataclasses import dataclass

from harness.providers import Accelerator, Deployment
from harness.theory.architecture import kv_bytes, kv_bytes_per_token, parameters, read_bytes, weight_bytes
from harness.theory.links import all_reduce_s, expert_exchange_s
from harness.theory.parallel import attention_flops, kv_room_bytes, linear_flops, links_s, memory_bytes
from harness.theory.work import Work, decode_work, prefill_work

#: Math rate that a format can use, best first; a GPU without FP8 units multiplies FP8 weights in BF16.
_MATH_FORMATS = {
    "fp32": ("fp32",),
    "fp8": ("fp8", "bf16", "fp16", "fp32"),
    "int8": ("int8", "fp8", "bf16", "fp16", "fp32"),
    "fp4": ("fp4", "fp8", "bf16", "fp16", "fp32"),
    "mxfp4": ("fp4", "fp8", "bf16", "fp16", "fp32"),
}
_HALF_FORMATS = ("bf16", "fp16", "fp32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Shortest time of one forward pass: the longest of its parts, or their sum where a layout says so."""

    seconds: float
    limited_by: str
    memory_s: float
    math_s: float
    communication_s: float


def math_rate(accelerator: Accelerator, precision: str) -> float:
    """Dense FLOP/s of one accelerator for weights of `precision`; infinite where unknown: it cannot set a ceiling."""
    for name in _MATH_FORMATS.get(precision, _HALF_FORMATS):
        if name in accelerator.flops_per_s:
            return accelerator.flops_per_s[name]
    return math.inf


def kv_capacity_bytes(deployment: Deployment) -> float:
    """Memory left for KV beside the weights, each element counted once; 0 where the weights do not fit."""
    if deployment.layout is not None:
        return kv_room_bytes(deployment, deployment.layout)
    usable = deployment.count * deployment.accelerator.hbm_bytes * deployment.memory_share
    return max(0.0, usable - weight_bytes(deployment.model, deployment.precision))


def kv_capacity_tokens(deployment: Deployment) -> float:
    """Tokens of full-context KV that fit beside the weights."""
    return kv_capacity_bytes(deployment) / kv_bytes_per_token(deployment.model, deployment.kv_precision)


def kv_limited_batch(deployment: Deployment, context_tokens: float) -> float:
    """Sequences of that mean length that fit in memory."""
    return kv_capacity_bytes(deployment) / kv_bytes(deployment.model, context_tokens, deployment.kv_precision)


def decode_step(deployment: Deployment, batch: float, context_tokens: float) -> Step:
    """One step that adds a token to each of `batch` sequences of mean length `context_tokens`."""
    return step_of(deployment, decode_work(deployment, batch, context_tokens))


def prefill_step(deployment: Deployment, computed_tokens: float, context_tokens: float) -> Step:
    """One pass that computes the last `computed_tokens` of a prompt of `context_tokens`; the rest was cached."""
    return step_of(deployment, prefill_work(deployment, computed_tokens, context_tokens))


def step_of(deployment: Deployment, work: Work) -> Step:
    """Time of one pass that does `work`."""
    accelerator, model, layout = deployment.accelerator, deployment.model, deployment.layout
    wide, narrow = math_rate(accelerator, "bf16"), math_rate(accelerator, deployment.precision)
    if layout is not None:
        return _step(
            memory_bytes(deployment, layout, work) / accelerator.hbm_bytes_per_s,
            linear_flops(deployment, layout, work) / narrow + attention_flops(deployment, layout, work) / wide,
            links_s(deployment, layout, work),
            overlapped=layout.overlapped,
        )
    read = read_bytes(model, deployment.precision, work.reading_tokens) + work.kv_bytes
    counts = parameters(model)
    linear_s = 2 * ((counts.active - counts.head) * work.tokens + counts.head * work.predicting_tokens) / narrow
    return _step(
        read / (deployment.count * accelerator.hbm_bytes_per_s),
        (linear_s + work.attention_flops / wide) / deployment.count,
        communication_s(deployment, work.tokens, work.expert_copies),
    )


def _step(memory_s: float, math_s: float, communication_s: float, *, overlapped: bool = True) -> Step:
    times = {"memory": memory_s, "math": math_s, "communication": communication_s}
    limited_by = max(times, key=lambda name: times[name])
    return Step(
        seconds=times[limited_by] if overlapped else sum(times.values()),
        limited_by=limited_by,
        memory_s=memory_s,
        math_s=math_s,
        communication_s=communication_s,
    )


def communication_s(deployment: Deployment, tokens: float, expert_copies: float | None = None) -> float:
    """Least time on the links for `tokens` tokens without a layout; 0 for one accelerator or an unknown link.

    Dense models: tensor parallelism inside a scale-up domain, two all-reduces a layer; several domains are replicas
    that share the tokens. Experts: the cheaper of that and sending each token to its experts and back, which is the
    only way once the model spreads over several domains. `expert_copies`: see Work; by default one for each expert.
    """
    accelerator, model = deployment.accelerator, deployment.model
    group = min(deployment.count, accelerator.scale_up_domain)
    local = tokens * group / deployment.count
    ways = []
    if accelerator.scale_up_bytes_per_s and not (model.experts and group < deployment.count):
        ways.append(2 * model.layers * all_reduce_s(accelerator, group, model.hidden, local))
    link = accelerator.scale_up_bytes_per_s if group == deployment.count else accelerator.scale_out_bytes_per_s
    if model.experts and link:
        copies = tokens * model.experts_per_token if expert_copies is None else expert_copies
        layer_s = expert_exchange_s(copies / deployment.count, 1, model.hidden, link)
        ways.append((model.layers - model.dense_layers) * layer_s)
    return min(ways, default=0.0) if deployment.count > 1 else 0.0
