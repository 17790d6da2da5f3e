"""One call on its way through the engine: ticket, stream, connection, and the deadline that is due next."""

from harness.load.calls import Call, Finished
from harness.load.engine.connection import Connection
from harness.load.stream import Stream
from harness.load.stream.verdict import CloseReason
from harness.records import encode_record

_SECOND = 1_000_000_000
#: A server that has said [DONE] and neither ends the body nor the connection gets this long.
DONE_LINGER_NS = 500_000_000


class Exchange:
    """A call, its stream, and how it ended once it has."""

    __slots__ = ("call", "connection", "ended_ns", "error", "queued", "reason", "stream", "taken_ns", "ticket",
                 "timer_ns")  # fmt: skip

    def __init__(self, ticket: int, call: Call, taken_ns: int) -> None:
        self.ticket = ticket
        self.call = call
        self.taken_ns = taken_ns
        self.stream = Stream(call)
        self.connection: Connection | None = None
        self.queued = False  # waits for its turn to be decoded
        self.timer_ns: int | None = None  # the earliest timer that is set for it
        self.reason: CloseReason | None = None  # None while it is open
        self.error: str | None = None
        self.ended_ns = 0

    @property
    def over(self) -> bool:
        """Nothing more will be read for it."""
        return self.reason is not None

    @property
    def awaiting_first(self) -> bool:
        """Sent, and nothing said yet."""
        return self.stream.timeline.sent_last_ns is not None and not self.stream.transcript.deltas

    def end(self, reason: CloseReason, ended_ns: int, error: str | None = None) -> None:
        """It is over; what is left to do is decoding."""
        self.reason, self.ended_ns, self.error = reason, ended_ns, error

    def finished(self) -> Finished:
        """The record, encoded."""
        record = self.stream.close(self.ended_ns, self.reason or "censored", self.error)
        return Finished(self.ticket, encode_record(record), self.stream.answer, self.stream.reasoning)

    def due(self) -> tuple[int, CloseReason, str]:
        """When this call must end if nothing more happens, as what, and the words for it.

        Comments and headers move no deadline: TTFT waits for the first delta, the gap for the next data event.
        """
        limits, timeline, transcript = self.call.deadlines, self.stream.timeline, self.stream.transcript
        total_ns = self.taken_ns + int(limits.total_s * _SECOND)
        total: tuple[int, CloseReason, str] = (total_ns, "timeout_total", f"not finished within {limits.total_s:g} s")
        if timeline.sent_last_ns is None:
            if timeline.connect_begin_ns is None or timeline.connect_end_ns is not None:
                return total
            due_ns = timeline.connect_begin_ns + int(limits.connect_s * _SECOND)
            return min(total, (due_ns, "timeout_connect", f"no connection within {limits.connect_s:g} s"))
        if not self.stream.events:
            return total
        last_ns = transcript.last_event_ns or timeline.sent_last_ns
        if transcript.done_seen:
            return min(total, (last_ns + DONE_LINGER_NS, "ended", ""))
        if not transcript.deltas:
            due_ns = timeline.sent_last_ns + int(limits.ttft_s * _SECOND)
            return min(total, (due_ns, "timeout_ttft", f"no token within {limits.ttft_s:g} s of the request"))
        due_ns = last_ns + int(limits.gap_s * _SECOND)
        return min(total, (due_ns, "timeout_gap", f"no event for {limits.gap_s:g} s"))
