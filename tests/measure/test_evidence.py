"""Load states of one run against the simulator's own model, whose ceiling is known: how often they err, and how."""

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_runs import WALL, folder, manifest, moved, record, worker

from harness.errors import Outcome
from harness.measure.evidence import Signs, _saturated, _served
from harness.measure.gain import Gain
from harness.measure.results import RunResult
from harness.measure.runs import measure
from harness.records import Stages, StreamRecord
from harness.simulator.model import NS, BatchModel, Limits
from harness.simulator.steptimes import ConstantSteps
from harness.simulator.texts import Author, Lengths
from harness.simulator.virtual import Names, VirtualEdge, plain_questions

LENGTHS = Lengths(thought_median=60, thought_sigma=0.5, answer_median=30, answer_sigma=0.4)
TOKENS = 100.5  # of a mean request: 60 exp(0.125) + 30 exp(0.08)
SLOTS, STEP_S = 8, 0.010
CEILING = SLOTS / STEP_S  # output tokens/s
WARM_S, SECONDS = 5, 40


def edge(batch: BatchModel, seed: int) -> VirtualEdge:
    names = Names(measure_begin_ns=WARM_S * NS, measure_end_ns=(WARM_S + SECONDS) * NS)
    question = plain_questions(lambda number: f"{seed}-{number:06d}: what is the square of it?")
    return VirtualEdge(batch, Author(lengths=LENGTHS, seed=seed), question, names)


def slotted() -> BatchModel:
    return BatchModel(Limits(max_batch=SLOTS, kv_tokens=10_000_000), ConstantSteps(step_base_s=STEP_S))


def open_loop(rate: float, seed: int) -> list[StreamRecord]:
    """Poisson arrivals; everything is answered in the end."""
    draws, at_s, arrivals = random.Random(seed), 0.0, []
    while (at_s := at_s + draws.expovariate(rate)) < WARM_S + SECONDS:
        arrivals.append(round(at_s * NS))
    return [made.record for made in edge(slotted(), seed).open_loop(arrivals)]


def closed_loop(users: int, seed: int, batch: BatchModel) -> list[StreamRecord]:
    """Patient users that ask until the window ends, and are answered then: a drain."""
    made, ready, found = edge(batch, seed), [(0, user) for user in range(users)], []
    while (now_ns := made._next_ns(ready[0][0] if ready else None)) is not None:
        if now_ns != batch.due_ns:
            made._ask(now_ns, None, heapq.heappop(ready)[1])
            continue
        for talk in made._step(now_ns):
            found.append(made._exchange(talk, now_ns).record)
            if now_ns < (WARM_S + SECONDS) * NS:
                heapq.heappush(ready, (now_ns, talk.user or 0))
    return found


def measured(path: Path, records: Sequence[StreamRecord], **deployment: Any) -> RunResult:
    begin, end = WALL + WARM_S * NS, WALL + (WARM_S + SECONDS) * NS
    stages = Stages(began_ns=WALL, measure_begin_ns=begin, measure_end_ns=end, ended_ns=end + 9 * NS)
    endpoint = {"name": "e", "deployment": deployment or None}
    return measure(folder(path, list(records), stages=stages, workers={"virtual": worker()}, endpoint=endpoint))


@pytest.fixture(scope="module")
def open_runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[float, RunResult]]:
    """(output over the ceiling, result) at loads from half to one and a half of what can be served."""
    loads, path = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.5), tmp_path_factory.mktemp("open")
    found = []
    for load in loads:
        for seed in range(5):
            run = measured(path, open_loop(load * CEILING / TOKENS, seed))
            made = (run.throughput.output_tokens_per_s or 0.0) / CEILING
            found.append((made, run))
    return found


def test_an_open_loop_is_rarely_called_what_it_is_not(open_runs: list[tuple[float, RunResult]]) -> None:
    """Saturated below nine tenths of the ceiling, or demand limited above 97 % of it: at most one run in fifty."""
    wrong = [(made, run.load) for made, run in open_runs
             if (run.load.state == "saturated" and 0.01 < made < 0.9)
             or (run.load.state == "demand_limited" and made > 0.97)]  # fmt: skip
    assert len(wrong) <= 1, wrong


def test_an_open_loop_is_told_where_it_is_clear(open_runs: list[tuple[float, RunResult]]) -> None:
    low = Counter(run.load.state for made, run in open_runs if 0.01 < made < 0.85)
    high = Counter(run.load.state for made, run in open_runs if made > 0.985)
    assert low["demand_limited"] >= 0.9 * low.total() and high["saturated"] >= 0.9 * high.total()
    assert low.total() >= 10 and high.total() >= 10


def test_a_growing_queue_is_no_steady_state(open_runs: list[tuple[float, RunResult]]) -> None:
    """At one and a half of the ceiling; its rate stood still at the ceiling and is told, its wait did not."""
    for made, run in open_runs[-5:]:
        assert run.steady is False and made == pytest.approx(1, abs=0.01)
        assert run.window.moved and "output tokens/s" not in run.window.moved
        assert run.load.state == "saturated"


@pytest.mark.parametrize(
    ("users", "state"), [(2, None), (4, None), (6, "demand_limited"), (8, "unknown"), (10, "saturated"),
                         (16, "saturated"), (64, "saturated")],
)  # fmt: skip
def test_a_closed_loop_on_slots(tmp_path: Path, users: int, state: str | None) -> None:
    """Eight slots, declared: room is seen below six and a half, a queue from ten on; at eight it cannot be known."""
    states = Counter(measured(tmp_path, closed_loop(users, seed, slotted()), max_batch=SLOTS).load.state
                     for seed in range(5))  # fmt: skip
    wrong = "saturated" if users < SLOTS else "demand_limited"
    assert states[wrong] == 0
    if state is not None:
        assert states[state] >= 3, states


def test_a_closed_loop_without_a_declared_batch_never_claims_room(tmp_path: Path) -> None:
    states = {measured(tmp_path, closed_loop(6, seed, slotted())).load.state for seed in range(3)}
    assert states == {"unknown"}


def test_more_of_the_same_work_is_seen_in_the_drain(tmp_path: Path) -> None:
    """Math-bound steps, 2 ms + 1 ms a request: the gain in the drain is the model's own, n / (2 + n)."""
    steps = ConstantSteps(step_base_s=0.002, per_decode_s=0.001)
    batch = BatchModel(Limits(max_batch=256, kv_tokens=10_000_000), steps)
    run = measured(tmp_path, closed_loop(32, 1, batch))
    assert run.load.state == "saturated"
    (words,) = (text for text in run.load.evidence if "requests in flight gave +" in text)
    half, _, more = words.partition(" -> ")
    expected = (32 / 34) / (float(half) / (2 + float(half))) - 1
    assert float(more.partition("gave +")[2].partition("%")[0]) / 100 == pytest.approx(expected, abs=0.02)


GAIN = Gain(in_flight=32, in_flight_half=16, tokens_per_s=1000, tokens_per_s_half=950)
SIGNS = Signs(
    in_flight=32, waiting=0.05, idle=0, queued=0.02, refused=0, not_sent=0, open_loop=False, ttft_ratio=1.4,
    growth=None, gain=GAIN, long_outputs=True, max_batch=None,
)  # fmt: skip


def test_the_gain_alone_tells_where_prefill_cannot_fool_it() -> None:
    assert GAIN.share == pytest.approx(0.0526, rel=1e-2)
    assert _saturated(SIGNS) == GAIN.words and _saturated(replace(SIGNS, long_outputs=False)) is None
    full = replace(SIGNS, gain=replace(GAIN, tokens_per_s_half=505.0), max_batch=64)
    assert _saturated(full) is None and _served(full) is not None
    for no_room in (replace(full, max_batch=36), replace(full, max_batch=None)):
        assert _served(no_room) is None
    for unclear in (replace(full, queued=0.2), replace(full, ttft_ratio=3.5), replace(full, gain=None)):
        assert _served(unclear) is None


def test_refusals_saturate_and_idle_is_demand_limited(tmp_path: Path) -> None:
    calls = [moved(record(), n * NS // 4, request_id=f"r{n}") for n in range(30)]
    refused = [moved(each, 0, request_id=f"x{n}", outcome=Outcome.RATE_LIMITED) for n, each in enumerate(calls[:2])]
    assert measure(folder(tmp_path, calls)).load.state == "demand_limited"
    found = measure(folder(tmp_path, [*calls, *refused])).load
    assert found.state == "saturated" and "refused as rate limited" in found.evidence[0]
    assert manifest().workers["w"].not_sent == 0
