"""A queued run is measured from where its queue stood: against the simulator's model, whose ceiling is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import MS, WALL, S, folder, moved, record, worker

from harness.errors import Outcome
from harness.load.arrivals.queue import Queue, part_of
from harness.measure.cut import as_measured
from harness.measure.folder import read_folder
from harness.measure.results import RunResult, Throughput
from harness.measure.runs import measure
from harness.records import QueueEntry, Stages, StreamRecord, WorkerEntry, decode_offsets, encode_offsets, queue_stood_s
from harness.simulator.model import NS, BatchModel, Limits
from harness.simulator.steptimes import ConstantSteps
from harness.simulator.texts import Author, Lengths
from harness.simulator.virtual import Names, VirtualEdge, plain_questions

LENGTHS = Lengths(thought_median=60, thought_sigma=0.5, answer_median=30, answer_sigma=0.4)
SLOTS = 48
BARE = ConstantSteps(step_base_s=0.010)
#: a fuller batch makes slower steps, and so does a prompt that is read in one
BUSY = ConstantSteps(step_base_s=0.006, per_decode_s=0.0001, per_prefill_token_s=0.00002)


def edge(batch: BatchModel, seed: int, names: Names | None = None) -> VirtualEdge:
    question = plain_questions(lambda number: f"{seed}-{number:06d}: " + "what is the square of it? " * 16)
    return VirtualEdge(batch, Author(lengths=LENGTHS, seed=seed), question, names)


def slotted(times: ConstantSteps) -> BatchModel:
    return BatchModel(Limits(max_batch=SLOTS, kv_tokens=10_000_000), times)


@cache
def ceiling(times: ConstantSteps) -> float:
    """Output tokens/s of the model when work always waits, long after it was filled."""
    truths = [found for found, _ in edge(slotted(times), 99).closed_loop(3 * SLOTS, 30 * NS)]
    return sum(at_ns >= 10 * NS for found in truths for at_ns in found.delta_ns) / 20


@dataclass
class Feeders:
    """One queue a worker in front of one model, in virtual time, as loadtests/feeder.py keeps them. Until `held` its
    calls fail elsewhere, so that a worker's queue does not grow."""

    queues: Sequence[Queue]
    held_s: Sequence[float]
    edge: VirtualEdge
    records: list[StreamRecord] = field(default_factory=list)

    def run(self, end_s: float) -> list[StreamRecord]:
        look_ns = NS
        self._fill(0)
        while (now_ns := self.edge._next_ns(look_ns) or look_ns) < end_s * NS:
            if now_ns == self.edge._model.due_ns:
                self.records += [self._told(*ended) for ended in self._ended(now_ns)]
            else:
                self._look(now_ns / NS)
                look_ns += NS
            self._fill(now_ns)
        owners = {talk.number: talk.user for talk in self.edge._talks.values()}
        for _, cut_off in self.edge._censor(round(end_s * NS)):
            self.records.append(self._told(owners[cut_off.seq] or 0, cut_off))
        return self.records

    def _ended(self, now_ns: int) -> Iterator[tuple[int, StreamRecord]]:
        for talk in self.edge._step(now_ns):
            yield talk.user or 0, self.edge._exchange(talk, now_ns).record

    def _told(self, owner: int, made: StreamRecord) -> StreamRecord:
        return msgspec.structs.replace(made, worker=f"w{owner}")

    def _own(self, owner: int) -> list[Any]:
        return [talk for talk in self.edge._talks.values() if talk.user == owner]

    def _look(self, at_s: float) -> None:
        for owner, queue in enumerate(self.queues):
            own = self._own(owner)
            queue.look(at_s, len(own), sum(not talk.delta_ns for talk in own), raising=at_s > self.held_s[owner])

    def _fill(self, now_ns: int) -> None:
        for owner, queue in enumerate(self.queues):
            for _ in range(queue.target - len(self._own(owner))):
                self.edge._ask(now_ns, None, owner)


def entry(stood_s: float | None, *, ahead: int = 4, looks: int = 20, short: int = 0) -> WorkerEntry:
    return worker(queue=QueueEntry(ahead=ahead, open_calls=100, stood_s=stood_s, looks=looks, short=short))


def measured(path: Path, records: list[StreamRecord], workers: dict[str, WorkerEntry], **stages: int) -> RunResult:
    ends = {"measure_begin_ns": WALL + 2 * S, "measure_end_ns": WALL + 24 * S, "ended_ns": WALL + 200 * S}
    return measure(folder(path, records, workers=workers, stages=Stages(**{"began_ns": WALL, **ends, **stages})))


@pytest.mark.parametrize("times", [BARE, BUSY], ids=["bare steps", "steps that read and write"])
@pytest.mark.parametrize("held_s", [(0.0,), (0.0, 0.0), (0.0, 6.0)], ids=["one worker", "two", "one of two is late"])
def test_a_queue_that_grows_slowly_is_measured_from_where_it_stood(
    tmp_path: Path, times: ConstantSteps, held_s: tuple[float, ...]
) -> None:
    """A window of 22 s is too short for the steadiness test, half of it was the filling, and today's figure is low."""
    queues = [Queue(part_of(2, at, len(held_s)), limit=1024) for at in range(len(held_s))]
    names = Names(measure_begin_ns=2 * NS, measure_end_ns=24 * NS)
    records = Feeders(queues, held_s, edge(slotted(times), 7, names)).run(24.0)
    stood_s = max(queue.stood_s or 0.0 for queue in queues)
    assert 8 <= stood_s <= 18, "after the warm-up, and with some of the window left"
    bare = {f"w{owner}": worker() for owner in range(len(queues))}
    told = {name: entry(queue.stood_s) for name, queue in zip(bare, queues, strict=True)}
    found, uncut, truth = measured(tmp_path, records, told), measured(tmp_path, records, bare), ceiling(times)
    assert found.throughput.output_tokens_per_s == pytest.approx(truth, rel=0.05)
    assert uncut.window.cut_s == 0 and uncut.throughput.output_tokens_per_s is not None
    assert uncut.throughput.output_tokens_per_s < 0.9 * truth
    assert found.window.cut_s == pytest.approx(stood_s - 2) and found.window_s == pytest.approx(24 - stood_s)
    left_out = f"the first {stood_s - 2:.0f} of 22 s were left out"
    assert found.window.reason == f"{left_out}: the queue stood after {stood_s:.0f} s"
    assert found.window.reason in found.notes and found.load.state == "saturated"
    assert found.metrics["ttft_s"].n < uncut.metrics["ttft_s"].n and found.requests == uncut.requests


def test_what_is_left_must_be_as_long_as_two_answers(tmp_path: Path) -> None:
    """While few answers end, few prompts are read: a short rest tells too much, as the module's docstring has it."""
    times = ConstantSteps(step_base_s=0.020, per_decode_s=0.0002, per_prefill_token_s=0.00005)
    lengths = Lengths(thought_median=800, thought_sigma=0.5, answer_median=100, answer_sigma=0.4)
    author, names = Author(lengths=lengths, seed=1), Names(measure_begin_ns=2 * NS)
    queue, batch = Queue(8, limit=1024), BatchModel(Limits(max_batch=64, kv_tokens=10_000_000), times)
    question = plain_questions(lambda number: f"{number:06d}: " + "word " * 1000)
    records = Feeders([queue], [0.0], VirtualEdge(batch, author, question, names)).run(140.0)
    offsets_us = [np.asarray(decode_offsets(each.delta_offsets or ""), np.float64) for each in records]
    sent_s = [(each.sent_last_ns or 0) / S for each in records]
    moments = np.concatenate([at_s + after_us / 1e6 for at_s, after_us in zip(sent_s, offsets_us, strict=True)])
    truth = float((moments >= 75).mean()) * len(moments) / 65
    spans = [each.ended_ns - (each.first_reasoning_ns or 0) for each in records if each.done_seen]
    answer_s, stood_s = float(np.median(spans)) / NS, queue.stood_s or 0.0
    for answers, too_high in ((0.25, 0.12), (0.5, 0.10), (1.0, 0.06), (2.0, 0.035)):
        rest = (moments >= stood_s) & (moments < stood_s + answers * answer_s)
        assert float(rest.sum()) / (answers * answer_s) / truth - 1 == pytest.approx(too_high, abs=0.015)
    told = {"w0": entry(stood_s)}
    short, enough = (
        measured(tmp_path, records, told, measure_end_ns=WALL + round((stood_s + answers * answer_s) * S))
        for answers in (1.9, 2.1)
    )
    assert short.throughput.output_tokens_per_s is None and short.window.moved == ("output tokens/s",)
    assert short.throughput == Throughput() and short.steady is False and short.window.cut_s == 0
    for key in ("throughput", "mix.mean_in_flight", "intervals.throughput.output_tokens_per_s", "steady"):
        assert f"{1.9 * answer_s:.0f} s are left, too few for two answers" in short.reasons[key]
    assert enough.throughput.output_tokens_per_s == pytest.approx(truth, rel=0.05)


# -- edges --------------------------------------------------------------------------------------------------------

CALLS_PER_S, RUN_S, WARM_UP_S = 20, 60, 20


def even(shares: Any = None) -> list[StreamRecord]:
    """Calls of half a second, twenty a second for a minute, or begun at these shares of it; by two workers in turn."""
    starts = np.arange(CALLS_PER_S * RUN_S) / CALLS_PER_S if shares is None else np.asarray(shares) * RUN_S
    offsets = [100_000 + 50_000 * k for k in range(8)]
    one = record(
        started_ns=0, sent_first_ns=0, sent_last_ns=0, first_reasoning_ns=100 * MS, first_answer_ns=None, deltas=8,
        last_delta_ns=450 * MS, ended_ns=451 * MS, delta_offsets=encode_offsets(offsets), delta_phase="r" * 8,
    )  # fmt: skip
    stages = ["warmup" if at_s < WARM_UP_S else "measure" for at_s in starts]
    return [
        moved(one, round(at_s * S), request_id=f"r{n}", stage=stage, worker=f"w{n % 2}")
        for n, (at_s, stage) in enumerate(zip(starts, stages, strict=True))
    ]


def minute(path: Path, first: WorkerEntry, second: WorkerEntry, records: list[StreamRecord] | None = None) -> RunResult:
    ends = {"measure_begin_ns": WALL + WARM_UP_S * S, "measure_end_ns": WALL + RUN_S * S}
    return measured(path, records or even(), {"w0": first, "w1": second}, **ends)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (entry(7.0), entry(8.0)),
        (entry(7.0), entry(20.0)),
        (entry(7.0), entry(None)),
        (entry(None), entry(None)),
        (entry(30.0, short=11), entry(31.0, short=10)),
    ],
    ids=["early", "as the warm-up ends", "never on one", "never", "short in most looks"],
)
def test_nothing_changes(tmp_path: Path, first: WorkerEntry, second: WorkerEntry) -> None:
    assert minute(tmp_path, first, second) == minute(tmp_path, worker(), worker())


def test_the_later_of_two_workers_counts_and_one_without_a_part_does_not(tmp_path: Path) -> None:
    assert queue_stood_s([entry(7.0), entry(26.0)]) == 26 and queue_stood_s([]) is queue_stood_s([worker()]) is None
    assert queue_stood_s([entry(7.0), entry(None, ahead=0)]) == 7
    later = minute(tmp_path, entry(7.0), entry(26.0))
    assert (later.window.whole_s, later.window.cut_s, later.window_s) == (40, 6, 34) and later.steady is True
    assert later.window.reason == "the first 6 of 40 s were left out: the queue stood after 26 s"
    assert later.metrics["ttft_s"].n == later.useful.total == 34 * CALLS_PER_S and later.requests.total == 1200
    assert minute(tmp_path, entry(26.0), entry(None, ahead=0)).window_s == 34


def test_what_still_moves_behind_the_filling_is_cut_too(tmp_path: Path) -> None:
    """The rate doubles at 38 s: the rest of 34 s loses twelve more."""
    slow, fast = np.arange(0, 38, 0.1), np.arange(38, 60, 0.05)
    found = minute(tmp_path, entry(7.0), entry(26.0), even(np.concatenate((slow, fast)) / RUN_S))
    assert found.steady is True and found.window.whole_s == 40 and 18 <= found.window.cut_s <= 22
    assert found.window_s == pytest.approx(40 - found.window.cut_s)
    first, _, then = (found.window.reason or "").partition("; ")
    assert first.endswith("the queue stood after 26 s") and "s were left out: output tokens/s rose by" in then
    assert found.throughput.requests_per_s == pytest.approx(CALLS_PER_S, rel=0.05)


def test_a_ramp_behind_the_filling_has_no_average(tmp_path: Path) -> None:
    found = minute(tmp_path, entry(7.0), entry(26.0), even(np.sqrt(np.linspace(0.001, 0.999, 900))))
    assert found.steady is False and found.throughput.output_tokens_per_s is None and found.window_s == 34
    assert found.reasons["throughput"].startswith("not steady: output tokens/s rose by")
    left_out = "the first 6 of 40 s were left out: the queue stood after 26 s"
    assert found.window.reason == f"{left_out}; {found.reasons['steady']}"


@pytest.mark.parametrize("stood_s", [59.8, 60.0, 61.0])
def test_a_queue_that_stood_too_late_leaves_no_rate_and_the_rest_as_it_was(tmp_path: Path, stood_s: float) -> None:
    late, today = minute(tmp_path, entry(7.0), entry(stood_s)), minute(tmp_path, worker(), worker())
    assert late.throughput == Throughput() and "0 s are left" in late.reasons["throughput"]
    assert late.valid and late.window_s == 40 and late.metrics == today.metrics and late.useful == today.useful


def test_a_rest_in_which_nothing_was_answered_leaves_no_rate(tmp_path: Path) -> None:
    """It is no invalid run: what began before was answered."""
    lost = {"outcome": Outcome.CENSORED}
    records = [msgspec.structs.replace(each, **(lost if each.started_ns > 26 * S else {})) for each in even()]
    found = minute(tmp_path, entry(7.0), entry(26.5), records)
    assert found.valid and found.throughput == Throughput() and "34 s are left" in found.reasons["throughput"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("minute")


@settings(max_examples=25, deadline=None)
@given(stood_s=st.floats(0, 59))
def test_the_parts_add_up_wherever_it_stood(place: Path, stood_s: float) -> None:
    """And who prices the run, or draws it, sees the same requests as measured."""
    found = minute(place, entry(stood_s / 2), entry(stood_s))
    assert found.window.cut_s == pytest.approx(max(stood_s - WARM_UP_S, 0))
    assert found.window.cut_s + (found.window_s or 0.0) == pytest.approx(40)
    assert found.throughput.output_tokens_per_s == pytest.approx(8 * CALLS_PER_S, rel=0.05)
    begun_s = [each.started_ns / S for each in even()]
    assert found.useful.total == sum(at_s >= max(stood_s, WARM_UP_S) for at_s in begun_s)
    book = as_measured(read_folder(place), found)
    assert sum(each.stage == "measure" for each in book.records) == found.useful.total
    assert found.tokens.output == 8 * len(begun_s), "nothing is lost"
