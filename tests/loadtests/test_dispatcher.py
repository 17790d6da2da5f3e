"""The dispatcher alone: what it hands over when, what it asks for again, and what it takes back."""

import time

import gevent
import pytest

from harness.load.arrivals.plans import Arrival
from harness.load.arrivals.timetable import Timetable
from loadtests.dispatcher import Dispatcher

#: Longer than a machine that runs tests stands still.
LEAD_S = 1.0
FAR_S = 3600.0


class Clerk:
    """Gives each call that it is offered the next ticket; early ones only where it may."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, bool]] = []
        self.withdrawn: list[int] = []
        self.says_early = True
        self.asked = 0

    def send(self, arrival: Arrival, early: bool) -> int | None:
        self.asked += 1
        if early and not self.says_early:
            return None
        self.sent.append((arrival.at_s, early))
        return len(self.sent)

    def dispatcher(self, *times_s: float) -> Dispatcher:
        """Begins now."""
        timetable = Timetable()
        timetable.join(iter([Arrival(at_s, index) for index, at_s in enumerate(times_s)]))
        return Dispatcher(timetable, time.monotonic_ns(), self.send, self.withdrawn.append, lambda *_: False)


@pytest.fixture
def clerk(monkeypatch: pytest.MonkeyPatch) -> Clerk:
    monkeypatch.setattr("loadtests.dispatcher.LEAD_S", LEAD_S)
    return Clerk()


def until(condition: object, limit_s: float = 20) -> None:
    stop = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < stop
        gevent.sleep(0.002)


def test_calls_are_handed_over_in_order_before_their_time(clerk: Clerk) -> None:
    times_s = [LEAD_S + 0.1, LEAD_S + 0.15, LEAD_S + 0.2]
    dispatcher = clerk.dispatcher(*times_s, FAR_S)
    until(lambda: clerk.sent)
    assert 0.1 <= dispatcher.elapsed_s < LEAD_S + 0.1
    until(lambda: len(clerk.sent) == 3)
    assert clerk.sent == [(at_s, True) for at_s in times_s]
    assert dispatcher.stop(1) == 0 and len(clerk.sent) == 3


def test_what_is_overdue_goes_at_once_and_is_decided_for_good(clerk: Clerk) -> None:
    dispatcher = clerk.dispatcher(FAR_S)
    gevent.sleep(0.02)
    dispatcher.join(iter([Arrival(0.01)]))
    until(lambda: clerk.sent)
    assert clerk.sent == [(0.01, False)]
    dispatcher.stop(1)


def test_what_cannot_be_said_early_is_asked_for_again_at_its_time_and_not_before(clerk: Clerk) -> None:
    clerk.says_early = False
    dispatcher = clerk.dispatcher(LEAD_S + 0.1, LEAD_S + 0.15)
    until(lambda: clerk.asked == 1)
    assert not clerk.sent and dispatcher.elapsed_s < LEAD_S + 0.1
    until(lambda: clerk.sent)
    assert dispatcher.elapsed_s >= LEAD_S + 0.1 and clerk.sent == [(LEAD_S + 0.1, False)]
    clerk.says_early = True
    until(lambda: len(clerk.sent) == 2)
    dispatcher.stop(1)


def test_a_stop_takes_back_what_is_planned_after_it_and_sends_what_is_overdue(clerk: Clerk) -> None:
    dispatcher = clerk.dispatcher(0.0, 0.01, LEAD_S, LEAD_S + 0.02, FAR_S)
    until(lambda: len(clerk.sent) == 4)
    dispatcher.join(iter([Arrival(0.015)]))
    assert dispatcher.stop(1) == 0
    assert clerk.sent[4:] == [(0.015, False)]
    assert clerk.withdrawn == [3, 4]
    assert dispatcher.join(iter([Arrival(0.016), Arrival(FAR_S)])) and dispatcher.stop(0) == 1


def test_who_leaves_takes_its_own_calls_back_and_no_others(clerk: Clerk) -> None:
    dispatcher = clerk.dispatcher(FAR_S)
    gevent.sleep(0.01)
    soon_s = dispatcher.elapsed_s + LEAD_S - 0.01
    leaver = dispatcher.join(iter([Arrival(soon_s), Arrival(soon_s + 0.004), Arrival(FAR_S)]))
    dispatcher.join(iter([Arrival(soon_s + 0.002)]))
    until(lambda: len(clerk.sent) == 3)
    dispatcher.leave(leaver)
    assert [clerk.sent[ticket - 1][0] for ticket in clerk.withdrawn] == [soon_s, soon_s + 0.004]
    gevent.sleep(LEAD_S)
    dispatcher.leave(leaver)
    assert len(clerk.withdrawn) == 2, "their time has passed"
    dispatcher.stop(1)


def test_who_ceases_takes_nothing_back(clerk: Clerk) -> None:
    dispatcher = clerk.dispatcher(LEAD_S, FAR_S)
    until(lambda: clerk.sent)
    dispatcher.cease()
    gevent.sleep(0.02)
    assert not clerk.withdrawn
    dispatcher.join(iter([Arrival(0.0)]))
    assert dispatcher.stop(0.1) == 1, "overdue, and sent no more"
