"""The virtual edge: truth and records of whole loads, against queueing laws and against each other."""

import random

import pytest
from batches import MS, model

from harness.errors import Outcome
from harness.records import decode_offsets, decode_record, encode_record
from harness.simulator.model import NS, BatchModel, Limits
from harness.simulator.steptimes import ConstantSteps
from harness.simulator.texts import Author, Lengths
from harness.simulator.truth import decode_truth, encode_truth
from harness.simulator.virtual import Names, VirtualEdge, plain_questions

LENGTHS = Lengths(thought_median=12, thought_sigma=0.5, answer_median=6, answer_sigma=0.4)


def edge(batch=None, names=None, cap=None, **author):
    question = plain_questions(lambda number: f"{number}: what is the square of {number}?", cap)
    return VirtualEdge(batch or model(max_batch=8), Author(lengths=LENGTHS, seed=1, **author), question, names)


@pytest.mark.parametrize(("users", "pause_ns"), [(1, 0), (5, 0), (8, 300 * MS), (40, 0), (40, 500 * MS)])
def test_littles_law(users, pause_ns):
    exchanges = list(edge().closed_loop(users, 200 * NS, pause_ns=pause_ns))
    whole = [truth for truth, _ in exchanges if not truth.aborted]
    mean_ns = sum(truth.ended_ns - truth.arrived_ns for truth in whole) / len(whole)
    rate = len(whole) / (200 * NS)
    assert rate * (mean_ns + pause_ns) == pytest.approx(users, rel=0.01)


def test_a_full_batch_delivers_its_tokens_and_no_more():
    exchanges = list(edge().closed_loop(40, 100 * NS))
    made = sum(truth.output_tokens for truth, _ in exchanges)
    assert made == pytest.approx(8 / 0.010 * 100, rel=0.01)


def test_every_request_ends_once_and_the_ends_are_censored():
    exchanges = list(edge().closed_loop(20, 30 * NS))
    assert len({truth.request_id for truth, _ in exchanges}) == len(exchanges)
    censored = [record for _, record in exchanges if record.outcome == Outcome.CENSORED]
    assert len(censored) == 20 and all(record.ended_ns == 30 * NS for record in censored)
    assert all(record.output_tokens is None and record.token_source is None for record in censored)


def test_records_and_truth_tell_the_same():
    for truth, record in edge(cap=24).closed_loop(12, 20 * NS):
        assert decode_record(encode_record(record)) == record
        assert decode_truth(encode_truth(truth)) == truth
        offsets = list(decode_offsets(record.delta_offsets or "<u4:"))
        assert offsets == [(at - truth.arrived_ns) // 1000 for at in truth.delta_ns]
        assert sum(truth.delta_tokens) == truth.output_tokens
        thought = sum(n for n, phase in zip(truth.delta_tokens, truth.delta_phase, strict=True) if phase == "r")
        assert thought == truth.reasoning_tokens
        if record.outcome in (Outcome.OK, Outcome.TRUNCATED, Outcome.CUT_IN_THOUGHT):
            assert (record.output_tokens, record.input_tokens) == (truth.output_tokens, truth.input_tokens)
            assert record.answer_tokens + record.reasoning_tokens == record.output_tokens


def test_a_delta_that_ends_the_thought_is_two_deltas_at_one_time():
    truths = [truth for truth, _ in edge(model(tokens_per_delta=5)).open_loop([0, 1, 2])]
    for truth in truths:
        switch = truth.delta_phase.index("a")
        assert truth.delta_ns == sorted(truth.delta_ns)
        if (truth.reasoning_tokens - 1) % 5:
            assert truth.delta_ns[switch] == truth.delta_ns[switch - 1]


def test_texts_do_not_depend_on_the_order_of_arrival():
    def told(arrivals):
        asked = random.Random(str(arrivals)).sample(range(30), 30)
        question = plain_questions(lambda number: f"{asked[number]}: why?")
        author = Author(lengths=LENGTHS, seed=1)
        talks = VirtualEdge(model(max_batch=3), author, question).open_loop(arrivals)
        numbers = {f"virtual-{position}": asked[position] for position in range(30)}
        return {numbers[t.request_id]: (t.reasoning_tokens, t.output_tokens, t.finish_reason) for t, _ in talks}

    assert told([0] * 30) == told([at * 70 * MS for at in range(30)])


def test_open_loop_keeps_to_its_plan_and_ends_when_all_are_answered():
    plan = [0, 5 * MS, 5 * MS, 400 * MS]
    exchanges = list(edge().open_loop(plan))
    assert sorted(record.planned_ns for _, record in exchanges) == plan
    assert all(record.outcome == Outcome.OK for _, record in exchanges)


def test_outcomes_of_faults_and_caps():
    seen = {record.outcome for _, record in edge(cap=20, error_share=0.2, cut_share=0.2).closed_loop(8, 60 * NS)}
    expected = {"ok", "truncated", "cut_in_thought", "stream_error", "cut", "censored"}
    assert seen == expected


def test_stages():
    names = Names(run_id="r", measure_begin_ns=2 * NS, measure_end_ns=8 * NS)
    for _, record in edge(names=names).closed_loop(4, 10 * NS):
        began = record.started_ns
        assert record.stage == ("warmup" if began < 2 * NS else "measure" if began < 8 * NS else "drain")


def test_cold_prompts_are_never_cached_and_equal_ones_are():
    def cached(text):
        batch = model()
        question = plain_questions(text)
        talks = VirtualEdge(batch, Author(lengths=LENGTHS), question).open_loop([0, NS, 2 * NS])
        return [truth.cached_tokens for truth, _ in talks]

    body = "the same words again and again " * 10
    assert cached(lambda number: f"[{number}] {body}") == [0, 0, 0]
    assert cached(lambda number: body) == [0, 80, 80]
    assert cached(lambda number: f"{body} [{number}]") == [0, 80, 80]


def test_a_virtual_load_that_would_be_refused_is_an_error():
    batch = BatchModel(Limits(max_batch=1, kv_tokens=10_000, max_queue=0), ConstantSteps())
    with pytest.raises(ValueError, match="refused"):
        list(edge(batch).open_loop([0, 1]))
