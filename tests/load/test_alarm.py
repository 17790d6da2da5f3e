"""The engine's alarm: never before its time, hardly after it, and silent where nobody set it."""

import select
import statistics
import time
from collections.abc import Iterator

import pytest

from harness.load.engine.alarm import Alarm


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    made = Alarm()
    yield made
    made.close()


def rung(alarm: Alarm, within_s: float) -> bool:
    with select.epoll() as poll:
        poll.register(alarm.fd, select.EPOLLIN)
        return bool(poll.poll(within_s))


def test_it_rings_at_its_time(alarm: Alarm) -> None:
    late_ms = []
    for _ in range(40):
        due_ns = time.monotonic_ns() + 3_300_000
        alarm.set(due_ns)
        assert rung(alarm, 30)
        late_ms.append((time.monotonic_ns() - due_ns) / 1e6)
    assert min(late_ms) >= 0
    assert statistics.quantiles(late_ms, n=4)[0] < 0.4, "a poll's own timeout is 0.5 ms late on the average"


@pytest.mark.parametrize("at_ns", [-5, 0, 1, 1_000_000_000])
def test_a_time_that_has_passed_rings_at_once(alarm: Alarm, at_ns: int) -> None:
    alarm.set(at_ns)
    assert rung(alarm, 30)


def test_it_goes_on_ringing_until_it_is_set_again(alarm: Alarm) -> None:
    assert not rung(alarm, 0.01), "nobody set it"
    alarm.set(1)
    assert rung(alarm, 30) and rung(alarm, 0)
    alarm.set(time.monotonic_ns() + 60_000_000_000)
    assert not rung(alarm, 0.01)
    alarm.set(1)
    alarm.set(None)
    assert not rung(alarm, 0.01)
