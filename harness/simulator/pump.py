"""Pump: the batch model run against the real clock; its deltas go to open streams at the times it decides."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.simulator.model import NS, BatchModel, Delta, Job, Refusal

#: Upper edges of the lateness histogram, microseconds: fine enough to state p50 and p99, small enough to keep.
_EDGES_US = tuple(int(10 * 1.25**i) for i in range(64))
#: Steps caught up in one go before the event loop may breathe (a client's leaving must be seen under overload too).
_MOST_STEPS = 8


class Receiver(Protocol):
    """An open request at the edge; the tag of its job."""

    def admitted(self) -> None:
        """The job has left the queue."""
        ...

    def receive(self, delta: Delta) -> None:
        """Take tokens of the own job."""
        ...


@dataclass(slots=True)
class Lateness:
    """How much later than planned steps were handed out. A step beyond `overrun_ns` is an overrun."""

    overrun_ns: int
    steps: int = 0
    overruns: int = 0
    max_ns: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_EDGES_US) + 1))

    def add(self, late_ns: int) -> None:
        """Count one step."""
        self.steps += 1
        self.overruns += late_ns > self.overrun_ns
        self.max_ns = max(self.max_ns, late_ns)
        self.buckets[bisect_right(_EDGES_US, late_ns // 1000)] += 1

    def quantile_s(self, share: float) -> float | None:
        """Upper edge of the bucket that holds the quantile, seconds; None before the first step."""
        wanted, seen = share * self.steps, 0
        for index, count in enumerate(self.buckets):
            seen += count
            if count and seen >= wanted:
                edge_s = _EDGES_US[index] / 1e6 if index < len(_EDGES_US) else self.max_ns / NS
                return min(edge_s, self.max_ns / NS)
        return None

    def summary(self) -> dict[str, float | int | None]:
        """For people and for tests."""
        return {
            "steps": self.steps,
            "overruns": self.overruns,
            "overrun_limit_s": self.overrun_ns / NS,
            "lateness_p50_s": self.quantile_s(0.5),
            "lateness_p99_s": self.quantile_s(0.99),
            "lateness_max_s": self.max_ns / NS if self.steps else None,
        }


class Pump:
    """Owns the model. `now_ns` must be the event loop's own clock (CLOCK_MONOTONIC on Linux)."""

    def __init__(
        self,
        model: BatchModel,
        loop: asyncio.AbstractEventLoop,
        lateness: Lateness,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.model = model
        self.lateness = lateness
        self._loop = loop
        self._now_ns = now_ns
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, job: Job) -> Refusal | None:
        """A request has been read. Its tag receives the deltas."""
        self.run_due()
        refusal = self.model.offer(job, self._now_ns())
        self._announce()
        self._arm()
        return refusal

    def abort(self, job: Job) -> None:
        """The client has left."""
        self.model.abort(job)

    def run_due(self) -> None:
        """Hand out every step that is due; a late step counts its lateness but delays nothing after it."""
        for _ in range(_MOST_STEPS):
            due_ns = self.model.due_ns
            if due_ns is None or due_ns > self._now_ns():
                break
            for delta in self.model.finish_step():
                receiver: Receiver = delta.job.tag
                receiver.receive(delta)
            self.lateness.add(self._now_ns() - due_ns)  # after the last send: the truth of the slowest stream
        self._announce()
        self._arm()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _announce(self) -> None:
        for job in self.model.admitted:
            receiver: Receiver = job.tag
            receiver.admitted()
        self.model.admitted.clear()

    def _arm(self) -> None:
        due_ns = self.model.due_ns
        if self._timer is not None:
            if due_ns is not None and self._timer.when() == due_ns / NS:
                return
            self._timer.cancel()
        self._timer = None if due_ns is None else self._loop.call_at(due_ns / NS, self.run_due)
