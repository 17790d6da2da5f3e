"""Golden values of architecture, step and bound; every figure is recomputed from published configs."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import theory
from harness.config.catalog import load_catalog
from harness.providers import Layout
from harness.theory import Shape
from tests import cards
from tests.cards import deployment

BILLION = 1e9


@pytest.mark.parametrize(
    ("model", "total", "active"),
    [
        (cards.DEEPSEEK_V2, 235.74, 20.85),
        (cards.DEEPSEEK_V3, 671.03, 36.62),
        (cards.KIMI_K2, 1026.4, 31.7),
        (cards.LLAMA_70B, 70.55, 69.50),
        (cards.LLAMA_8B, 8.03, 7.50),
        (cards.LLAMA_405B, 405.85, 403.75),
        (cards.QWEN_7B, 7.62, 7.07),
        (cards.QWEN_14B, 14.77, 13.99),
        (cards.QWEN_32B, 32.76, 31.99),
        (cards.QWEN_72B, 72.71, 71.46),
        (cards.GPT_OSS_120B, 116.8, 5.13),
        (cards.GPT_OSS_20B, 20.9, 3.6),
        (cards.QWEN3_30B, 30.53, 3.04),
        (cards.QWEN3_235B, 235.1, 21.6),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_parameter_totals_are_those_of_the_checkpoints(model, total, active):
    counts = theory.parameters(model)
    assert counts.total / BILLION == pytest.approx(total, rel=1e-3)
    assert counts.active / BILLION == pytest.approx(active, rel=8e-3)  # the source rounds to two or three digits


@pytest.mark.parametrize(
    ("model", "precision", "expected"),
    [
        (cards.DEEPSEEK_V3, "bf16", 70_272),
        (cards.QWEN_72B, "bf16", 327_680),
        (cards.LLAMA_405B, "bf16", 516_096),
        (cards.DEEPSEEK_V2, "int6", 25_920),
        (cards.LLAMA_8B, "bf16", 131_072),
        (cards.LLAMA_70B, "fp8", 163_840),
        (cards.QWEN_7B, "bf16", 57_344),
        (cards.GPT_OSS_120B, "bf16", 73_728),
        (cards.QWEN3_235B, "bf16", 192_512),
    ],
)
def test_kv_bytes_of_one_token_are_exact(model, precision, expected):
    assert theory.kv_bytes_per_token(model, precision) == expected


def test_a_sliding_window_stops_growing():
    full = theory.kv_bytes_per_token(cards.GPT_OSS_120B)
    assert theory.kv_bytes(cards.GPT_OSS_120B, 100) == pytest.approx(100 * full)
    assert theory.kv_bytes(cards.GPT_OSS_120B, 4096) == pytest.approx((4096 + 128) / 2 * full)


@pytest.mark.parametrize("precision", sorted(theory.BYTES_PER_ELEMENT))
def test_weight_bytes_follow_the_storage_format(precision):
    counts = theory.parameters(cards.LLAMA_8B)
    assert theory.weight_bytes(cards.LLAMA_8B, precision) == pytest.approx(
        counts.total * theory.BYTES_PER_ELEMENT[precision]
    )


def test_mxfp4_quantises_experts_only():
    assert theory.weight_bytes(cards.GPT_OSS_120B, "mxfp4") == pytest.approx(65.2e9, rel=2e-3)  # the checkpoint's size
    assert theory.read_bytes(cards.GPT_OSS_120B, "mxfp4", 1) == pytest.approx(4.97e9, rel=1e-2)


def test_unknown_precision_is_told():
    with pytest.raises(ValueError, match="unknown precision 'fp3'"):
        theory.weight_bytes(cards.LLAMA_8B, "fp3")


@pytest.mark.parametrize(
    ("batch", "share"), [(1, 8 / 256), (8, 0.224), (32, 0.638), (64, 0.869), (95, 0.95), (128, 0.983)]
)
def test_coverage_of_experts(batch, share):
    assert theory.expert_coverage(cards.DEEPSEEK_V3, batch) == pytest.approx(share, abs=1.5e-3)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (deployment(cards.LLAMA_70B, cards.H100, 2, "bf16"), 48.2),
        (deployment(cards.LLAMA_70B, cards.H100, 8, "bf16"), 193),
        (deployment(cards.LLAMA_70B, cards.H100, 8, "fp8"), 386),
        (deployment(cards.DEEPSEEK_V3, cards.H200, 8, "fp8"), 1049),
        (deployment(cards.DEEPSEEK_V3, cards.H100, 16, "fp8"), 1464),
        (deployment(cards.DEEPSEEK_V3, cards.MI300X, 8, "fp8"), 1158),
        (deployment(cards.QWEN_7B, cards.H100, 1, "bf16"), 237),
        (deployment(cards.QWEN_7B, cards.L40S, 1, "bf16"), 61),
        (deployment(cards.QWEN_7B, cards.RTX4090, 1, "bf16"), 71),
        (deployment(cards.QWEN_32B, cards.RTX4090, 1, "q4_k_m"), 56),
        (deployment(cards.GPT_OSS_120B, cards.H100, 1, "mxfp4"), 674),
        (deployment(cards.GPT_OSS_120B, cards.B200, 1, "mxfp4"), 1609),
    ],
    ids=lambda value: f"{value.count}x{value.accelerator.name}-{value.model.name}" if hasattr(value, "count") else None,
)
def test_speed_of_light_of_one_user_weights_only(run, expected):
    step = theory.decode_step(run, 1, 0)
    assert 1 / step.memory_s == pytest.approx(expected, rel=1e-2)
    assert step.seconds == max(step.memory_s, step.math_s, step.communication_s)


@pytest.mark.parametrize(
    ("run", "context", "expected"),
    [
        (deployment(cards.LLAMA_70B, cards.H100, 2, "fp8", kv_precision="fp8"), 4096, 109),
        (deployment(cards.LLAMA_70B, cards.H100, 2, "fp8"), 4096, 54.7),
        (deployment(cards.DEEPSEEK_V3, cards.H200, 8, "fp8"), 4989, 981.8),
        (deployment(cards.QWEN_7B, cards.RTX4090, 1, "bf16"), 4096, 27),
        (deployment(cards.QWEN_32B, cards.RTX4090, 1, "q4_k_m"), 4096, 2.95),
        (deployment(cards.DEEPSEEK_V3, cards.H100, 8, "fp8"), 4989, 0),
    ],
)
def test_kv_limits_the_batch(run, context, expected):
    assert theory.kv_limited_batch(run, context) == pytest.approx(expected, rel=5e-3)
    per_token = theory.kv_bytes_per_token(run.model, run.kv_precision)
    assert theory.kv_capacity_tokens(run) * per_token == pytest.approx(theory.kv_capacity_bytes(run))


@pytest.mark.parametrize(
    ("on", "ridge"),
    [
        (cards.H100, 295),
        (cards.H200, 206),
        (cards.B200, 281),
        (cards.MI300X, 247),
        (cards.A100, 153),
        (cards.L40S, 419),
        (cards.RTX4090, 164),
    ],  # fmt: skip
)
def test_above_the_ridge_batch_a_dense_model_is_limited_by_math(on, ridge):
    run = deployment(cards.LLAMA_8B, on, 1, "bf16")
    below, above = (theory.decode_step(run, batch, 0) for batch in (ridge - 2, ridge + 2))
    assert (below.limited_by, above.limited_by) == ("memory", "math")


def test_expert_exchange_over_the_network():
    layer_s = theory.expert_exchange_s(32, 9, 7000, 50e9)
    assert layer_s == pytest.approx(120.96e-6)
    assert 2 * 61 * layer_s == pytest.approx(14.757e-3, rel=1e-4)  # two micro-batches
    assert 2 * 61 * theory.expert_exchange_s(32, 9, 7000, 900e9) == pytest.approx(0.82e-3, rel=1e-3)


def test_decode_of_the_published_144_gpu_unit_is_limited_by_the_network():
    unit = deployment(cards.DEEPSEEK_V3, cards.H800, 144, "fp8")
    step = theory.decode_step(unit, 144 * 88, 4989)
    assert step.limited_by == "communication"
    assert step.seconds == pytest.approx(17.6e-3, rel=3e-3)
    assert step.math_s == pytest.approx((3.26 + 7.54) * 1e-3, rel=3e-3)
    assert 8 * 88 / step.seconds == pytest.approx(40.1e3, rel=3e-3)  # tokens per second and node


def test_tensor_parallel_communication_is_two_ring_all_reduces_a_layer():
    pair = deployment(cards.LLAMA_70B, cards.H100, 2, "fp8")
    assert theory.communication_s(pair, 64) == pytest.approx(2 * 80 * 64 * 8192 * 2 * 2 * (1 / 2) / 450e9)
    assert theory.communication_s(replace(pair, count=1), 64) == 0
    unknown_link = replace(cards.H100, scale_up_bytes_per_s=None)
    assert theory.communication_s(replace(pair, accelerator=unknown_link), 64) == 0
    assert theory.communication_s(replace(pair, count=16), 64) == pytest.approx(
        theory.communication_s(replace(pair, count=8), 32)
    )


@pytest.mark.parametrize(
    ("precision", "on", "expected"),
    [
        ("fp8", cards.A100, 312e12),
        ("mxfp4", cards.H100, 1979e12),
        ("q4_k_m", cards.H100, 989e12),
        ("int8", cards.A100, 624e12),
    ],
)
def test_math_falls_back_to_the_best_format_a_gpu_has(precision, on, expected):
    assert theory.math_rate(on, precision) == expected


def test_an_unknown_math_rate_sets_no_ceiling():
    assert theory.math_rate(replace(cards.H100, flops_per_s={}), "fp8") == math.inf


def test_prefill_of_a_long_prompt_by_hand():
    run = deployment(cards.LLAMA_8B, cards.H100, 1, "bf16")
    step = theory.prefill_step(run, 8000, 8000)
    counts = theory.parameters(cards.LLAMA_8B)
    linear = 2 * ((counts.active - counts.head) * 8000 + counts.head)  # only the last position is asked for a token
    attention = 8000 * 2 * 32 * (128 + 128) * 4000 * 32  # causal: 4,000 positions on average
    assert step.limited_by == "math"
    assert step.seconds == pytest.approx((linear + attention) / 989e12)


def test_a_prompt_goes_through_the_head_once_and_a_decode_step_always():
    small = load_catalog().models["qwen2.5-0.5b"]  # a head of 28 %: counted for every position, no floor would stand
    counts = theory.parameters(small)
    assert counts.head / counts.active == pytest.approx(0.2756, rel=1e-3)
    run = deployment(small, replace(cards.H100, flops_per_s={"fp32": 1e11}, hbm_bytes_per_s=1e15), 1, "fp16")
    prefill, decode = theory.prefill_step(run, 500, 500), theory.decode_step(run, 500, 1)
    less = 2 * counts.head * 499 / 1e11
    attention = 4 * small.heads * small.head_dim * small.layers / 1e11  # per position seen
    assert decode.math_s - prefill.math_s == pytest.approx(less - attention * 500 * (250 - 1))
    spread = replace(run, layout=Layout())
    assert theory.prefill_step(spread, 500, 500).math_s == pytest.approx(prefill.math_s)
    assert theory.decode_step(spread, 500, 1).math_s == pytest.approx(decode.math_s)


def test_cached_tokens_cost_attention_but_no_weights():
    run = deployment(cards.LLAMA_8B, cards.H100, 1, "bf16")
    cold, warm = theory.prefill_step(run, 8000, 8000), theory.prefill_step(run, 1000, 8000)
    fresh = theory.prefill_step(run, 1000, 1000)
    assert fresh.math_s < warm.math_s < cold.math_s


def test_a_window_caps_prefill_attention():
    run = deployment(cards.GPT_OSS_20B, cards.H100, 1, "mxfp4")
    open_run = replace(run, model=replace(cards.GPT_OSS_20B, window=None, window_layers=0))
    assert theory.prefill_step(run, 100, 100).math_s == pytest.approx(theory.prefill_step(open_run, 100, 100).math_s)
    assert theory.prefill_step(run, 9000, 9000).math_s < theory.prefill_step(open_run, 9000, 9000).math_s


H100_8B = deployment(cards.LLAMA_8B, cards.H100, 1, "bf16")
SHAPE = Shape(isl_tokens=300, osl_tokens=1000)


def test_a_bound_by_hand():
    found = theory.bound_at(H100_8B, SHAPE, 40)
    counts = theory.parameters(cards.LLAMA_8B)
    read = counts.active * 2 + 131_072 * (40 * 800 + 40 / 1000 * 300)
    assert found.limited_by == "memory"
    assert found.output_tokens_per_s == pytest.approx(40 * 3.35e12 / read)
    assert found.output_tokens_per_s_per_user == pytest.approx(3.35e12 / read)


def test_an_alternating_engine_is_the_mixed_fleet_formula():
    decode = theory.decode_step(H100_8B, 40, SHAPE.mean_context_tokens)
    prefill = theory.prefill_step(H100_8B, 300, 300)
    rate = 1 / (decode.seconds / 40 + 300 / 1000 / (300 / prefill.seconds))
    turns = theory.bound_at(H100_8B, SHAPE, 40, alternating=True)
    assert turns.output_tokens_per_s == pytest.approx(rate)
    assert turns.output_tokens_per_s < theory.bound_at(H100_8B, SHAPE, 40).output_tokens_per_s
    assert turns.ttft_s == prefill.seconds


def test_below_one_sequence_the_rate_is_that_share_of_one_user():
    one, half = theory.bound_at(H100_8B, SHAPE, 1), theory.bound_at(H100_8B, SHAPE, 0.5)
    assert half.output_tokens_per_s == pytest.approx(one.output_tokens_per_s / 2)
    assert half.output_tokens_per_s_per_user == one.output_tokens_per_s_per_user


def test_best_load_names_what_caps_the_batch():
    free = theory.best_bound(H100_8B, SHAPE)
    assert free is not None and free.limited_by == "memory + KV capacity"
    assert free.batch == math.floor(theory.kv_limited_batch(H100_8B, 800))
    capped = theory.best_bound(replace(H100_8B, max_batch=16), SHAPE)
    assert capped is not None and (capped.batch, capped.limited_by) == (16, "memory + max batch")
    limited = theory.best_bound(H100_8B, SHAPE, tpot_limit_s=0.008)
    assert limited is not None and limited.limited_by == "memory + SLO"
    assert 1 / limited.output_tokens_per_s_per_user <= 0.008
    assert 1 / theory.bound_at(H100_8B, SHAPE, limited.batch + 1).output_tokens_per_s_per_user > 0.008
    long_prompts = theory.best_bound(H100_8B, Shape(isl_tokens=8000, osl_tokens=50))
    assert long_prompts is not None and long_prompts.limited_by == "math"


def test_no_batch_at_all_is_none():
    assert theory.best_bound(deployment(cards.DEEPSEEK_V3, cards.H100, 8, "fp8"), SHAPE) is None
    assert theory.best_bound(H100_8B, SHAPE, tpot_limit_s=1e-4) is None


_DEPLOYMENTS = st.sampled_from(
    [
        H100_8B,
        deployment(cards.LLAMA_70B, cards.H100, 4, "fp8"),
        deployment(cards.DEEPSEEK_V3, cards.H200, 8, "fp8"),
        deployment(cards.DEEPSEEK_V3, cards.H800, 144, "fp8"),
        deployment(cards.GPT_OSS_120B, cards.H100, 1, "mxfp4"),
    ]
)
_SHAPES = st.builds(
    Shape,
    isl_tokens=st.floats(1, 20_000),
    osl_tokens=st.floats(2, 20_000),
    cached_share=st.floats(0, 1),
)


@given(_DEPLOYMENTS, _SHAPES, st.floats(1, 500), st.floats(1, 500))
def test_more_sequences_are_never_slower_in_sum_nor_faster_for_one(run, shape, one, other):
    few, many = sorted((one, other))
    small, large = theory.bound_at(run, shape, few), theory.bound_at(run, shape, many)
    assert large.output_tokens_per_s >= small.output_tokens_per_s * (1 - 1e-9)
    assert large.output_tokens_per_s_per_user <= small.output_tokens_per_s_per_user * (1 + 1e-9)


@given(_DEPLOYMENTS, _SHAPES, st.floats(0.1, 500))
def test_taking_turns_never_beats_the_bound(run, shape, batch):
    turns = theory.bound_at(run, shape, batch, alternating=True)
    assert turns.output_tokens_per_s <= theory.bound_at(run, shape, batch).output_tokens_per_s * (1 + 1e-9)


@given(_DEPLOYMENTS, st.floats(1, 2000), st.floats(0, 20_000))
def test_a_step_is_as_long_as_its_slowest_resource(run, batch, context):
    step = theory.decode_step(run, batch, context)
    assert step.seconds == max(step.memory_s, step.math_s, step.communication_s) > 0
