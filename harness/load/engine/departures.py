"""Departures: calls that were handed in before their time. Each is taken up when that has come, woken by the kernel."""

import heapq
from collections.abc import Iterator

from msgspec.structs import replace

from harness.load.engine.alarm import Alarm
from harness.load.engine.channel import Submission
from harness.load.engine.exchange import Exchange

#: Of a call that has no time of its own: due before all others.
_AT_ONCE = 0


class Departures:
    """Calls by the time at which they leave; those of one moment in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[int, Submission] = {}
        self._times: list[tuple[int, int]] = []  # due, ticket; of a call that was recalled it stays until then
        self.alarm = Alarm()  # rings while a call is due

    def add(self, submission: Submission) -> None:
        """One more call; look for what is `due` at once."""
        self._waiting[submission.ticket] = submission
        heapq.heappush(self._times, (submission.call.send_ns or _AT_ONCE, submission.ticket))

    def due(self, now_ns: int) -> Iterator[Exchange]:
        """Calls whose time has come: they begin now. Afterwards the kernel's timer is set to the next one."""
        while self._times and self._times[0][0] <= now_ns:
            _, ticket = heapq.heappop(self._times)
            if submission := self._waiting.pop(ticket, None):
                yield _taken_up(submission, now_ns)
        next_ns = self._times[0][0] if self._times else None
        if next_ns != self.alarm.at_ns or self.alarm.rung:
            self.alarm.set(next_ns)

    def recall(self, ticket: int, now_ns: int) -> Exchange | None:
        """A call whose time has not come, out of the list. It never began: its start is as it was handed in."""
        submission = self._waiting.pop(ticket, None)
        return None if submission is None else Exchange(ticket, submission.call, now_ns)


def _taken_up(submission: Submission, now_ns: int) -> Exchange:
    """What kept its time here started here: who handed it in could not know when that would be."""
    call = submission.call
    if call.send_ns is not None:
        call = replace(call, identity=replace(call.identity, started_ns=now_ns))
    return Exchange(submission.ticket, call, now_ns)
