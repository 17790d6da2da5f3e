"""The notes of a queued run: when the queue stood, and what that means for its ceiling."""

from harness.load.scenarios import Arrivals, Scenario, Workload
from harness.records import QueueEntry, Wall, WorkerEntry
from loadtests.notes import load_notes

SCENARIO = Scenario(
    name="s", description="d", workload=Workload(families=("arithmetic",)), run_time_s=120, warm_up_s=40,
    arrivals=Arrivals(kind="queued", ahead=8),
)  # fmt: skip


def entry(stood_s: float | None, *, ahead: int = 4, short: int = 0) -> WorkerEntry:
    queue = QueueEntry(ahead=ahead, open_calls=50, stood_s=stood_s, looks=20, short=short)
    return WorkerEntry(wall=Wall(offset_ns=0, error_ns=0, taken_at=""), host="h", pid=1, queue=queue)


def test_a_queue_that_stood_in_the_warm_up() -> None:
    assert load_notes(SCENARIO, [entry(9.0), entry(12.4), entry(None, ahead=0)]) == [
        "the queue stood 12 s after the start, at most 100 requests were open"
    ]
    _, short = load_notes(SCENARIO, [entry(9.0, short=3), entry(40.0)])
    assert short == "the queue was short in 3 of 40 looks at it, once a second by each worker"


def test_a_queue_that_stood_later_says_where_the_ceiling_is_told_from() -> None:
    _, later = load_notes(SCENARIO, [entry(9.0), entry(52.0)])
    assert later == "that is after the warm-up of 40 s: no rate from before it counts towards the ceiling"


def test_no_queue() -> None:
    for workers in ([entry(9.0), entry(None)], [entry(9.0, short=11), entry(9.0, short=10)]):
        (note,) = load_notes(SCENARIO, workers)
        assert note == "NO QUEUE: too few requests waited, with 100 open: this throughput is no ceiling"
    assert load_notes(SCENARIO, [WorkerEntry(wall=entry(None).wall, host="h", pid=1)]) == []
