"""Prompts made of a trace's blocks: they begin alike exactly where the trace says so, and are as long as it says."""

from dataclasses import replace
from os.path import commonprefix
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config.scenarios import SCENARIO_FOLDER
from harness.load.arrivals.traces import TraceRow, read_trace
from harness.load.blocks import BLOCK_TOKENS, shared_share
from harness.load.prompts import make_prompt
from harness.load.ruler import Ruler
from harness.load.scenarios import Workload
from harness.simulator.model import NS, BatchModel, Limits
from harness.simulator.steptimes import ConstantSteps
from harness.simulator.texts import TOKEN_CHARS, Author, Lengths, Wish, render_prompt, tokens_in
from harness.simulator.virtual import VirtualEdge

WORKLOAD = Workload(families=("arithmetic",), difficulty=1)
RULER = Ruler(fixed_tokens=9, filler_rate=0.25, text_rate=0.25)
BLOCK_CHARS = BLOCK_TOKENS * TOKEN_CHARS


def text(row: TraceRow, ordinal: int = 0, nonce: str = "run", ruler: Ruler = RULER) -> str:
    workload = replace(WORKLOAD, isl_tokens=row.input_tokens, max_tokens=row.output_tokens, blocks=row.hash_ids)
    return make_prompt(workload, 1, ordinal, nonce, ruler).messages[0]["content"]


def row(tokens: int, *ids: int) -> TraceRow:
    return TraceRow(0.0, tokens, 8, ids)


def shared(one: str, other: str) -> int:
    return len(commonprefix([one, other]))


IDS = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(one=IDS, other=IDS)
def test_prompts_share_the_blocks_they_have_in_common_and_no_more(one: list[int], other: list[int]) -> None:
    """A question of up to 100 tokens ends each prompt, in a last block that nobody shares."""
    first = text(row(len(one) * BLOCK_TOKENS + 300, *one, 100), 0)
    second = text(row(len(other) * BLOCK_TOKENS + 300, *other, 200), 1)
    common = len(commonprefix([one, other]))
    assert common * BLOCK_CHARS <= shared(first, second) < common * BLOCK_CHARS + 40


@settings(max_examples=60, deadline=None)
@given(tokens=st.integers(200, 9000), rate=st.sampled_from([0.16, 0.25, 0.31]))
def test_lengths_are_measured_out_by_the_ruler(tokens: int, rate: float) -> None:
    ruler = Ruler(fixed_tokens=12, filler_rate=rate, text_rate=rate)
    ids = tuple(range(-(-tokens // BLOCK_TOKENS)))
    found = 12 + rate * len(text(row(tokens, *ids), ruler=ruler))
    assert found == pytest.approx(tokens, abs=2)


def test_blocks_that_do_not_reach_the_length_are_filled_up() -> None:
    first, second = (text(row(2000, 1, 2), ordinal) for ordinal in (0, 1))
    assert len(first) * RULER.filler_rate + 9 == pytest.approx(2000, abs=2)
    assert 2 * BLOCK_CHARS <= shared(first, second) < 2 * BLOCK_CHARS + 120


def test_another_run_is_cold_and_one_that_is_not_is_warm() -> None:
    one = row(2000, 1, 2, 3, 4)
    assert shared(text(one), text(one, nonce="later")) < 40
    assert text(one) == text(one)
    warm = replace(WORKLOAD, cache="as_is", isl_tokens=2000, blocks=(1, 2, 3, 4))
    assert make_prompt(warm, 1, 0, "a").messages == make_prompt(warm, 1, 0, "b").messages


def test_the_share_of_a_trace_by_hand() -> None:
    prompts = [((1, 2), 1000), ((1, 2, 3), 1500), ((9, 2), 700), ((1, 2), 1000)]
    assert shared_share(prompts) == pytest.approx((1024 + 999) / 4200), "9, 2: the second block has another beginning"
    assert shared_share([]) is None
    assert shared_share([((), 100), ((), 100)]) == 0


def hits(rows: list[TraceRow], gap_s: float = 0.0) -> float:
    """Share of input tokens that the simulated engine's prefix cache had, of prompts as we make them."""
    lengths = Lengths(thought_median=4, thought_sigma=0.1, answer_median=4, answer_sigma=0.1)
    texts = [text(each, ordinal) for ordinal, each in enumerate(rows)]

    def question(number: int) -> Wish:
        return Wish(messages=({"role": "user", "content": texts[number]},), cap_tokens=rows[number].output_tokens)

    model = BatchModel(Limits(max_batch=64, kv_tokens=10_000_000), ConstantSteps(step_base_s=0.001))
    arrivals = [round((each.at_s + gap_s * number) * NS) for number, each in enumerate(rows)]
    truths = [truth for truth, _ in VirtualEdge(model, Author(lengths=lengths), question).open_loop(arrivals)]
    return sum(truth.cached_tokens or 0 for truth in truths) / sum(truth.input_tokens or 0 for truth in truths)


def test_an_engine_sees_the_hits_of_the_trace() -> None:
    rows = list(read_trace(Path(SCENARIO_FOLDER / "traces" / "synthetic-mooncake.jsonl")))
    expected = shared_share((each.hash_ids, each.input_tokens) for each in rows)
    assert expected is not None and 0.5 < expected < 0.8
    assert hits(rows) == pytest.approx(expected, abs=0.03)
    cold = [replace(each, hash_ids=()) for each in rows]
    assert hits(cold) < 0.01


def test_lengths_reach_the_engine() -> None:
    prompt = render_prompt(({"role": "user", "content": text(row(3000, 1, 2, 3, 4, 5, 6))},))
    assert tokens_in(prompt) == pytest.approx(3000, rel=0.01)
