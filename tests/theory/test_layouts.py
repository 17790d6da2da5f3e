"""Layouts: what each accelerator of the published DeepSeek units holds, reads and sends, and what holds of any."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import theory
from harness.providers import Layout
from harness.theory import Shape, parallel
from tests import cards
from tests.cards import deployment

GB = 1e9
DECODE = Layout(ep=144, dp=144, redundant_experts=32)
PREFILL = Layout(ep=32, dp=32, redundant_experts=32)
UNIT = deployment(cards.DEEPSEEK_V3, cards.H800, 144, "fp8", layout=DECODE)


def test_weights_on_a_gpu_of_the_decode_unit():
    held = parallel.resident(UNIT, DECODE)
    assert held.experts / GB == pytest.approx(7.66, rel=1e-3)  # (256 + 32) / 144 = 2 routed and 1 shared, 58 layers
    assert held.attention / GB == pytest.approx(11.41, rel=1e-3)
    assert held.dense / GB == pytest.approx(1.19, rel=1e-3)
    assert held.tables / GB == pytest.approx(3.71, rel=1e-3)
    assert (held.total - held.rest) / GB == pytest.approx(23.97, rel=1e-3)
    assert held.rest / GB == pytest.approx(0.107, rel=1e-2), "routers, which the published sum leaves out"


def test_weights_on_a_gpu_of_the_prefill_unit():
    unit = replace(UNIT, count=32, layout=PREFILL)
    held = parallel.resident(unit, PREFILL)
    assert (held.total - held.rest) / GB == pytest.approx(41.85, rel=1e-3)


def test_kv_room_of_the_decode_unit():
    assert theory.kv_capacity_bytes(UNIT) / 144 / GB == pytest.approx(48.0, rel=3e-3)
    assert theory.kv_limited_batch(UNIT, 4989) / 144 == pytest.approx(137, rel=3e-3)


def test_a_decode_step_of_the_unit():
    step = theory.decode_step(UNIT, 144 * 88, 4989)
    assert step.memory_s == pytest.approx(15.8e-3, rel=3e-3)
    assert step.math_s == pytest.approx((3.26 + 7.54) * 1e-3, rel=3e-3)
    assert (step.limited_by, step.seconds) == ("communication", step.communication_s)
    assert step.seconds == pytest.approx(17.56e-3, rel=1e-3)
    per_node = 8 * 88 / step.seconds
    assert per_node == pytest.approx(40.1e3, rel=1e-3)
    assert 14.8e3 / per_node == pytest.approx(0.37, abs=2e-3)
    # the convention of arXiv 2505.09343: 9 destinations, 7,000 wide, in all 61 layers
    other = 61 * theory.expert_exchange_s(88, 9, 7000, 50e9)
    assert other == pytest.approx(20.3e-3, rel=2e-3)
    assert 14.8e3 / (8 * 88 / other) == pytest.approx(0.43, abs=5e-3)


def test_without_overlap_the_parts_of_a_step_add_up():
    slow = replace(UNIT, layout=replace(DECODE, overlapped=False))
    step = theory.decode_step(slow, 144 * 88, 4989)
    assert step.seconds == pytest.approx(step.memory_s + step.math_s + step.communication_s)
    assert step.limited_by == "communication"


def test_a_fixed_latency_is_paid_for_each_collective():
    late = replace(UNIT, layout=replace(DECODE, collective_latency_s=10e-6))
    gap = theory.decode_step(late, 144, 100).communication_s - theory.decode_step(UNIT, 144, 100).communication_s
    assert gap == pytest.approx(2 * 58 * 10e-6)
    pair = deployment(cards.LLAMA_70B, cards.H100, 2, "fp8", layout=Layout(tp=2, collective_latency_s=10e-6))
    free = replace(pair, layout=Layout(tp=2))
    gap = theory.decode_step(pair, 1, 100).communication_s - theory.decode_step(free, 1, 100).communication_s
    assert gap == pytest.approx(2 * 80 * 10e-6)


def test_a_reserve_leaves_less_for_kv():
    kept = replace(UNIT, layout=replace(DECODE, reserve_bytes=3.5 * GB))
    assert theory.kv_capacity_bytes(UNIT) - theory.kv_capacity_bytes(kept) == pytest.approx(144 * 3.5 * GB)


def test_mla_is_copied_under_tensor_parallelism_and_not_under_dp_attention():
    """Pooled, without copies, 982 sequences fit on eight H200 (see test_bounds); an eighth of them under TP8."""
    run = deployment(cards.DEEPSEEK_V3, cards.H200, 8, "fp8")
    tensor = theory.kv_limited_batch(replace(run, layout=Layout(tp=8)), 4989)
    spread = theory.kv_limited_batch(replace(run, layout=Layout(ep=8, dp=8)), 4989)
    assert tensor == pytest.approx(123, rel=1e-2)
    held = parallel.resident(replace(run, layout=Layout(ep=8, dp=8)), Layout(ep=8, dp=8)).total
    assert spread == pytest.approx(8 * (0.9 * 141e9 - held) / (4989 * 70_272))
    assert 4 * tensor < spread < 982, "attention stands on each GPU once more, which costs room"


@pytest.mark.parametrize(("tp", "copies"), [(1, 1), (4, 1), (8, 1), (16, 2)])
def test_gqa_is_copied_only_beyond_its_kv_heads(tp, copies):
    assert parallel.kv_copies(cards.LLAMA_70B, Layout(tp=tp)) == copies
    assert parallel.kv_copies(cards.DEEPSEEK_V3, Layout(tp=tp)) == tp


def test_a_layout_of_one_dense_gpu_is_the_plain_bound():
    run = deployment(cards.LLAMA_8B, cards.H100, 1, "bf16")
    shape = Shape(isl_tokens=300, osl_tokens=1000)
    plain, laid = theory.bound_at(run, shape, 40), theory.bound_at(replace(run, layout=Layout()), shape, 40)
    assert laid.output_tokens_per_s == pytest.approx(plain.output_tokens_per_s)
    assert laid.ttft_s == pytest.approx(plain.ttft_s)
    pair = deployment(cards.LLAMA_70B, cards.H100, 8, "bf16")
    assert theory.decode_step(replace(pair, layout=Layout(tp=8)), 64, 4096).seconds == pytest.approx(
        theory.decode_step(pair, 64, 4096).seconds
    )


def test_one_user_is_served_by_one_replica():
    run = deployment(cards.LLAMA_8B, cards.H100, 8, "bf16", layout=Layout(tp=2))
    alone = replace(run, count=2)
    assert theory.decode_step(run, 1, 1000).seconds == pytest.approx(theory.decode_step(alone, 1, 1000).seconds)
    assert theory.decode_step(run, 40, 1000).seconds == pytest.approx(theory.decode_step(alone, 10, 1000).seconds)


def test_pipeline_stages_help_capacity_and_not_one_user():
    run = deployment(cards.LLAMA_70B, cards.H100, 4, "bf16", layout=Layout(tp=2, pp=2))
    pair = replace(run, count=2, layout=Layout(tp=2))
    one, same = theory.decode_step(run, 1, 1000), theory.decode_step(pair, 1, 1000)
    assert one.memory_s == pytest.approx(same.memory_s)
    assert one.communication_s > same.communication_s, "activations go from stage to stage"
    assert theory.kv_limited_batch(run, 4096) > 2 * theory.kv_limited_batch(pair, 4096)


def test_an_expert_is_read_whole():
    """One token reaches 8 of 256 experts: no GPU reads less than one of them, and most read none."""
    step = theory.decode_step(UNIT, 1, 0)
    held = parallel.resident(UNIT, DECODE)
    expert = 58 * 3 * 7168 * 2048
    read = held.attention + held.dense + held.rest + held.tables / 2 + expert + expert  # one shared, one routed
    assert step.memory_s * 3.35e12 == pytest.approx(read)


def test_prefill_sends_one_copy_to_each_other_node():
    unit = replace(UNIT, count=32, layout=PREFILL)
    step = theory.prefill_step(unit, 4096, 4096)
    remote = 3 * (1 - 0.75**8)  # other nodes that hold one of the 8 experts
    assert step.communication_s == pytest.approx(58 * theory.expert_exchange_s(4096, remote, 7168, 50e9))


def test_speculation_multiplies_decode_and_leaves_prefill():
    plain = deployment(cards.LLAMA_8B, cards.H100, 1, "bf16")
    drafted = replace(plain, tokens_per_step=1.8)
    shape = Shape(isl_tokens=0, osl_tokens=1000)
    one, more = theory.bound_at(plain, shape, 8), theory.bound_at(drafted, shape, 8)
    assert more.output_tokens_per_s == pytest.approx(1.8 * one.output_tokens_per_s)
    assert more.output_tokens_per_s_per_user == pytest.approx(1.8 * one.output_tokens_per_s_per_user)
    long = Shape(isl_tokens=8000, osl_tokens=50)
    one, more = theory.bound_at(plain, long, 64), theory.bound_at(drafted, long, 64)
    assert one.limited_by == more.limited_by == "math"
    assert more.output_tokens_per_s < 1.1 * one.output_tokens_per_s, "prefill sets the rate"
    assert more.ttft_s == one.ttft_s


def test_two_versions_of_a_model_on_one_node():
    """From V2's 50,000 tokens/s per node to V3: FLOPs alone, KV bytes alone, and the room that is left for KV."""
    v2, v3 = theory.parameters(cards.DEEPSEEK_V2), theory.parameters(cards.DEEPSEEK_V3)
    flops = (v3.active + v3.embedding) / (v2.active + v2.embedding)
    assert flops == pytest.approx(1.756, rel=1e-3)
    assert 50e3 / flops == pytest.approx(28.5e3, rel=2e-3)
    kv = theory.kv_bytes_per_token(cards.DEEPSEEK_V3) / theory.kv_bytes_per_token(cards.DEEPSEEK_V2, "int6")
    assert kv == pytest.approx(2.711, rel=1e-3)
    assert 50e3 / kv == pytest.approx(18.4e3, rel=3e-3)
    node = deployment(cards.DEEPSEEK_V2, cards.H800, 8, "fp8", kv_precision="int6")
    room = theory.kv_capacity_tokens(node) / (theory.kv_capacity_tokens(UNIT) / 18)
    assert theory.kv_capacity_tokens(node) == pytest.approx(13.1e6, rel=3e-3)
    assert theory.kv_capacity_tokens(UNIT) / 18 == pytest.approx(5.47e6, rel=3e-3)
    assert room == pytest.approx(2.40, rel=3e-3)
    assert 50e3 / room == pytest.approx(20.8e3, rel=3e-3)


_LAID = st.sampled_from(
    [
        UNIT,
        replace(UNIT, count=32, layout=PREFILL),
        replace(UNIT, tokens_per_step=1.7),
        deployment(cards.DEEPSEEK_V3, cards.H200, 8, "fp8", layout=Layout(tp=8)),
        deployment(cards.DEEPSEEK_V3, cards.H200, 16, "fp8", layout=Layout(tp=8, pp=2)),
        deployment(cards.DEEPSEEK_V3, cards.H200, 16, "fp8", layout=Layout(tp=4, dp=4, ep=16)),
        deployment(cards.DEEPSEEK_V3, cards.H100, 16, "fp8", layout=Layout(tp=8, dp=2, overlapped=False)),
        deployment(cards.LLAMA_70B, cards.H100, 8, "fp8", layout=Layout(tp=2)),
        deployment(cards.GPT_OSS_120B, cards.H100, 4, "mxfp4", layout=Layout(tp=2, ep=2)),
    ]
)
_SHAPES = st.builds(
    Shape, isl_tokens=st.floats(1, 20_000), osl_tokens=st.floats(2, 20_000), cached_share=st.floats(0, 1)
)


@given(_LAID, _SHAPES, st.floats(1, 500), st.floats(1, 500))
def test_more_sequences_are_never_slower_in_sum_nor_faster_for_one(run, shape, one, other):
    few, many = sorted((one, other))
    small, large = theory.bound_at(run, shape, few), theory.bound_at(run, shape, many)
    assert large.output_tokens_per_s >= small.output_tokens_per_s * (1 - 1e-9)
    assert large.output_tokens_per_s_per_user <= small.output_tokens_per_s_per_user * (1 + 1e-9)


@given(_LAID, st.floats(1, 5000), st.floats(0, 20_000))
def test_a_layout_never_beats_weights_and_kv_held_once(run, batch, context):
    """The bound without a layout is a ceiling of every layout, as far as memory and math go."""
    laid, free = theory.decode_step(run, batch, context), theory.decode_step(replace(run, layout=None), batch, context)
    assert laid.memory_s >= free.memory_s * (1 - 1e-9)
    assert laid.math_s >= free.math_s * (1 - 1e-9)
