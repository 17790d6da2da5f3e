"""Station: one load-making process. Takes a Plan, makes its users' calls, spools every record, ships it in batches."""

import gc
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import gevent
import msgspec
from gevent.event import Event
from gevent.queue import SimpleQueue

from harness.load.arrivals.plans import first_call_s
from harness.load.arrivals.queue import Queue, part_of
from harness.load.arrivals.traces import TraceRow
from harness.load.calls import Call, Finished, Identity
from harness.load.clock import now_ns, take_wall
from harness.load.conversations import Conversation, begun, continued, pause_s, prompt_of
from harness.load.dialects import build_call
from harness.load.engine import Engine
from harness.load.machine import cpu_time, stolen_share
from harness.load.prompts import Prompt
from harness.load.scenarios import Plan, Workload
from harness.load.stages import stage_at
from harness.records import StreamRecord, WorkerEntry, decode_record
from loadtests.crowd import Crowd
from loadtests.dispatcher import BREATH_S, in_flight_cap, trace_of
from loadtests.feeder import Feeder
from loadtests.planned import Planned, Wish
from loadtests.session import Session, open_session
from loadtests.shipping import BATCH_BYTES, Batch
from loadtests.switchboard import EngineLost, Hear, Keep, Switchboard

log = logging.getLogger(__name__)

#: How long the end of a run waits for the last records of cancelled calls.
LAST_RECORDS_S = 10.0
_REFUSAL = "the next call could exceed the cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """Where a station's news go. `send` takes batches to the desk, `report` ended calls of an open loop to Locust."""

    send: Callable[[Batch], None]
    trouble: Callable[[str], None]
    report: Callable[[StreamRecord], None]


@dataclass(frozen=True, slots=True)
class Answered:
    """One turn of a closed loop. `talk`: the conversation as it goes on, None: it is over; `pause_s`: until then."""

    record: StreamRecord
    talk: Conversation | None
    pause_s: float


class Refused(Exception):
    """The budget does not allow one more call."""


class Station:
    """Batches reach the desk by message from a worker, by function call in a single process."""

    def __init__(self, worker: str, index: int, wires: Wires) -> None:
        self.worker = worker
        self._index = max(index, 0)
        self._wires = wires
        self._send = wires.send
        self._users = 0
        self._board: Switchboard | None = None
        self._session: Session | None = None
        self._started = Event()
        self._ready = Event()
        self._full = Event()
        self._ended: SimpleQueue[StreamRecord] = SimpleQueue()
        self._finishing = False
        self.sender: Planned | Feeder | None = None  # who sends what no user asks for

    def start(self) -> None:
        """Start the engine. Locust's messages are served meanwhile, so everything must be wired before."""
        engine = Engine()
        engine.start()
        self._board = Switchboard(engine, self._engine_lost)
        self._started.set()
        gevent.spawn(self._ship_for_ever)
        gevent.spawn(self._report_for_ever)

    def open(self, plan: Plan, began_ns: int, spool: Path) -> None:
        """Begin a run whose start is `began_ns` of our monotonic clock. InputError where this machine lacks the key."""
        if self._session is not None and self._session.plan.run_id == plan.run_id:
            return  # told twice
        self._started.wait()
        trace = trace_of(plan.scenario.arrivals)
        self._users, self.sender = 0, None
        self._session = open_session(plan, began_ns, spool, self.worker, self._index)
        self._send(self._session.outbox.take(0, 0, self._entry(self._session, final=False)))
        gc.collect()
        gc.freeze()  # what exists before the first user stays: no collection looks at it again
        self.sender = self._sender_of(self._session, trace)
        self._ready.set()

    @property
    def waiting(self) -> bool:
        """No run is open here."""
        return not self._ready.is_set()

    def take_part(self) -> Plan:
        """The plan of the run that a user now belongs to; waits for one."""
        self._ready.wait()
        assert self._session is not None
        return self._session.plan

    def join_source(self) -> Callable[[], None]:
        """A user of an open loop joins as a source of its own, where arrivals are that; returns how it leaves."""
        session, sender = self._session, self.sender
        assert session is not None
        if session.plan.scenario.arrivals.is_global or not isinstance(sender, Planned):
            return lambda: None
        self._users += 1
        number = sender.join(f"{self.worker}.{self._users}")
        return lambda: sender.leave(number)

    def until_first_call_s(self) -> float:
        """How long the next new user of a closed loop still waits, so that users do not march in step."""
        session = self._session
        assert session is not None
        user = self._users * session.plan.workers + self._index % session.plan.workers
        self._users += 1
        return first_call_s(session.plan.scenario, user) - (now_ns() - session.began_ns) / 1e9

    def ask(self, talk: Conversation | None) -> Answered:
        """One user's next turn, from prompt to record; None begins a conversation. Raises Refused (budget spent)."""
        self._ready.wait()
        session = self._session
        assert session is not None
        assert self._board is not None
        if talk is None:
            talk = begun(session.setting, session.next_conversation())
            session.conversations += 1
        prompt = prompt_of(session.setting, talk)
        reservation = self._reserve(session, prompt)
        if reservation is None:
            session.not_sent += 1
            raise Refused(_REFUSAL)
        call = self._call(session, prompt, session.plan.scenario.workload)
        heard: list[Finished] = []
        keep = _heard(self._keeping(session, call, reservation), lambda _, finished: heard.append(finished))
        record = self._board.call(call, keep)
        after = continued(session.setting, talk, prompt, (record, heard[0]))
        return Answered(record, after, pause_s(session.setting, talk))

    def finish(self, patience_s: float) -> None:
        """End of the run on this process: the last records, then the last batch with totals. May be called twice.

        Open calls of an open loop belong to no user: they may take `patience_s` to end, then they are cut off.
        """
        session = self._session
        if session is None or session.done or self._finishing or self._board is None:
            return
        self._finishing = True
        try:
            if self.sender is not None:
                session.not_sent += self.sender.stop(patience_s)
                if not self._board.drained(patience_s):
                    self._board.cancel_all()
            if not self._board.drained(LAST_RECORDS_S):
                log.error("%d calls did not end within %.0f s", self._board.in_flight, LAST_RECORDS_S)
            if isinstance(self.sender, Planned):
                session.not_sent += self.sender.close()
            while not self._ended.empty():
                gevent.sleep(0)  # Locust hears of every call before it is told that the run is over
            session.done = True
            self._ready.clear()
            session.spool.close()
            if session.awake is not None:
                session.awake.close()
            self._send(session.outbox.take(0, 0, self._entry(session, final=True)))
        finally:
            self._finishing = False

    def forget_spool(self, run_id: str) -> None:
        """The desk holds every line of that run: our copy may go."""
        if self._session is not None and self._session.plan.run_id == run_id and self._session.done:
            self._session.spool.discard()

    def close(self) -> None:
        """End the engine."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _sender_of(self, session: Session, trace: Sequence[TraceRow]) -> Planned | Feeder | None:
        arrivals, board = session.plan.scenario.arrivals, self._board
        assert board is not None
        if arrivals.users_ask:
            return None
        put = partial(self._put, session)
        return Planned(session, board, put, trace) if arrivals.open_loop else self._feeder(session, board)

    def _feeder(self, session: Session, board: Switchboard) -> Feeder:
        plan = session.plan
        ahead = part_of(plan.scenario.arrivals.ahead or 1, self._index, plan.workers)

        crowd = Crowd(session)

        def send() -> None:
            asked = crowd.ask(now_ns())

            def hear(record: StreamRecord, finished: Finished) -> None:
                crowd.hear(asked, record, finished)
                feeder.ended(record)

            self._put(session, Wish(prompt=asked.prompt, workload=plan.scenario.workload, hear=hear))

        feeder = Feeder(Queue(ahead, in_flight_cap(plan)), board, session.began_ns, send)
        return feeder

    def _put(self, session: Session, wish: Wish) -> int | None:
        """Put a call through: its ticket. Where no more are allowed or possible, their sender ceases.

        Early, None only says that the budget does not allow it yet: what is under way may cost less than was set aside.
        """
        assert self._board is not None and self.sender is not None
        reservation = self._reserve(session, wish.prompt)
        if reservation is None:
            if not wish.early:
                session.not_sent += 1
                self.sender.cease()
                self._wires.trouble(f"stopped by its cap: {_REFUSAL}")
            return None
        call = self._call(session, wish.prompt, wish.workload, wish.planned_ns)
        keep = _heard(self._keeping(session, call, reservation), wish.hear)
        try:
            return self._board.put(call, keep, self._ended.put, partial(_give_back, session, reservation))
        except EngineLost:  # the board has told the desk
            self.sender.cease()
            return None

    def _call(self, session: Session, prompt: Prompt, workload: Workload, planned_ns: int | None = None) -> Call:
        plan, number = session.plan, session.calls
        session.calls += 1
        started_ns = max(now_ns(), planned_ns or 0)
        counted_ns = started_ns if planned_ns is None else planned_ns  # late or not, it belongs where it was planned
        identity = Identity(
            run_id=plan.run_id,
            request_id=f"{plan.run_id}-{self.worker}-{number}",
            worker=self.worker,
            seq=number,
            endpoint=plan.endpoint.name,
            model=plan.endpoint.model,
            scenario=plan.scenario.name,
            stage=stage_at(plan.scenario, counted_ns - session.began_ns),
            started_ns=started_ns,
            planned_ns=planned_ns,
            prompt_id=prompt.prompt_id,
            family=prompt.family,
            cap_tokens=prompt.max_tokens,
            conversation=prompt.conversation,
            turn=prompt.turn,
        )
        if workload is not plan.scenario.workload:
            plan = replace(plan, scenario=replace(plan.scenario, workload=workload))
        return build_call(plan, prompt, identity, session.target, session.key)

    def _reserve(self, session: Session, prompt: Prompt) -> int | None:
        """Set aside what a call may cost: the reservation, None where that could exceed the cap. 0: there is no cap."""
        if session.budget is None:
            return 0
        return session.budget.reserve(_input_ceiling(prompt), prompt.max_tokens or 0)

    def _keeping(self, session: Session, call: Call, reservation: int) -> Keep:
        """What becomes of the call once it has ended."""

        def keep(finished: Finished) -> StreamRecord:
            record = self._keep(session, call, finished)
            if session.budget is not None:
                session.budget.settle(reservation, record, session.wall)
            return record

        return keep

    def _keep(self, session: Session, call: Call, finished: Finished) -> StreamRecord:
        if session.done:
            log.error("a record came after the end of its run: %s", call.identity.request_id)
        else:
            session.spool.append(finished.line)
            session.outbox.add(finished.line, _answer_line(call, finished) if session.plan.keep_answers else None)
            if session.outbox.bytes >= BATCH_BYTES:
                self._full.set()
        record = decode_record(finished.line)
        if record.clock is not None:
            session.clocks.add(record.clock)
        return record

    def _report_for_ever(self) -> None:
        while True:
            self._wires.report(self._ended.get())
            gevent.sleep(BREATH_S)  # many may end at once; planned calls go first

    def _ship_for_ever(self) -> None:
        while True:
            self._full.wait(1.0)
            self._full.clear()
            session = self._session
            if session is not None and not session.done and self._board is not None:
                live = self._board.live
                self._send(session.outbox.take(self._board.in_flight, live.awaiting_first))

    def _entry(self, session: Session, *, final: bool) -> bytes:
        clock = next(iter(session.clocks)) if len(session.clocks) == 1 else None
        entry = WorkerEntry(
            wall=session.wall,
            wall_end=take_wall() if final else None,
            host=socket.gethostname(),
            pid=os.getpid(),
            clock=clock,  # type: ignore[arg-type]
            records=session.spool.lines if final else None,
            final=final,
            engine_lost=self._board is not None and self._board.lost,
            not_sent=session.not_sent,
            broken_off=session.broken_off,
            gc_pauses=self._board.live.pauses if self._board is not None else None,
            hot_path=self._board.hot_path if self._board is not None else None,
            tap=self._board.tap if self._board is not None else None,
            queue=self.sender.entry if isinstance(self.sender, Feeder) else None,
            stolen_share=stolen_share(session.cpu_time, cpu_time()),
        )
        return msgspec.json.encode(entry)

    def _engine_lost(self) -> None:
        self._wires.trouble(f"{self.worker}: the engine process died")


def _give_back(session: Session, reservation: int) -> None:
    """The call was withdrawn: nothing was asked."""
    if session.budget is not None:
        session.budget.release(reservation)


def _heard(keep: Keep, hear: Hear | None) -> Keep:
    """The same, and somebody else hears of the record and its texts."""
    if hear is None:
        return keep

    def kept(finished: Finished) -> StreamRecord:
        record = keep(finished)
        hear(record, finished)
        return record

    return kept


def _input_ceiling(prompt: Prompt) -> int:
    """No tokenizer makes more tokens than bytes; 16 more a message for the chat template."""
    return sum(16 + sum(len(text.encode()) for text in message.values()) for message in prompt.messages)


def _answer_line(call: Call, finished: Finished) -> bytes | None:
    """An answer that was not allowed to end has nothing to check: it is kept without the name of its problem."""
    if finished.answer is None:
        return None
    prompt_id = None if call.fixed_length else call.identity.prompt_id
    line = {"request_id": call.identity.request_id, "prompt_id": prompt_id, "answer": finished.answer}
    return msgspec.json.encode(line)
