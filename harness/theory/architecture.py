"""A model card goes in; its parameters, weight bytes and KV bytes come out.

KV: DeepSeek-V2 report (arXiv 2405.04434), table 1. Bytes are decimal (GB = 1e9).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from harness.providers import ModelCard

#: Bytes a weight or KV element takes, by storage format: physics of the format, not an ageing figure.
#: fp8: block scales add 4 B per 128x128 block (0.02 %) and are left out. q4_k_m: ggml packs 256 weights into 144 B.
#: mxfp4: 32 weights of 4 bits and one 8-bit scale (OCP microscaling spec). int6: the KV cache of DeepSeek-V2.
BYTES_PER_ELEMENT = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "int6": 0.75,
    "fp4": 0.5,
    "int4": 0.5,
    "q4_k_m": 0.5625,
    "mxfp4": 0.53125,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Counts of weights. `active`: multiplied for one token (the input embedding is a look-up and does not count)."""

    total: float
    active: float
    embedding: float  # input table, 0 where it is tied to the head
    routed: float  # all routed experts of all layers
    always: float  # read for every step: the five below
    attention: float
    dense: float  # FFN of layers without experts
    shared: float  # experts that every token reaches
    head: float
    rest: float  # routers and norms


@lru_cache(maxsize=256)
def parameters(model: ModelCard) -> Parameters:
    """Weights counted from the architecture; gated FFNs of three matrices, two norms a layer."""
    expert_layers = model.layers - model.dense_layers if model.experts else 0
    dense_ffn = (model.layers - expert_layers) * 3 * model.hidden * model.ffn
    expert = 3 * model.hidden * model.expert_ffn
    routed = expert_layers * model.experts * expert
    shared = expert_layers * model.shared_experts * expert
    rest = expert_layers * model.hidden * model.experts + (2 * model.layers + 1) * model.hidden
    head = model.vocab * model.hidden
    attention = model.layers * _attention_parameters(model)
    always = attention + dense_ffn + shared + rest + head
    embedding = 0 if model.tied_embeddings else head
    reached = model.experts_per_token / model.experts if model.experts else 0.0
    return Parameters(
        total=always + routed + embedding,
        active=always + routed * reached,
        embedding=embedding,
        routed=routed,
        always=always,
        attention=attention,
        dense=dense_ffn,
        shared=shared,
        head=head,
        rest=rest,
    )


def _attention_parameters(model: ModelCard) -> int:
    """Projections of one layer."""
    hidden, heads = model.hidden, model.heads
    if model.attention == "mla":
        query_width = heads * (model.nope_head_dim + model.rope_head_dim)
        rank = model.q_lora_rank
        query = hidden * rank + rank * query_width if rank else hidden * query_width
        latent = hidden * (model.kv_lora_rank + model.rope_head_dim)
        unpack = model.kv_lora_rank * heads * (model.nope_head_dim + model.v_head_dim)
        return query + latent + unpack + heads * model.v_head_dim * hidden
    wide, narrow = heads * model.head_dim, model.kv_heads * model.head_dim
    bias = wide + 2 * narrow if model.attention_bias else 0
    return hidden * (wide + 2 * narrow) + wide * hidden + bias


def bytes_per_element(precision: str) -> float:
    """Storage of one weight or KV element."""
    try:
        return BYTES_PER_ELEMENT[precision]
    except KeyError:
        raise ValueError(f"unknown precision {precision!r}; known: {', '.join(BYTES_PER_ELEMENT)}") from None


def always_precision(model: ModelCard, precision: str) -> str:
    """MXFP4 checkpoints of expert models quantise the experts only; the rest stays BF16 (gpt-oss model card)."""
    return "bf16" if precision == "mxfp4" and model.experts else precision


def table_precision(precision: str) -> str:
    """Checkpoints in 8 bits or less keep the input table and the head in BF16 (DeepSeek-V3, gpt-oss); GGUF does not."""
    return "bf16" if precision in ("fp8", "int8", "fp4", "mxfp4") else precision


def weight_bytes(model: ModelCard, precision: str) -> float:
    """Memory that the weights occupy."""
    counts = parameters(model)
    always = (counts.always + counts.embedding) * bytes_per_element(always_precision(model, precision))
    return always + counts.routed * bytes_per_element(precision)


def expert_coverage(model: ModelCard, tokens: float) -> float:
    """Expected share of routed experts that `tokens` tokens reach, uniform routing: 1 - (1 - k/E)^tokens."""
    if not model.experts:
        return 0.0
    return 1.0 - math.pow(1.0 - model.experts_per_token / model.experts, tokens)


def read_bytes(model: ModelCard, precision: str, batch: float) -> float:
    """Weight bytes that one step over `batch` tokens must read: everything always used, and the experts reached."""
    counts = parameters(model)
    always = counts.always * bytes_per_element(always_precision(model, precision))
    return always + counts.routed * expert_coverage(model, batch) * bytes_per_element(precision)


def kv_elements_per_token(model: ModelCard) -> float:
    """KV elements of one token over all layers: MHA, GQA, MQA 2 n_kv d; MLA d_c + d_rope (full context)."""
    if model.attention == "mla":
        return (model.kv_lora_rank + model.rope_head_dim) * model.layers
    return 2 * model.kv_heads * model.head_dim * model.layers


def kv_bytes_per_token(model: ModelCard, kv_precision: str = "bf16") -> float:
    """KV bytes of one token that every layer keeps."""
    return kv_elements_per_token(model) * bytes_per_element(kv_precision)


def kv_bytes(model: ModelCard, context_tokens: float, kv_precision: str = "bf16") -> float:
    """KV bytes of one sequence; a sliding-window layer keeps at most its window."""
    kept = layer_tokens(model, context_tokens, min(context_tokens, model.window or context_tokens))
    return kv_bytes_per_token(model, kv_precision) * kept / model.layers


def layer_tokens(model: ModelCard, full: float, windowed: float) -> float:
    """Sum over layers of the tokens a layer sees."""
    narrow = model.window_layers if model.window else 0
    return (model.layers - narrow) * full + narrow * windowed
