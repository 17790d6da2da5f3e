"""The dispatcher's alarm: never before its time, hardly after it, and nobody rings in vain."""

import statistics
import time
from collections.abc import Iterator

import gevent
import pytest

from loadtests.alarm import Alarm

FOR_EVER_S = 30.0


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    made = Alarm()
    yield made
    made.close()


def test_it_wakes_at_its_time(alarm: Alarm) -> None:
    late_ms = []
    for _ in range(40):
        due_ns = time.monotonic_ns() + 3_300_000
        alarm.wait(due_ns)
        late_ms.append((time.monotonic_ns() - due_ns) / 1e6)
    assert min(late_ms) >= 0
    assert statistics.quantiles(late_ms, n=4)[0] < 0.4, "a hub's own timer is 0.5 ms late on the average"


def test_a_time_that_has_passed_does_not_hold_it_up(alarm: Alarm) -> None:
    began = time.monotonic()
    alarm.wait(time.monotonic_ns() - 1_000_000_000)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("until_s", [None, FOR_EVER_S])
def test_a_ring_ends_the_wait(alarm: Alarm, until_s: float | None) -> None:
    rung = []

    def ring() -> None:
        rung.append(True)
        alarm.ring()

    gevent.spawn_later(0.05, ring)
    began = time.monotonic()
    alarm.wait(None if until_s is None else time.monotonic_ns() + round(until_s * 1e9))
    assert rung and time.monotonic() - began < FOR_EVER_S / 2


def test_a_ring_that_nobody_heard_ends_the_next_wait_and_only_that(alarm: Alarm) -> None:
    alarm.ring()
    alarm.ring()
    began = time.monotonic()
    alarm.wait(None)
    assert time.monotonic() - began < 1
    due_ns = time.monotonic_ns() + 50_000_000
    alarm.wait(due_ns)
    assert time.monotonic_ns() >= due_ns


def test_a_ring_after_the_end_rings_nobody_else() -> None:
    ended = Alarm()
    ended.close()
    other = Alarm()  # the kernel gives it the number that became free
    ended.ring()
    due_ns = time.monotonic_ns() + 50_000_000
    other.wait(due_ns)
    assert time.monotonic_ns() >= due_ns
    other.close()
