"""A deployment and a batch go in; what one forward pass demands of memory, math and links comes out."""

import math
from dataclasses import dataclass

from harness.providers import Deployment
from harness.theory.architecture import kv_bytes, layer_tokens
from harness.theory.links import copies_per_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Demand on each resource, summed over accelerators. `reading_tokens` decide which experts' weights are read.

    `sequences` can be worked on apart, by different groups of accelerators; `predicting_tokens` go through the head:
    all of a decode step, only the last of a prompt. `expert_copies`: activations that are sent to an expert (or a
    scale-up domain of experts) per expert layer.
    """

    sequences: float
    tokens: float
    predicting_tokens: float
    reading_tokens: float
    kv_bytes: float
    attention_flops: float
    expert_copies: float

    def carrying(self, other: "Work", times: float) -> "Work":
        """This pass with `times` of another riding along: its math adds up, the weights are read anyway."""
        return Work(
            sequences=self.sequences,
            tokens=self.tokens + times * other.tokens,
            predicting_tokens=self.predicting_tokens + times * other.predicting_tokens,
            reading_tokens=self.reading_tokens,
            kv_bytes=self.kv_bytes + times * other.kv_bytes,
            attention_flops=self.attention_flops + times * other.attention_flops,
            expert_copies=self.expert_copies + times * other.expert_copies,
        )

    def times(self, number: float) -> "Work":
        """As many equal passes as one."""
        return Work(
            sequences=self.sequences * number,
            tokens=self.tokens * number,
            predicting_tokens=self.predicting_tokens * number,
            reading_tokens=self.reading_tokens * number,
            kv_bytes=self.kv_bytes * number,
            attention_flops=self.attention_flops * number,
            expert_copies=self.expert_copies * number,
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
        sequences=batch,
        tokens=batch,
        predicting_tokens=batch,
        reading_tokens=batch,
        kv_bytes=batch * kv_bytes(model, context_tokens, deployment.kv_precision),
        attention_flops=batch * 2 * model.heads * width * seen,
        expert_copies=batch * model.experts_per_token,  # low-latency kernels send to each expert by itself
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
        sequences=1.0,
        tokens=computed_tokens,
        predicting_tokens=1.0,
        reading_tokens=computed_tokens,
        kv_bytes=kv_bytes(model, context_tokens, deployment.kv_precision),
        attention_flops=computed_tokens * 2 * model.heads * width * seen,
        expert_copies=computed_tokens * copies_per_token(deployment),
    )


def _mean_seen(begin: float, end: float, window: float) -> float:
    """Mean of min(position, window) over the positions begin..end: what a causal layer sees per computed token."""
    if end <= begin:
        return min(end, window)
    turn = min(max(begin, window), end)  # from here on the window is full
    rising = (turn * turn - begin * begin) / 2
    full = (end - turn) * window if end > turn else 0.0
    return (rising + full) / (end - begin)
