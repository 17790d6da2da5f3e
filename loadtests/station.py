"""Station: one load-making process. Takes a Plan, makes its users' calls, spools every record, ships it in batches."""

import gc
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import msgspec
from gevent.event import Event

from harness.config import read_key
from harness.load.calls import Call, Finished, Identity, Target
from harness.load.clock import now_ns, take_wall, wall_ns
from harness.load.dialects import build_call, resolve_target
from harness.load.engine import Engine
from harness.load.prompts import Prompt, make_prompt
from harness.load.scenarios import Plan
from harness.load.stages import stage_at
from harness.price.budget import Budget
from harness.records import StreamRecord, Wall, WorkerEntry, decode_record
from loadtests.shipping import BATCH_BYTES, Batch, Outbox
from loadtests.spool import Spool
from loadtests.switchboard import Switchboard

log = logging.getLogger(__name__)

#: How long the end of a run waits for the last records of cancelled calls.
LAST_RECORDS_S = 10.0


@dataclass(slots=True, kw_only=True)
class Session:
    """One run, as this process sees it."""

    plan: Plan
    began_ns: int  # on this process's monotonic clock
    key: str | None
    target: Target
    spool: Spool
    outbox: Outbox
    wall: Wall
    budget: Budget | None = None
    calls: int = 0
    not_sent: int = 0
    clocks: set[str] = field(default_factory=set)
    done: bool = False


class Refused(Exception):
    """The budget does not allow one more call."""


class Station:
    """`send` takes batches to the desk: by message from a worker, by function call in a single process."""

    def __init__(self, worker: str, index: int, send: Callable[[Batch], None], trouble: Callable[[str], None]) -> None:
        self.worker = worker
        self._index = max(index, 0)
        self._send = send
        self._trouble = trouble
        self._board: Switchboard | None = None
        self._session: Session | None = None
        self._started = Event()
        self._ready = Event()
        self._full = Event()
        self._finishing = False

    def start(self) -> None:
        """Start the engine. Locust's messages are served meanwhile, so everything must be wired before."""
        engine = Engine()
        engine.start()
        self._board = Switchboard(engine, self._engine_lost)
        self._started.set()
        gevent.spawn(self._ship_for_ever)

    def open(self, plan: Plan, elapsed_ns: int, spool: Path) -> None:
        """Begin a run that began `elapsed_ns` ago. Raises InputError where this machine lacks the key."""
        if self._session is not None and self._session.plan.run_id == plan.run_id:
            return  # told twice
        self._started.wait()
        self._session = Session(
            plan=plan,
            began_ns=now_ns() - elapsed_ns,
            key=read_key(plan.endpoint),
            target=resolve_target(plan.endpoint),
            spool=Spool(spool),
            outbox=Outbox(plan.run_id, self.worker),
            wall=take_wall(),
            budget=_budget(plan),
        )
        self._send(self._session.outbox.take(0, 0, self._entry(self._session, final=False)))
        gc.collect()
        gc.freeze()  # what exists before the first user stays: no collection looks at it again
        self._ready.set()

    @property
    def waiting(self) -> bool:
        """No run is open here."""
        return not self._ready.is_set()

    def ask(self) -> StreamRecord:
        """One user's next call, from prompt to record. Raises Refused once the budget is spent."""
        self._ready.wait()
        session = self._session
        assert session is not None
        assert self._board is not None
        prompt, call = self._next_call(session)
        if session.budget is None:
            return self._board.call(call, lambda finished: self._keep(session, call, finished))
        reservation = session.budget.reserve(_input_ceiling(prompt), session.plan.scenario.workload.max_tokens)
        if reservation is None:
            session.not_sent += 1
            raise Refused("the next call could exceed the cap")
        budget = session.budget

        def settle(finished: Finished) -> StreamRecord:
            record = self._keep(session, call, finished)
            budget.settle(reservation, record, session.wall)
            return record

        return self._board.call(call, settle)

    def finish(self) -> None:
        """End of the run on this process: the last records, then the last batch with totals. May be called twice."""
        session = self._session
        if session is None or session.done or self._finishing or self._board is None:
            return
        self._finishing = True
        try:
            if not self._board.drained(LAST_RECORDS_S):
                log.error("%d calls did not end within %.0f s", self._board.in_flight, LAST_RECORDS_S)
            session.done = True
            self._ready.clear()
            session.spool.close()
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

    def _next_call(self, session: Session) -> tuple[Prompt, Call]:
        plan, number = session.plan, session.calls
        session.calls += 1
        # Workers share the ordinals between them; the nonce keeps prompts of late joiners cold, too.
        ordinal = number * plan.workers + self._index % plan.workers
        nonce = f"{plan.run_id}.{self.worker}"
        prompt = make_prompt(plan.scenario.workload, plan.seed, ordinal, nonce, plan.ruler)
        started_ns = now_ns()
        identity = Identity(
            run_id=plan.run_id,
            request_id=f"{plan.run_id}-{self.worker}-{number}",
            worker=self.worker,
            seq=number,
            endpoint=plan.endpoint.name,
            model=plan.endpoint.model,
            scenario=plan.scenario.name,
            stage=stage_at(plan.scenario, started_ns - session.began_ns),
            started_ns=started_ns,
            prompt_id=prompt.prompt_id,
            family=prompt.family,
            cap_tokens=prompt.max_tokens,
        )
        return prompt, build_call(plan, prompt, identity, session.target, session.key)

    def _keep(self, session: Session, call: Call, finished: Finished) -> StreamRecord:
        if session.done:
            log.error("a record came after the end of its run: %s", call.identity.request_id)
        else:
            session.spool.append(finished.line)
            session.outbox.add(finished.line, _answer_line(call.identity, finished))
            if session.outbox.bytes >= BATCH_BYTES:
                self._full.set()
        record = decode_record(finished.line)
        if record.clock is not None:
            session.clocks.add(record.clock)
        return record

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
            gc_pauses=self._board.live.pauses if self._board is not None else None,
        )
        return msgspec.json.encode(entry)

    def _engine_lost(self) -> None:
        self._trouble(f"{self.worker}: the engine process died")


def _budget(plan: Plan) -> Budget | None:
    if plan.max_usd is None and plan.max_requests is None:
        return None
    return Budget(plan.max_usd, plan.max_requests, plan.endpoint.price_card, wall_ns() / 1e9)


def _input_ceiling(prompt: Prompt) -> int:
    """No tokenizer makes more tokens than bytes; 16 more a message for the chat template."""
    return sum(len(message["content"].encode()) + 16 for message in prompt.messages)


def _answer_line(identity: Identity, finished: Finished) -> bytes | None:
    if finished.answer is None:
        return None
    line = {"request_id": identity.request_id, "prompt_id": identity.prompt_id, "answer": finished.answer}
    return msgspec.json.encode(line)
