"""ScenarioUser: what a scenario's arrivals make of a Locust user. One call = one Locust `request` event.

Closed loop: a user holds one conversation after another: it asks, waits for the whole answer, thinks, asks again. Open
loop: a user sends nothing itself. Under Poisson arrivals it is a source of its own, whose calls the dispatcher hands to
the engine from the moment it joins until it leaves, so that users x rate hold while users come and go; a global plan
(constant, gamma, trace) was made for all users together, and a queue (queued) is kept for all of them. With turns, what
is planned are beginnings of conversations (planned.py), and in front of a queue people take turns (crowd.py).
"""

from typing import Any

import gevent
from gevent.event import Event
from locust import User, task
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_STOPPING

from harness.errors import FAILED, Outcome
from harness.load.conversations import Conversation
from harness.load.figures import e2e_ms, error_text, ttfat_ms, ttft_ms
from harness.records import StreamRecord
from loadtests.station import Refused, Station
from loadtests.switchboard import EngineLost

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
#: Never set: a source waits until it is stopped.
FOREVER = Event()


class RequestFailed(Exception):
    """What Locust's failure table shows for a record that failed."""


class ScenarioUser(User):
    """Asks for itself in a closed loop, is a source of planned calls in an open one."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._talk: Conversation | None = None
        self._think_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._asked = False
        self._is_source = False

    def wait_time(self) -> float:
        """The user's think time. It is Locust's own wait, so that a user who thinks leaves at once when stopped."""
        return self._think_s

    def stop(self, force: bool = False) -> bool:
        """Two stops can overlap (the run time's end, a signal): one that is stopping already is only waited for.

        A source has nothing to finish: it leaves at once, and the station brings in what it had sent.
        """
        if self._state == LOCUST_STATE_STOPPING and not force:
            return False
        return bool(super().stop(force or self._is_source))

    @task
    def take_part(self) -> None:
        """One call of a closed loop; in an open loop, all of the user's life."""
        station = station_of(self.environment)
        plan = station.take_part()
        if not plan.scenario.arrivals.users_ask:
            self._be_a_source(station)
            return
        if not self._asked:
            self._asked = True
            gevent.sleep(max(station.until_first_call_s(), 0))
        self._ask(station)

    def _be_a_source(self, station: Station) -> None:
        self._is_source = True
        leave = station.join_source()
        try:
            FOREVER.wait()
        finally:
            leave()

    def _ask(self, station: Station) -> None:
        """A dead or refusing target is asked again after a growing pause, never in a spin."""
        try:
            answered = station.ask(self._talk)
        except Refused as refusal:
            self.environment.trueyield_trouble(f"stopped by its cap: {refusal}")
            raise StopUser from refusal
        except EngineLost as loss:  # the station has told the desk
            raise StopUser from loss
        self._talk, self._think_s = answered.talk, answered.pause_s
        report(self.environment, answered.record)
        if answered.record.outcome in FAILED:
            gevent.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        else:
            self._pause_s = FIRST_PAUSE_S


def station_of(environment: Any) -> Station:
    """This process's station. A worker can be told to spawn while it is still being wired."""
    while not hasattr(environment, "trueyield_station"):
        gevent.sleep(0.05)
    station: Station = environment.trueyield_station
    return station


def report(environment: Any, record: StreamRecord) -> None:
    """Tell Locust of one ended call: one event, and two rows of its table beside it (never fake requests)."""
    name = record.family or record.scenario
    environment.events.request.fire(
        request_type="chat",
        name=name,
        response_time=e2e_ms(record),
        response_length=record.output_tokens or 0,
        exception=RequestFailed(error_text(record)) if record.outcome in FAILED else None,
        context={"record": record},
    )
    for row, milliseconds in (("TTFT", ttft_ms(record)), ("TTFAT", ttfat_ms(record))):
        if milliseconds is not None and record.outcome is not Outcome.ENGINE_LOST:
            environment.stats.entries[(name, row)].log(milliseconds, 0)
