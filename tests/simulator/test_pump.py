"""The pump against a loop and a clock that the test moves."""

import asyncio
from dataclasses import dataclass, field

import pytest
from batches import MS, job, model

from harness.simulator.pump import Lateness, Pump


@dataclass
class Handle:
    at: float
    cancelled: bool = False

    def when(self):
        return self.at

    def cancel(self):
        self.cancelled = True


@dataclass
class Loop:
    """Remembers what it was asked to call."""

    calls: list = field(default_factory=list)

    def call_at(self, at, what):
        self.calls.append((Handle(at), what))
        return self.calls[-1][0]

    def pending(self):
        return [(handle.at, what) for handle, what in self.calls if not handle.cancelled]


@dataclass
class Listener:
    """The tag of a job."""

    got: list = field(default_factory=list)
    slots: int = 0

    def admitted(self):
        self.slots += 1

    def receive(self, delta):
        self.got.append(delta.end)


class Stage:
    """A pump, its loop and its clock."""

    def __init__(self, overrun_ms=5, **limits):
        self.now_ns, self.loop = 0, Loop()
        self.lateness = Lateness(overrun_ms * MS)
        loop: asyncio.AbstractEventLoop = self.loop  # type: ignore[assignment]
        self.pump = Pump(model(**limits), loop, self.lateness, lambda: self.now_ns)

    def ask(self, tokens=3):
        one = job(output_tokens=tokens)
        one.tag = Listener()
        assert self.pump.submit(one) is None
        return one

    def wake(self, late_ms=0.0):
        (at, what) = self.loop.pending()[-1]
        self.loop.calls.clear()
        self.now_ns = round(at * 1e9 + late_ms * MS)
        what()


def test_steps_are_handed_out_when_they_are_due():
    stage = Stage()
    one = stage.ask()
    assert [at for at, _ in stage.loop.pending()] == [0.010] and one.tag.slots == 1
    for expected in ([1], [1, 2], [1, 2, 3]):
        stage.wake()
        assert one.tag.got == expected
    assert stage.loop.pending() == [] and stage.lateness.summary()["overruns"] == 0


def test_a_late_step_is_counted_and_delays_nothing_after_it():
    stage = Stage()
    one = stage.ask()
    stage.wake(late_ms=7)
    assert one.tag.got == [1] and stage.loop.pending()[-1][0] == 0.020
    stage.wake(late_ms=2)
    summary = stage.lateness.summary()
    assert (summary["steps"], summary["overruns"], summary["lateness_max_s"]) == (2, 1, 0.007)


def test_after_a_long_stall_all_missed_steps_come_at_once():
    stage = Stage()
    one = stage.ask()
    stage.wake(late_ms=25)
    assert one.tag.got == [1, 2, 3] and stage.lateness.summary()["overruns"] == 2


def test_a_very_long_stall_lets_the_loop_breathe():
    stage = Stage()
    one = stage.ask(tokens=100)
    stage.wake(late_ms=500)
    assert len(one.tag.got) == 8 and len(stage.loop.pending()) == 1


def test_a_request_that_comes_after_a_due_step_joins_the_next_one():
    stage = Stage()
    first = stage.ask()
    stage.now_ns = 14 * MS  # the timer of 10 ms has not fired yet
    second = stage.ask()
    assert first.tag.got == [1] and second.arrived_ns == 14 * MS and second.admitted_ns is None
    stage.wake()
    assert second.admitted_ns == 20 * MS and second.tag.slots == 1


def test_an_abort_stops_its_deltas():
    stage = Stage()
    one = stage.ask()
    stage.wake()
    stage.pump.abort(one)
    stage.wake()
    assert one.tag.got == [1] and stage.loop.pending() == []
    stage.pump.close()


def test_lateness_quantiles_bound_what_was_seen():
    lateness = Lateness(5 * MS)
    assert lateness.quantile_s(0.5) is None and lateness.summary()["lateness_max_s"] is None
    for late_ms in range(1, 101):
        lateness.add(late_ms * MS)
    assert lateness.quantile_s(0.5) == pytest.approx(0.050, rel=0.25)
    assert lateness.quantile_s(0.99) == pytest.approx(0.099, rel=0.25)
    assert lateness.quantile_s(1.0) == 0.1 and lateness.overruns == 95
