"""Stream: one open request at the edge; deltas of the model in, stamped bytes on a transport and a truth entry out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from harness.simulator.model import NS, Delta, Job
from harness.simulator.replies import KEEP_ALIVE, Counted, Reply
from harness.simulator.texts import Script
from harness.simulator.truth import TruthEntry


class Transport(Protocol):
    """The part of asyncio's transport that a stream writes to."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def is_closing(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is known of a request when it has been read."""

    request_id: str
    arrived_ns: int
    job: Job
    script: Script
    reply: Reply
    is_stream: bool


class Stream:
    """Receives the deltas of its job. `done` is set when the last byte has been handed over."""

    def __init__(
        self,
        opening: Opening,
        now_ns: Callable[[], int],
        done: "asyncio.Future[None]",
        on_end: Callable[["Stream", TruthEntry], None],
    ) -> None:
        self.opening = opening
        self.done = done
        self.slot: asyncio.Event = asyncio.Event()
        self.delta_ns: list[int] = []
        self._phases: list[str] = []
        self._tokens: list[int] = []
        self._now_ns = now_ns
        self._on_end = on_end
        self._transport: Transport | None = None
        self._chunked = True
        self._backlog: list[Delta] = []
        self._ended = False
        opening.job.tag = self

    def open(self, transport: Transport | None, *, chunked: bool) -> None:
        """Headers are out: deltas may be written, those that came before at once."""
        if transport is None:  # the client left while the headers were written; its handler will be cancelled
            return
        self._transport, self._chunked = transport, chunked
        backlog, self._backlog = self._backlog, []
        for delta in backlog:
            self.receive(delta)

    def admitted(self) -> None:
        """The job has a slot (llama.cpp sends its headers only now)."""
        self.slot.set()

    def receive(self, delta: Delta) -> None:
        """Send the tokens of one delta; end the stream with the last one."""
        if self._ended:
            return
        if self.opening.is_stream:
            if self._transport is None:
                self._backlog.append(delta)
                return
            self._send(delta)
        if delta.last:
            self._finish()

    def keep_alive(self) -> None:
        """An SSE comment while the request waits for its slot."""
        if self._transport is not None and self.opening.job.admitted_ns is None:
            self._write(KEEP_ALIVE)

    def abort(self) -> None:
        """The client left, or the endpoint stops."""
        self._end(aborted=True)

    def counted(self, tokens: int | None = None) -> Counted:
        """Usage after `tokens` output tokens (all of them by default)."""
        job, script = self.opening.job, self.opening.script
        made = script.tokens if tokens is None else tokens
        first_ns = job.first_ns or job.arrived_ns
        return Counted(
            input_tokens=job.input_tokens,
            cached_tokens=job.cached_tokens,
            reasoning_tokens=min(made, script.thought_tokens),
            output_tokens=made,
            prefill_s=(first_ns - (job.admitted_ns or first_ns)) / NS,
            decode_s=(self._now_ns() - first_ns) / NS,
        )

    def _send(self, delta: Delta) -> None:
        script, reply = self.opening.script, self.opening.reply
        data, position = reply.opening(), delta.begin
        pieces = script.pieces(delta.begin, delta.end)
        shown = []
        for piece in pieces:
            position += piece.tokens
            if reply.visible(piece):
                ends = delta.last and position == delta.end and script.fault is None
                finish = script.finish_reason if ends else None
                data += reply.delta(piece, finish, self.counted(position) if reply.counts_each else None)
                shown.append(piece)
        if not data:
            return
        stamp = self._write(data)
        for piece in shown:
            self.delta_ns.append(stamp)
            self._phases.append(piece.phase)
            self._tokens.append(piece.tokens)

    def _finish(self) -> None:
        script, reply = self.opening.script, self.opening.reply
        if self.opening.is_stream:
            if script.fault == "cut" and self._transport is not None:
                self._end(aborted=False)
                self._transport.close()
                return
            failed = script.fault == "error"
            counted = self.counted()
            self._write(reply.failing(counted) if failed else reply.closing(script.finish_reason, counted))
        self._end(aborted=False)

    def _write(self, data: bytes) -> int:
        transport = self._transport
        assert transport is not None
        framed = b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
        stamp = self._now_ns()
        if not transport.is_closing():
            transport.write(framed)
        return stamp

    def _end(self, *, aborted: bool) -> None:
        if self._ended:
            return
        self._ended = True
        self._on_end(self, self._truth(aborted=aborted))
        if not self.done.done():
            self.done.set_result(None)

    def _truth(self, *, aborted: bool) -> TruthEntry:
        opening = self.opening
        job, script = opening.job, opening.script
        fault: Literal["error", "cut"] | None = None if aborted else script.fault
        return TruthEntry(
            request_id=opening.request_id,
            arrived_ns=opening.arrived_ns,
            status=500 if fault and not opening.is_stream else 200,
            delta_ns=self.delta_ns,
            delta_phase="".join(self._phases),
            delta_tokens=self._tokens,
            input_tokens=job.input_tokens,
            cached_tokens=job.cached_tokens,
            reasoning_tokens=min(job.sent, script.thought_tokens),
            output_tokens=job.sent,
            ended_ns=self._now_ns(),
            aborted=aborted,
            admitted_ns=job.admitted_ns,
            finish_reason=None if aborted or fault else script.finish_reason,
            fault=fault,
            stream=opening.is_stream,
            preemptions=job.preemptions,
        )
