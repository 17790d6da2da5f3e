"""The batch model against hand calculations and its own laws."""

import pytest
from batches import DEPLOYMENT, MS, drain, job, model
from hypothesis import given
from hypothesis import strategies as st

from harness.simulator.model import NS, BatchModel, Limits, StepLoad
from harness.simulator.steptimes import ConstantSteps, TheorySteps
from harness.theory import decode_step, prefill_step


def test_one_request_gets_one_token_a_step_after_its_prefill():
    batch, one = model(), job(input_tokens=10, output_tokens=3)
    assert batch.offer(one, 1000) is None
    seen = drain(batch)
    assert [at for at, _ in seen] == [1000 + 10 * MS, 1000 + 20 * MS, 1000 + 30 * MS]
    assert [(delta.begin, delta.end, delta.last) for _, delta in seen] == [(0, 1, False), (1, 2, False), (2, 3, True)]
    assert (one.arrived_ns, one.admitted_ns, one.first_ns) == (1000, 1000, 1000 + 10 * MS)
    assert one.state == "done" and batch.free_blocks == batch.total_blocks and batch.due_ns is None


def test_long_prompts_are_prefilled_in_chunks_beside_decoding_jobs():
    batch = model(max_step_tokens=40)
    short, long = job(input_tokens=8, output_tokens=6), job(input_tokens=100, output_tokens=1)
    batch.offer(short, 0)
    batch.offer(long, 0)  # arrives while the first step runs, so it starts with the second
    seen = drain(batch)
    # 39 tokens a step beside one decoded token: 39 + 39 + 22
    assert long.first_ns == 40 * MS
    assert [at // MS for at, delta in seen if delta.job is short] == [10, 20, 30, 40, 50, 60]


def test_a_full_batch_makes_others_wait_first_come_first_served():
    batch = model(max_batch=2)
    jobs = [job(output_tokens=n) for n in (2, 4, 1, 1)]
    for one in jobs:
        batch.offer(one, 0)
    drain(batch)
    assert [one.admitted_ns // MS for one in jobs] == [0, 10, 20, 30]
    assert batch.counters.peak_running == 2


def test_the_queue_may_be_limited():
    batch = model(max_batch=1, max_queue=1)
    assert [batch.offer(job(), 0) for _ in range(3)] == [None, None, "queue_full"]
    drain(batch)
    assert batch.counters.output_tokens == 10


def test_what_can_never_fit_is_refused_at_once():
    batch = model(kv_tokens=64)
    assert batch.offer(job(input_tokens=60, output_tokens=5), 0) == "too_long"
    assert batch.offer(job(input_tokens=60, output_tokens=4), 0) is None


def test_memory_admits_only_whole_prompts():
    batch = model(kv_tokens=160)
    first, second = job(input_tokens=90, output_tokens=2), job(input_tokens=90, output_tokens=2)
    batch.offer(first, 0)
    batch.offer(second, 0)
    drain(batch)
    assert second.admitted_ns == 20 * MS and first.preemptions == second.preemptions == 0


def test_the_youngest_is_preempted_when_memory_runs_out_and_still_gets_every_token():
    batch = model(kv_tokens=96)
    old, young = job(input_tokens=32, output_tokens=40), job(input_tokens=32, output_tokens=40)
    batch.offer(old, 0)
    batch.offer(young, 0)
    seen = drain(batch)
    assert old.preemptions == 0 and young.preemptions >= 1
    assert batch.counters.preemptions == young.preemptions
    for one in (old, young):
        ends = [delta.end for _, delta in seen if delta.job is one]
        assert ends == list(range(1, 41)), "each token exactly once, in order"


@pytest.mark.parametrize(
    ("interval", "tokens", "ends"),
    [(1, 3, [1, 2, 3]), (4, 10, [1, 5, 9, 10]), (4, 9, [1, 5, 9]), (4, 1, [1]), (100, 7, [1, 7])],
)
def test_tokens_per_delta(interval, tokens, ends):
    batch = model(tokens_per_delta=interval)
    batch.offer(job(output_tokens=tokens), 0)
    assert [delta.end for _, delta in drain(batch)] == ends


@pytest.mark.parametrize("after_steps", [0, 1, 3])
def test_an_aborted_request_frees_its_slot_for_the_next_step(after_steps):
    batch = model(max_batch=1)
    gone, next_one = job(output_tokens=100), job(output_tokens=1)
    batch.offer(gone, 0)
    batch.offer(next_one, 0)
    for _ in range(after_steps):
        batch.finish_step()
    batch.abort(gone)
    assert batch.free_blocks == batch.total_blocks
    seen = drain(batch)
    assert all(delta.job is next_one for _, delta in seen)
    assert next_one.admitted_ns == (after_steps + 1) * 10 * MS
    batch.abort(gone)  # harmless


def test_aborting_a_waiting_request_takes_it_out_of_the_queue():
    batch = model(max_batch=1)
    first, waiting, third = job(), job(), job()
    for one in (first, waiting, third):
        batch.offer(one, 0)
    batch.abort(waiting)
    assert {delta.job for _, delta in drain(batch)} == {first, third}
    batch.abort(first)
    assert (first.state, waiting.state) == ("done", "aborted")


def test_step_times_equal_theory():
    steps = TheorySteps(deployment=DEPLOYMENT, efficiency=0.5)
    decode = decode_step(DEPLOYMENT, 8, 1000.0)
    prefill = prefill_step(DEPLOYMENT, 512, 2000)
    assert steps.step_s(StepLoad(8, 1000.0, ())) == pytest.approx(decode.seconds / 0.5)
    assert steps.step_s(StepLoad(0, 0.0, ((512, 2000),))) == pytest.approx(prefill.seconds / 0.5)
    both = steps.step_s(StepLoad(8, 1000.0, ((512, 2000),)))
    floor = max(decode.memory_s, prefill.memory_s, decode.math_s + prefill.math_s)
    assert both == pytest.approx(max(floor, decode.communication_s + prefill.communication_s) / 0.5)


def test_a_running_batch_steps_at_the_time_that_theory_gives_for_it():
    batch = BatchModel(Limits(max_batch=8, kv_tokens=100_000), TheorySteps(deployment=DEPLOYMENT))
    for _ in range(8):
        batch.offer(job(input_tokens=500, output_tokens=20), 0)
    seen = drain(batch)
    times = sorted({at for at, _ in seen})
    # The first job decodes alone for one step while the seven others prefill; from then on all eight decode.
    for tokens in range(3, 10):
        contexts = [500 + tokens, *[500 + tokens - 1] * 7]
        step = decode_step(DEPLOYMENT, 8, sum(contexts) / 8)
        assert times[tokens] - times[tokens - 1] == pytest.approx(step.seconds * NS, abs=2)


def test_a_cached_prefix_saves_prefill_time_but_never_the_last_token():
    times = ConstantSteps(step_base_s=0.001, per_prefill_token_s=0.001)
    batch = BatchModel(Limits(max_batch=4, kv_tokens=10_000), times)
    blocks = tuple(range(4))
    cold, warm = job(input_tokens=64, output_tokens=1, blocks=blocks), job(64, 1, blocks)
    other = job(64, 1, (0, 1, 99, 3))
    found = []
    for one in (cold, warm, other):
        batch.offer(one, 0 if batch.due_ns is None else batch.due_ns)
        begin = one.admitted_ns
        drain(batch)
        found.append((one.cached_tokens, (one.first_ns - begin) // MS))
    # 64 prompt tokens are four blocks, but the last token must be computed: at most three blocks hit
    assert found == [(0, 65), (48, 17), (32, 33)]
    assert batch.counters.cached_tokens == 80


@given(
    sizes=st.lists(st.tuples(st.integers(1, 120), st.integers(1, 60), st.integers(0, 400)), min_size=1, max_size=25),
    max_batch=st.integers(1, 6),
    kv_blocks=st.integers(12, 40),
    max_step_tokens=st.integers(1, 200),
    interval=st.integers(1, 5),
)
def test_every_token_of_every_job_comes_once_and_memory_is_never_overdrawn(
    sizes, max_batch, kv_blocks, max_step_tokens, interval
):
    batch = model(
        max_batch=max_batch, kv_tokens=16 * kv_blocks, max_step_tokens=max_step_tokens, tokens_per_delta=interval
    )
    arrivals = sorted(((at * MS, job(i, o)) for i, o, at in sizes), key=lambda pair: pair[0])
    got: dict[int, list[int]] = {id(one): [] for _, one in arrivals}
    while arrivals or batch.due_ns is not None:
        if batch.due_ns is None or (arrivals and arrivals[0][0] < batch.due_ns):
            at, one = arrivals.pop(0)
            assert batch.offer(one, at) is None
            continue
        for delta in batch.finish_step():
            assert delta.begin == sum(got[id(delta.job)]), "no gap, no overlap"
            got[id(delta.job)].append(delta.end - delta.begin)
            assert delta.last == (delta.end == delta.job.output_tokens)
        held = sum(one.held_blocks for one in batch.running)
        assert held == batch.total_blocks - batch.free_blocks <= kv_blocks
        assert all(one.computed <= 16 * one.held_blocks for one in batch.running)
        assert sum(tokens for _, tokens in batch._batch) <= max_step_tokens
        assert len(batch.running) <= max_batch
    assert sorted(map(sum, got.values())) == sorted(o for _, o, _ in sizes)
    assert batch.free_blocks == kv_blocks
