"""Notes: what a reader of a run must know of how its load was made. Scenario and the workers' last words in."""

from collections.abc import Iterable

from harness.load.arrivals.plans import rate_in_words
from harness.load.scenarios import Scenario
from harness.records import WorkerEntry, queue_stood_s


def load_notes(scenario: Scenario, workers: Iterable[WorkerEntry]) -> list[str]:
    """Of its queue, of its planned conversations, and of those that ended early."""
    entries = list(workers)
    return [*_queue(scenario, entries), *_planned(scenario), *_broken_off(entries)]


def _queue(scenario: Scenario, entries: list[WorkerEntry]) -> list[str]:
    """When the queue stood, whether it ran short, or that there was none."""
    queues = [entry.queue for entry in entries if entry.queue is not None and entry.queue.ahead]
    if not queues:
        return []
    opened, stood_s = sum(queue.open_calls for queue in queues), queue_stood_s(entries)
    if stood_s is None:
        return [f"NO QUEUE: too few requests waited, with {opened} open: this throughput is no ceiling"]
    notes = [f"the queue stood {stood_s:.0f} s after the start, at most {opened} requests were open"]
    if stood_s > scenario.warm_up_seconds():
        warm_up = f"the warm-up of {scenario.warm_up_seconds():g} s"
        notes.append(f"that is after {warm_up}: no rate from before it counts towards the ceiling")
    if short := sum(queue.short for queue in queues):
        looks = sum(queue.looks for queue in queues)
        notes.append(f"the queue was short in {short} of {looks} looks at it, once a second by each worker")
    return notes


def _planned(scenario: Scenario) -> list[str]:
    """What the rate of planned conversations was of."""
    arrivals = scenario.arrivals
    if scenario.workload.turns is None or not arrivals.open_loop:
        return []
    return [f"planned: {arrivals.kind} {rate_in_words(scenario)} on average; later turns follow their answers"]


def _broken_off(entries: list[WorkerEntry]) -> list[str]:
    """How many conversations lost their later turns; a user of a closed loop begins another one instead."""
    broken_off = sum(entry.broken_off for entry in entries)
    if not broken_off:
        return []
    return [
        f"{broken_off} conversations ended before their last turn (no answer to go on from, refused by our cap, or "
        "too long for the model's context): their later turns were never asked"
    ]
