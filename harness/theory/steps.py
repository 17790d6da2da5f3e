"""A deployment and a batch go in; the shortest time of one decode or prefill step comes out, with what limits it.

Roofline with overlapped memory, math and communication. No figure of an accelerator stands here.
"""

import math
from dataclasses import dataclass

from harness.providers import Accelerator, Deployment
from harness.theory.architecture import kv_bytes, kv_bytes_per_token, layer_tokens, parameters, read_bytes, weight_bytes

#: Math rate that a format can use, best first; a GPU without FP8 units multiplies FP8 weights in BF16.
_MATH_FORMATS = {
    "fp32": ("fp32",),
    "fp8": ("fp8", "bf16", "fp16", "fp32"),
    "int8": ("int8", "fp8", "bf16", "fp16", "fp32"),
    "fp4": ("fp4", "fp8", "bf16", "fp16", "fp32"),
    "mxfp4": ("fp4", "fp8", "bf16", "fp16", "fp32"),
}
_HALF_FORMATS = ("bf16", "fp16", "fp32")
#: Activations travel between accelerators in BF16; experts receive FP8 and answer in BF16 (DeepSeek-V3 report).
_ACTIVATION_BYTES = 2.0
_EXPERT_EXCHANGE_BYTES = 1.0 + 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Shortest time of one forward pass; memory, math and communication overlap, so the longest decides."""

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
    """Memory left for KV beside the weights; 0 where the weights do not fit."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Demand on each resource, summed over accelerators. `reading_tokens` decide which experts' weights are read."""

    tokens: float
    reading_tokens: float
    kv_bytes: float
    attention_flops: float

    def carrying(self, other: "Work", times: float) -> "Work":
        """This pass with `times` of another riding along: its math adds up, the weights are read anyway."""
        return Work(
            tokens=self.tokens + times * other.tokens,
            reading_tokens=self.reading_tokens,
            kv_bytes=self.kv_bytes + times * other.kv_bytes,
            attention_flops=self.attention_flops + times * other.attention_flops,
        )


def decode_work(deployment: Deployment, batch: float, context_tokens: float) -> Work:
    """What one token for each of `batch` sequences demands."""
    model = deployment.model
    seen = layer_tokens(model, context_tokens, min(context_tokens, model.window or context_tokens))
    if model.attention == "mla":  # absorbed: every head works on the latent itself
        width = 2 * model.kv_lora_rank + model.rope_head_dim
    else:
        width = 2 * model.head_dim
    return Work(
        tokens=batch,
        reading_tokens=batch,
        kv_bytes=batch * kv_bytes(model, context_tokens, deployment.kv_precision),
        attention_flops=batch * 2 * model.heads * width * seen,
    )


def prefill_work(deployment: Deployment, computed_tokens: float, context_tokens: float) -> Work:
    """What computing the end of one prompt demands; its whole KV is written or read once."""
    model = deployment.model
    cached = max(0.0, context_tokens - computed_tokens)
    full = _mean_seen(cached, context_tokens, math.inf)
    seen = layer_tokens(model, full, _mean_seen(cached, context_tokens, model.window or math.inf))
    if model.attention == "mla":
        width = model.nope_head_dim + model.rope_head_dim + model.v_head_dim
    else:
        width = 2 * model.head_dim
    return Work(
        tokens=computed_tokens,
        reading_tokens=computed_tokens,
        kv_bytes=kv_bytes(model, context_tokens, deployment.kv_precision),
        attention_flops=computed_tokens * 2 * model.heads * width * seen,
    )


def _mean_seen(begin: float, end: float, window: float) -> float:
    """Mean of min(position, window) over the positions begin..end: what a causal layer sees per computed token."""
    if end <= begin:
        return min(end, window)
    turn = min(max(begin, window), end)  # from here on the window is full
    rising = (turn * turn - begin * begin) / 2
    full = (end - turn) * window if end > turn else 0.0
    return (rising + full) / (end - begin)


def step_of(deployment: Deployment, work: Work) -> Step:
    """Time of one pass that does `work`, all resources overlapped."""
    accelerator, model, count = deployment.accelerator, deployment.model, deployment.count
    read = read_bytes(model, deployment.precision, work.reading_tokens) + work.kv_bytes
    memory_s = read / (count * accelerator.hbm_bytes_per_s)
    linear_s = 2 * parameters(model).active * work.tokens / math_rate(accelerator, deployment.precision)
    math_s = (linear_s + work.attention_flops / math_rate(accelerator, "bf16")) / count
    times = {"memory": memory_s, "math": math_s, "communication": communication_s(deployment, work.tokens)}
    limited_by = max(times, key=lambda name: times[name])
    return Step(
        seconds=times[limited_by],
        limited_by=limited_by,
        memory_s=memory_s,
        math_s=math_s,
        communication_s=times["communication"],
    )


def communication_s(deployment: Deployment, tokens: float) -> float:
    """Least time on the links for `tokens` tokens; 0 for one accelerator or an unknown link.

    Dense models: tensor parallelism inside a scale-up domain, two all-reduces a layer; several domains are replicas
    that share the tokens. Experts: the cheaper of that and sending each token to its experts and back, which is the
    only way once the model spreads over several domains.
    """
    accelerator, model = deployment.accelerator, deployment.model
    group = min(deployment.count, accelerator.scale_up_domain)
    local = tokens * group / deployment.count
    ways = []
    if accelerator.scale_up_bytes_per_s and not (model.experts and group < deployment.count):
        ways.append(_all_reduces_s(deployment, local, group, accelerator.scale_up_bytes_per_s))
    link = accelerator.scale_up_bytes_per_s if group == deployment.count else accelerator.scale_out_bytes_per_s
    if model.experts and link:
        layer_s = expert_exchange_s(tokens / deployment.count, model.experts_per_token, model.hidden, link)
        ways.append((model.layers - model.dense_layers) * layer_s)
    return min(ways, default=0.0) if deployment.count > 1 else 0.0


def _all_reduces_s(deployment: Deployment, tokens: float, group: int, link_bytes_per_s: float) -> float:
    """Two ring all-reduces a layer among `group` accelerators: each sends 2 (group - 1) / group of the activations."""
    sent = tokens * deployment.model.hidden * _ACTIVATION_BYTES * 2 * (group - 1) / group
    return 2 * deployment.model.layers * sent / link_bytes_per_s


def expert_exchange_s(tokens: float, destinations: float, hidden: float, link_bytes_per_s: float) -> float:
    """Dispatch and combine of one layer for the `tokens` of one accelerator (arXiv 2505.09343, section 2.3.2)."""
    return tokens * destinations * hidden * _EXPERT_EXCHANGE_BYTES / link_bytes_per_s
