"""The lookout: a sleeper whose own CPU does not wake it is woken from another one, and left alone otherwise."""

import ctypes
import os
import select
import time
from collections.abc import Iterator

import pytest

from harness.load.engine.alarm import Alarm
from harness.load.engine.lookout import PATIENCE_NS, Lookout

CPUS = os.sched_getaffinity(0)
GOES = 30
#: for a thread to be woken on a busy machine; a sleeper that nobody wakes sleeps three times that
SOON_NS = 1_000_000_000
_libc = ctypes.CDLL(None)

several = pytest.mark.skipif(len(CPUS) < 2, reason="one CPU: there is no other to look out from")


class Deaf(Alarm):
    """Does not go off by itself: the CPU on which it was set is gone."""

    def set(self, at_ns: int | None) -> None:
        super().set(None)
        self.at_ns = at_ns


@pytest.fixture(params=[Alarm, Deaf], ids=["there", "gone"])
def alarm(request: pytest.FixtureRequest) -> Iterator[Alarm]:
    made: Alarm = request.param()
    yield made
    made.set(None)
    made.close()


@pytest.fixture
def lookout(alarm: Alarm) -> Iterator[Lookout]:
    made = Lookout(alarm)
    made.begin()
    yield made
    made.end()
    os.sched_setaffinity(0, CPUS)


@pytest.fixture
def poll(alarm: Alarm) -> Iterator[select.epoll]:
    with select.epoll() as made:
        made.register(alarm.fd, select.EPOLLIN)
        yield made


def woken_ns(alarm: Alarm, lookout: Lookout, poll: select.epoll, due_ns: int) -> int:
    """When a loop is awake that waits as the engine does: it may be woken once too often, never too seldom."""
    while (now_ns := time.monotonic_ns()) < due_ns:
        if alarm.at_ns != due_ns or alarm.rung:
            alarm.set(due_ns)
        lookout.sleep(poll, 3 * SOON_NS / 1e9)
    return now_ns


@several
def test_a_sleeper_is_woken_wherever_its_alarm_was_set(alarm: Alarm, lookout: Lookout, poll: select.epoll) -> None:
    elsewhere = 0
    for _ in range(GOES):
        due_ns = time.monotonic_ns() + 5_000_000
        late_ns = woken_ns(alarm, lookout, poll, due_ns) - due_ns
        elsewhere += _libc.sched_getcpu() != alarm.cpu
        assert (PATIENCE_NS if isinstance(alarm, Deaf) else 0) <= late_ns < SOON_NS
    if isinstance(alarm, Deaf):
        assert elsewhere > GOES / 3, "brought over"
    time.sleep(0.2)
    assert os.sched_getaffinity(0) == CPUS, "and free again"


@several
def test_who_is_awake_is_not_moved(lookout: Lookout, alarm: Alarm) -> None:
    alarm.set(time.monotonic_ns() - 1)
    time.sleep(0.1)  # at work, as far as the lookout knows
    assert not alarm.rung and os.sched_getaffinity(0) == CPUS


@several
def test_an_alarm_that_was_rung_by_hand_is_set_again(alarm: Alarm, poll: select.epoll) -> None:
    alarm.set(time.monotonic_ns() + 60_000_000_000)
    alarm.ring()
    assert poll.poll(3) and alarm.rung
    alarm.set(alarm.at_ns)
    assert not alarm.rung and not poll.poll(0.05)


def test_a_thread_that_may_use_one_cpu_is_left_there(alarm: Alarm, poll: select.epoll) -> None:
    only = {min(CPUS)}
    os.sched_setaffinity(0, only)
    lookout = Lookout(alarm)
    lookout.begin()
    try:
        alarm.set(time.monotonic_ns() + 5_000_000)
        woken = lookout.sleep(poll, 0.2)
        assert bool(woken) is not isinstance(alarm, Deaf) and not alarm.rung
        assert os.sched_getaffinity(0) == only
    finally:
        lookout.end()
        os.sched_setaffinity(0, CPUS)


@several
def test_where_nobody_may_choose_cpus_a_sleeper_sleeps_as_ever(
    alarm: Alarm, poll: select.epoll, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def refuse(who: int, cpus: set[int]) -> None:
        asked.append(who)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    lookout = Lookout(alarm)
    alarm.set(time.monotonic_ns() + 20_000_000)
    lookout.begin()
    assert bool(lookout.sleep(poll, 0.2)) is not isinstance(alarm, Deaf)
    assert len(asked) == 1 and not alarm.rung
    assert capfd.readouterr().err == ""
