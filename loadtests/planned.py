"""Planned: the planned calls of one process. What each asks, and, in a conversation, when its next turn is due.

The first turn of a conversation has a time of the plan. A later one is due when its user has thought: at the end of
the answer before it, plus the pause. It joins the same timetable, so it is sent, refused and late as any planned call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import gevent
from gevent.queue import SimpleQueue

from harness.errors import Outcome
from harness.load.arrivals.plans import Arrival, global_plan, share_of, source
from harness.load.arrivals.timetable import Timetable
from harness.load.arrivals.traces import TraceRow
from harness.load.calls import Finished
from harness.load.conversations import (
    Conversation,
    alone,
    begun,
    continued,
    ordinal_of,
    pause_s,
    prompt_of,
    turns_before,
)
from harness.load.prompts import Prompt
from harness.load.scenarios import Workload
from harness.records import StreamRecord
from loadtests.dispatcher import BREATH_S, Dispatcher, in_flight_cap
from loadtests.session import Session
from loadtests.switchboard import Hear, Switchboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A call that no user waits for. `hear` gets its record and its texts in the hub.

    `early`: its time has not come, so it may be asked for again; nothing is refused for good before that.
    """

    prompt: Prompt
    workload: Workload
    planned_ns: int | None = None
    early: bool = False
    hear: Hear | None = None


#: Puts a call through and waits for nothing: its ticket, or None where it was not put through.
Put = Callable[[Wish], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What one planned call asks. `number`: of the conversation that it begins; `talk`: the one that it continues."""

    ordinal: int
    workload: Workload
    number: int | None = None
    talk: Conversation | None = None


class Planned:
    """Sends from its making until `stop`. `put` must not block."""

    def __init__(self, session: Session, board: Switchboard, put: Put, trace: Sequence[TraceRow]) -> None:
        plan, timetable = session.plan, Timetable()
        if plan.scenario.arrivals.is_global:
            timetable.join(share_of(global_plan(plan.scenario, plan.seed, trace), session.index, plan.workers))
        self._session = session
        self._board = board
        self._put = put
        self._answers: SimpleQueue[tuple[Conversation, Prompt, StreamRecord, Finished] | None] = SimpleQueue()
        self._dispatcher = Dispatcher(timetable, session.began_ns, self._send, board.withdraw, self._make_ahead)
        self._listener = gevent.spawn(self._go_on)

    def join(self, name: str) -> int:
        """One more user as a source of its own; its number, for `leave`."""
        plan = self._session.plan
        return self._dispatcher.join(source(plan.scenario, plan.seed, name, self._dispatcher.elapsed_s))

    def leave(self, number: int) -> None:
        """Nothing more of that source; what it had planned by now is still sent, and its conversations go on."""
        self._dispatcher.leave(number)

    def cease(self) -> None:
        """Hand over nothing more, overdue or not."""
        self._dispatcher.cease()

    def stop(self, patience_s: float) -> int:
        """Nothing that is planned after now is sent. How many overdue calls could not be sent within `patience_s`."""
        return self._dispatcher.stop(patience_s)

    def close(self) -> int:
        """Every call has ended: turns that were due before the stop, but of which nobody knew in time."""
        self._answers.put(None)
        self._listener.join()
        return self._dispatcher.stop(0)

    def _send(self, arrival: Arrival, early: bool) -> int | None:
        """Hand a call over. Where it is refused, its conversation is over; `early`, nothing is refused.

        Each call that was handed over takes a place in the cap, so that no turn that comes in between exceeds it.
        """
        session, question = self._session, self._question(arrival, 0)
        full = self._board.open_calls >= in_flight_cap(session.plan)
        if full and early:
            return None
        made = session.ahead.pop(question.ordinal, None)
        if full:
            session.not_sent += 1
            session.broken_off += session.plan.scenario.workload.turns is not None
            return None
        prompt, talk = made or self._made(question)
        planned_ns, hear = session.began_ns + round(arrival.at_s * 1e9), self._hearing(prompt, talk)
        ticket = self._put(
            Wish(prompt=prompt, workload=question.workload, planned_ns=planned_ns, early=early, hear=hear)
        )
        if ticket is not None:
            session.conversations += talk is not None and talk.turn == 1
        elif early:
            session.ahead[question.ordinal] = (prompt, talk)
        return ticket

    def _hearing(self, prompt: Prompt, talk: Conversation | None) -> Hear:
        """An answer that its conversation can go on from is listened to."""

        def hear(record: StreamRecord, finished: Finished) -> None:
            if talk is not None and talk.turn < talk.turns:
                self._answers.put((talk, prompt, record, finished))

        return hear

    def _make_ahead(self, place: int, arrival: Arrival) -> bool:
        """Make the prompt of a planned call before its time has come; False if it is made."""
        question = self._question(arrival, place)
        if question.ordinal in self._session.ahead:
            return False
        self._session.ahead[question.ordinal] = self._made(question)
        return True

    def _question(self, arrival: Arrival, place: int) -> _Question:
        """In a global plan each arrival has its own ordinal or conversation, whoever sends it."""
        session, workload = self._session, self._session.plan.scenario.workload
        if arrival.talk is not None:
            return _Question(ordinal=ordinal_of(session.setting, arrival.talk), workload=workload, talk=arrival.talk)
        if workload.turns is not None:
            number = session.next_conversation(place) if arrival.index is None else arrival.index
            first = turns_before(workload, session.plan.seed, number)
            return _Question(ordinal=first, workload=workload, number=number)
        if arrival.output_tokens is not None:
            own = {"isl_tokens": arrival.input_tokens, "max_tokens": arrival.output_tokens, "blocks": arrival.blocks}
            workload = replace(workload, isl=None, osl=None, **own)  # type: ignore[arg-type]
        return _Question(
            ordinal=session.next_ordinal(place) if arrival.index is None else arrival.index, workload=workload
        )

    def _made(self, question: _Question) -> tuple[Prompt, Conversation | None]:
        setting, talk = self._session.setting, question.talk
        if talk is None and question.number is None:
            return alone(setting, question.ordinal, question.workload), None
        if talk is None:
            assert question.number is not None
            talk = begun(setting, question.number)
        return prompt_of(setting, talk), talk

    def _go_on(self) -> None:
        """Turns that were answered, one after the other: the next one of each is planned."""
        session = self._session
        while (answer := self._answers.get()) is not None:
            talk, prompt, record, finished = answer
            after = continued(session.setting, talk, prompt, (record, finished))
            due_s = (record.ended_ns - session.began_ns) / 1e9 + pause_s(session.setting, talk)
            if due_s < session.plan.scenario.run_time_s:  # nothing is planned behind it
                if after is not None:
                    self._dispatcher.join(iter([Arrival(due_s, talk=after)]))
                else:
                    session.broken_off += record.outcome is not Outcome.CENSORED
            gevent.sleep(BREATH_S)  # many may end at once; planned calls go first
