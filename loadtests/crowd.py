"""Crowd: who asks next in front of a queue. Ended turns in, the next thing that somebody asks out.

A free place goes to the conversation whose user has been ready for longest, and to a new one where nobody is ready. So
whoever began goes on as soon as the queue lets them, and of r requests/s r / mean turns begin a conversation, as they
would behind a counter. Who thinks holds no place in the queue.

Where a workload has no `turns`, every call stands alone.
"""

from dataclasses import dataclass
from heapq import heappop, heappush

from harness.errors import Outcome
from harness.load.calls import Finished
from harness.load.conversations import Conversation, alone, begun, continued, pause_s, prompt_of
from harness.load.prompts import Prompt
from harness.records import StreamRecord
from loadtests.session import Session


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked next. `talk`: the conversation that asks it, before it did."""

    prompt: Prompt
    talk: Conversation | None = None


#: When its user has thought, on the monotonic clock, ns; the place of its record, so that no two are equal; the turn.
_Answered = tuple[int, int, Asked, StreamRecord, Finished]


class Crowd:
    """Of one process. An answer is only read when its user's time has come: to hear of one costs next to nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._thinking: list[_Answered] = []

    def ask(self, at_ns: int) -> Asked:
        """What is asked at that time. Once per call that is put through."""
        session = self._session
        if session.plan.scenario.workload.turns is None:
            return Asked(alone(session.setting, session.next_ordinal(), session.plan.scenario.workload))
        talk = self._ready(at_ns)
        if talk is None:
            talk = begun(session.setting, session.next_conversation())
            session.conversations += 1
        return Asked(prompt_of(session.setting, talk), talk)

    def hear(self, asked: Asked, record: StreamRecord, finished: Finished) -> None:
        """It was answered, or has failed."""
        talk = asked.talk
        if talk is not None and talk.turn < talk.turns:
            due_ns = record.ended_ns + round(pause_s(self._session.setting, talk) * 1e9)
            heappush(self._thinking, (due_ns, record.seq, asked, record, finished))

    def _ready(self, at_ns: int) -> Conversation | None:
        """The conversation that waits for longest; those without an answer to go on from have ended."""
        session = self._session
        while self._thinking and self._thinking[0][0] <= at_ns:
            _, _, asked, record, finished = heappop(self._thinking)
            assert asked.talk is not None
            if after := continued(session.setting, asked.talk, asked.prompt, (record, finished)):
                return after
            session.broken_off += record.outcome is not Outcome.CENSORED
        return None
