"""VirtualEdge: a batch model and a load in virtual time -> the truth and a perfect client's record of each request.

Nothing waits and nothing is sent: an hour of traffic takes as long as its arithmetic. The client is one without
lag, network or clock error, so that a statistic computed from its records can be set against the model itself.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.errors import Outcome
from harness.records import ClientLag, Stage, StreamRecord, encode_offsets
from harness.simulator.model import BatchModel, Delta, Job
from harness.simulator.prefix import prompt_blocks
from harness.simulator.texts import TOKEN_CHARS, Author, Script, Wish, render_prompt, tokens_in
from harness.simulator.truth import TruthEntry

_NO_LAG = ClientLag(mean=0.0, p99=0.0, max=0)


class Exchange(NamedTuple):
    """One request from both sides."""

    truth: TruthEntry
    record: StreamRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The fields of a record that a simulation cannot know."""

    run_id: str = "virtual"
    worker: str = "virtual"
    endpoint: str = "virtual"
    model: str = "virtual"
    scenario: str = "virtual"
    measure_begin_ns: int = 0
    measure_end_ns: int | None = None

    def stage(self, started_ns: int) -> Stage:
        """Stage of a request that starts at that time."""
        if started_ns < self.measure_begin_ns:
            return "warmup"
        return "drain" if self.measure_end_ns is not None and started_ns >= self.measure_end_ns else "measure"


@dataclass(slots=True, eq=False, kw_only=True)
class _Talk:
    """One request under way."""

    number: int
    wish: Wish
    script: Script
    job: Job
    planned_ns: int | None
    user: int | None
    delta_ns: list[int] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


class VirtualEdge:
    """Runs one load; make a new one (with a new model) for the next."""

    def __init__(
        self, model: BatchModel, author: Author, question: Callable[[int], Wish], names: Names | None = None
    ) -> None:
        self._model = model
        self._author = author
        self._question = question
        self._names = names or Names()
        self._talks: dict[int, _Talk] = {}
        self._count = 0

    def closed_loop(self, users: int, end_ns: int, *, pause_ns: int = 0) -> Iterator[Exchange]:
        """`users` users from time 0, each asking again `pause_ns` after its answer; ends with censored requests."""
        ready = [(0, user) for user in range(users)]
        while True:
            ready_ns = ready[0][0] if ready else None
            now_ns = self._next_ns(ready_ns)
            if now_ns is None or now_ns >= end_ns:
                break
            if now_ns == self._model.due_ns:
                for talk in self._step(now_ns):
                    heapq.heappush(ready, (now_ns + pause_ns, talk.user or 0))
                    yield self._exchange(talk, now_ns)
            else:
                _, user = heapq.heappop(ready)
                self._ask(now_ns, None, user)
        yield from self._censor(end_ns)

    def open_loop(self, arrivals_ns: Iterable[int], end_ns: int | None = None) -> Iterator[Exchange]:
        """Requests at given times, ascending; without `end_ns` until the last one is answered."""
        coming = iter(arrivals_ns)
        arrival_ns = next(coming, None)
        while True:
            now_ns = self._next_ns(arrival_ns)
            if now_ns is None or (end_ns is not None and now_ns >= end_ns):
                break
            if now_ns == self._model.due_ns:
                for talk in self._step(now_ns):
                    yield self._exchange(talk, now_ns)
            else:
                self._ask(now_ns, now_ns, None)
                arrival_ns = next(coming, None)
        if end_ns is not None:
            yield from self._censor(end_ns)

    def _next_ns(self, arrival_ns: int | None) -> int | None:
        """The next event; a step that ends when a request arrives comes first, as at the real edge."""
        due_ns = self._model.due_ns
        if due_ns is None or arrival_ns is None:
            return arrival_ns if due_ns is None else due_ns
        return min(due_ns, arrival_ns)

    def _ask(self, now_ns: int, planned_ns: int | None, user: int | None) -> None:
        number = self._count
        self._count += 1
        wish = self._question(number)
        prompt = render_prompt(wish.messages)
        script = self._author.write(wish, prompt)
        block_chars = self._model.limits.block_tokens * TOKEN_CHARS
        job = Job(
            input_tokens=tokens_in(prompt), output_tokens=script.tokens, blocks=prompt_blocks(prompt, block_chars)
        )
        job.tag = talk = _Talk(number=number, wish=wish, script=script, job=job, planned_ns=planned_ns, user=user)
        self._talks[number] = talk
        if self._model.offer(job, now_ns) is not None:
            raise ValueError(f"request {number} does not fit: a virtual load must not be refused")
        self._model.admitted.clear()

    def _step(self, now_ns: int) -> list[_Talk]:
        """End a step; the talks that ended with it."""
        ended = []
        for delta in self._model.finish_step():
            talk: _Talk = delta.job.tag
            _note(talk, delta, now_ns)
            if delta.last:
                del self._talks[talk.number]
                ended.append(talk)
        self._model.admitted.clear()
        return ended

    def _censor(self, end_ns: int) -> Iterator[Exchange]:
        for talk in list(self._talks.values()):
            self._model.abort(talk.job)
            yield self._exchange(talk, end_ns)
        self._talks.clear()

    def _exchange(self, talk: _Talk, ended_ns: int) -> Exchange:
        job, script = talk.job, talk.script
        whole = job.state == "done"
        finish = script.finish_reason if whole and script.fault is None else None
        truth = TruthEntry(
            request_id=f"{self._names.run_id}-{talk.number}",
            arrived_ns=job.arrived_ns,
            status=200,
            delta_ns=talk.delta_ns,
            delta_phase="".join(talk.phases),
            delta_tokens=talk.tokens,
            input_tokens=job.input_tokens,
            cached_tokens=job.cached_tokens,
            reasoning_tokens=min(job.sent, script.thought_tokens),
            output_tokens=job.sent,
            ended_ns=ended_ns,
            aborted=not whole,
            admitted_ns=job.admitted_ns,
            finish_reason=finish,
            fault=script.fault if whole else None,
            preemptions=job.preemptions,
        )
        return Exchange(truth, self._record(talk, truth))

    def _record(self, talk: _Talk, truth: TruthEntry) -> StreamRecord:
        names, phases, sent_ns = self._names, truth.delta_phase, truth.arrived_ns
        told = truth.finish_reason is not None  # usage comes at the end: a stream that broke off has none
        return StreamRecord(
            run_id=names.run_id,
            request_id=truth.request_id,
            worker=names.worker,
            seq=talk.number,
            endpoint=names.endpoint,
            model=names.model,
            response_model=names.model,
            scenario=names.scenario,
            stage=names.stage(sent_ns),
            planned_ns=talk.planned_ns,
            started_ns=sent_ns,
            sent_first_ns=sent_ns,
            sent_last_ns=sent_ns,
            headers_ns=sent_ns,
            first_reasoning_ns=_first(truth, "r"),
            first_answer_ns=_first(truth, "a"),
            last_delta_ns=truth.delta_ns[-1] if truth.delta_ns else None,
            ended_ns=truth.ended_ns,
            outcome=_outcome(truth),
            status=200,
            finish_reason=truth.finish_reason,
            done_seen=told,
            input_tokens=truth.input_tokens if told else None,
            cached_tokens=truth.cached_tokens if told else None,
            reasoning_tokens=truth.reasoning_tokens if told else None,
            answer_tokens=truth.output_tokens - truth.reasoning_tokens if told else None,
            output_tokens=truth.output_tokens if told else None,
            token_source="usage" if told else None,
            cap_tokens=talk.wish.cap_tokens,
            connection="reused",
            clock="kernel",
            client_lag_ns=_NO_LAG,
            reads=len(set(truth.delta_ns)),
            deltas=len(truth.delta_ns),
            shared_reads=len(truth.delta_ns) - len(set(truth.delta_ns)),
            delta_offsets=encode_offsets([(at_ns - sent_ns) // 1000 for at_ns in truth.delta_ns]),
            delta_phase=phases,
        )


def plain_questions(messages_of: Callable[[int], str], cap_tokens: int | None = None) -> Callable[[int], Wish]:
    """Questions that are one user message each."""

    def question(number: int) -> Wish:
        messages: Sequence[Mapping[str, str]] = ({"role": "user", "content": messages_of(number)},)
        return Wish(messages=messages, cap_tokens=cap_tokens)

    return question


def _note(talk: _Talk, delta: Delta, now_ns: int) -> None:
    for phase, tokens in talk.script.phases(delta.begin, delta.end):
        talk.delta_ns.append(now_ns)
        talk.phases.append(phase)
        talk.tokens.append(tokens)


def _first(truth: TruthEntry, phase: str) -> int | None:
    at = truth.delta_phase.find(phase)
    return None if at < 0 else truth.delta_ns[at]


def _outcome(truth: TruthEntry) -> Outcome:
    if truth.aborted:
        return Outcome.CENSORED
    if truth.fault == "cut":
        return Outcome.CUT
    if truth.fault is not None:
        return Outcome.STREAM_ERROR
    if truth.finish_reason == "length":
        return Outcome.TRUNCATED if "a" in truth.delta_phase else Outcome.CUT_IN_THOUGHT
    return Outcome.OK
