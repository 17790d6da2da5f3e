"""Bytes of one HTTP response with their arrival times -> StreamRecord. No socket, no clock: time is an argument.

`feed` runs in the hot path and does as little as it can: it keeps the bytes with their stamp and looks for the end
of the body. `decode` does the rest in slices, whenever there is time: chunks, events, JSON, phases. Decoded bytes
are dropped.
"""

from collections import deque
from typing import Literal

from harness.errors import Outcome
from harness.load.calls import Call
from harness.load.stream.body import Body, Inflater, body_for, inflater_for
from harness.load.stream.closing import Closed, Timeline, make_record
from harness.load.stream.head import HeadReader, ProtocolError, ResponseHead
from harness.load.stream.lag import Lag
from harness.load.stream.scrub import scrub, secrets_in
from harness.load.stream.sse import EventSplitter, like_events
from harness.load.stream.stencil import ShortWay
from harness.load.stream.transcript import Transcript
from harness.load.stream.verdict import CloseReason, Ending, decide
from harness.records import StreamRecord

MAX_PENDING_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 4 * 1024 * 1024
_MAX_ERROR_BYTES = 16 * 1024  # kept until the secrets are out; then cut
_SLICE = 64 * 1024
_EVERYTHING = 1 << 62

_LAST_CHUNK = b"0\r\n\r\n"

Mode = Literal["events", "answer", "raw", "refused"]


class Stream:
    """One response on its way. `feed` until it returns True, `decode` in between, `close` once."""

    __slots__ = (
        "_body", "_call", "_chunked", "_error", "_first_bytes", "_head", "_head_reader", "_inflater", "_kept", "_lag",
        "_left", "_mode", "_plain", "_raw", "_secrets", "_simple", "_splitter", "_unreadable", "ended",
        "ended_ns", "headers_ns", "pending_bytes", "short_way", "timeline", "transcript",
    )  # fmt: skip

    def __init__(self, call: Call) -> None:
        self._call = call
        self.timeline = Timeline()
        self.transcript = Transcript(call.keep_text)
        self.pending_bytes = 0  # received and not yet decoded
        self.ended = False  # the body is whole, or broken beyond repair: nothing more will be read
        self.ended_ns: int | None = None
        self.headers_ns: int | None = None
        self._head: ResponseHead | None = None
        self._head_reader = HeadReader()
        self._body: Body | None = None
        self._inflater: Inflater | None = None
        self._chunked = False
        self._left = _EVERYTHING  # wire bytes to the end, where the head tells
        self._mode: Mode = "events"
        self._raw: deque[tuple[int, int, bytes]] = deque()  # (arrival, read, wire bytes)
        self._plain: deque[tuple[int, bytes, int]] = deque()  # (arrival, payload, wire length)
        self._splitter = EventSplitter()
        self._lag = Lag()
        self._kept = bytearray()  # of a body that is no event stream
        self._first_bytes = b""
        self._error: str | None = None  # of HTTP, SSE or JSON
        self._simple = False  # `_decode_events` will do
        self.short_way = ShortWay()
        self._secrets: tuple[str, ...] | None = None
        self._unreadable = False  # nothing behind this place can be understood

    # -- the hot path

    def feed(self, data: bytes, arrival_ns: int, read_ns: int) -> bool:
        """Bytes of one read. True when the body has ended; then nothing more may be fed."""
        if self.short_way.take(data, arrival_ns, read_ns):
            return False
        self.short_way.open = False
        size = len(data)
        self.pending_bytes = pending = self.pending_bytes + size
        self._raw.append((arrival_ns, read_ns, data))
        if self._chunked:
            # The last five bytes of a chunked body are almost always these; `_unframe` decides whether it is the
            # end or text that looks like it. A read shorter than that may hold a piece of them.
            if data[-5:] == _LAST_CHUNK or size < 5:
                self._unframe()
            elif pending <= MAX_PENDING_BYTES:
                return self.ended
        elif self._body is None:
            self._begin()
        else:
            self._left -= size
            if self._left <= 0:
                self._unframe()
        if self.pending_bytes > MAX_PENDING_BYTES:
            self.decode(MAX_PENDING_BYTES // 2)
        return self.ended

    def decode(self, budget_bytes: int) -> bool:
        """Decode about so many bytes; True while more are waiting."""
        self._settle()
        while budget_bytes > 0:
            if self._simple and not self._plain:
                budget_bytes = self._decode_events(budget_bytes)
            if not self._plain and not self._unframe_next():
                break
            arrival_ns, payload, wire_bytes = self._plain.popleft()
            budget_bytes -= wire_bytes
            self.pending_bytes -= wire_bytes
            if not self._unreadable:
                self._take_payload(payload, arrival_ns)
        more = bool(self._plain or self._raw)
        self.short_way.open = not more and self._between
        return more

    def _decode_events(self, budget_bytes: int) -> int:
        """The common case in a tight loop: an event stream, not compressed, its first bytes seen. Rest of budget."""
        raw, transcript, way = self._raw, self.transcript, self.short_way
        way.open = self._between
        while raw and budget_bytes > 0 and self._simple:
            arrival_ns, read_ns, data = raw.popleft()
            budget_bytes -= len(data)
            self.pending_bytes -= len(data)
            if way.take(data, arrival_ns, read_ns):
                continue
            self._settle()
            self._lag.add(read_ns - arrival_ns)
            transcript.read_spoke = False
            self._take_read(data, arrival_ns)
            way.open = self._between
        self._settle()
        return budget_bytes

    def _take_read(self, data: bytes, arrival_ns: int) -> None:
        """One read on the long way: chunks, events, JSON."""
        body, splitter = self._body, self._splitter
        assert body is not None
        whole_before = self._between
        events: list[bytes] = []
        try:
            events = splitter.feed(body.feed(data))
            for event in events:
                self.transcript.take(event, arrival_ns)
        except ProtocolError as error:
            self._break(str(error), arrival_ns)
        if body.ended or body.error or splitter.error or splitter.errors:
            self._trouble_or_end(body, arrival_ns)
        elif whole_before and self._simple and events and self.transcript.read_spoke:
            self.short_way.learn(data, events[-1])

    def _settle(self) -> None:
        """What went the short way becomes part of the transcript."""
        run = self.short_way.run()
        if run is not None:
            self._lag.add_all(run.reads_ns())
            self.transcript.take_run(run)

    @property
    def _between(self) -> bool:
        """The next byte begins a chunk and an event, in a stream of which nothing is left in doubt."""
        body = self._body
        return self._simple and body is not None and body.between_chunks and self._splitter.between_events

    def _trouble_or_end(self, body: Body, arrival_ns: int) -> None:
        """Something that happens once in a stream has happened."""
        for words in self._splitter.errors:
            self.transcript.fail(words.decode("utf-8", "replace"))
        if self._splitter.error is not None and not self._unreadable:
            self._break(self._splitter.error, arrival_ns)
        if not self.ended and (body.ended or body.error is not None):
            self._error = self._error or body.error
            self.ended, self.ended_ns = True, arrival_ns
        self._simple = not self.ended

    # -- what the owner of the socket asks

    @property
    def deltas(self) -> int:
        """Events with text so far."""
        return self.transcript.deltas + self.short_way.count

    @property
    def reusable(self) -> bool:
        """The connection may carry another request."""
        head, body = self._head, self._body
        whole = head is not None and body is not None and body.ended and not body.surplus and self._error is None
        return whole and head is not None and head.keep_alive

    @property
    def events(self) -> bool:
        """The response is an event stream, as far as is known."""
        return self._call.stream and self._mode == "events"

    @property
    def answer(self) -> str | None:
        """Answer text, where it was asked for; of a raw call, the body."""
        if self._mode == "raw":
            return self._clean(self._kept.decode("utf-8", "replace"))
        return self._clean(self.transcript.answer_text) if self._call.keep_text else None

    @property
    def reasoning(self) -> str | None:
        """Reasoning text, where text was asked for."""
        return self._clean(self.transcript.reasoning_text) if self._call.keep_text else None

    def _clean(self, text: str) -> str:
        """An endpoint may echo its request into the answer."""
        return scrub(text, self._secret_words())

    def _secret_words(self) -> tuple[str, ...]:
        if self._secrets is None:
            self._secrets = secrets_in(self._call.payload)
        return self._secrets

    # -- head and framing

    def _begin(self) -> None:
        arrival_ns, read_ns, data = self._raw.pop()
        self._lag.add(read_ns - arrival_ns)
        self.pending_bytes = 0
        try:
            found = self._head_reader.feed(data)
            if found is None:
                return
            self._head, rest = found
            self.headers_ns = arrival_ns
            self._body = body_for(self._head)
            self._inflater = inflater_for(self._head)
            self._mode = self._choose_mode(self._head)
        except ProtocolError as error:
            self._break(str(error), arrival_ns)
            return
        self._chunked = self._head.framing == "chunked"
        if self._head.framing == "length":
            self._left = self._head.length - len(rest)
        self.pending_bytes = len(rest)
        self._open(arrival_ns, rest)

    def _choose_mode(self, head: ResponseHead) -> Mode:
        if head.status == 101:
            raise ProtocolError("the server switched protocols")
        if self._call.dialect == "raw":
            return "raw"
        if head.status >= 300:
            return "refused"
        if not self._call.stream:
            return "answer"
        json_or_page = head.content_type.endswith("json") or head.content_type in {"text/html", "application/xhtml+xml"}
        return "answer" if json_or_page else "events"

    def _unframe(self) -> None:
        raw, way = self._raw, self.short_way
        way.open = not self._plain and self._between
        while raw and way.take(raw[0][2], *raw[0][:2]):
            self.pending_bytes -= len(raw.popleft()[2])
        way.open = False
        while raw and self._unframe_next():
            pass

    def _unframe_next(self) -> bool:
        """Move one read from wire bytes to payload; False where there is none."""
        if not self._raw:
            return False
        arrival_ns, read_ns, data = self._raw.popleft()
        self._lag.add(read_ns - arrival_ns)
        self._open(arrival_ns, data)
        return True

    def _open(self, arrival_ns: int, data: bytes) -> None:
        body = self._body
        assert body is not None
        payload = b"" if self.ended else body.feed(data)
        self._plain.append((arrival_ns, payload, len(data)))
        if not self.ended and (body.ended or body.error is not None):
            self._error = self._error or body.error
            self.ended, self.ended_ns = True, arrival_ns
            self._simple = False

    def _break(self, words: str, arrival_ns: int) -> None:
        """Payload (or head) that cannot be read. It comes before any breach of framing that was seen already."""
        self._error, self._unreadable, self._simple = words, True, False
        if not self.ended:
            self.ended, self.ended_ns = True, arrival_ns

    # -- payload

    def _take_payload(self, payload: bytes, arrival_ns: int) -> None:
        self.transcript.read_spoke = False
        try:
            if self._inflater is None and len(payload) <= _SLICE:
                self._take_piece(payload, arrival_ns)
                return
            pieces = self._inflater.feed(payload) if self._inflater else [payload]
            for piece in pieces:
                for at in range(0, len(piece), _SLICE):
                    self._take_piece(piece[at : at + _SLICE], arrival_ns)
        except ProtocolError as error:
            self._break(str(error), arrival_ns)

    def _take_piece(self, piece: bytes, arrival_ns: int) -> None:
        if self._mode != "events":
            self._keep(piece)
            return
        if len(self._first_bytes) < 64:
            self._first_bytes += piece[:64]
            self._simple = len(self._first_bytes) >= 64 and self._inflater is None and not self.ended
        for event in self._splitter.feed(piece):
            self.transcript.take(event, arrival_ns)
        for words in self._splitter.errors:
            self.transcript.fail(words.decode("utf-8", "replace"))
        if self._splitter.error is not None:
            raise ProtocolError(self._splitter.error)

    def _keep(self, piece: bytes) -> None:
        most = MAX_ANSWER_BYTES if self._mode in {"answer", "raw"} else _MAX_ERROR_BYTES
        self._kept += piece[: most - len(self._kept)]

    # -- the end

    def close(self, ended_ns: int, reason: CloseReason, error: str | None = None) -> StreamRecord:
        """The record. `ended_ns` counts where the stream did not end by itself; `error` are the engine's words."""
        self.decode(_EVERYTHING)
        whole = self.ended and self._error is None
        if reason == "eof" and self._head is not None and self._head.framing == "eof":
            whole, self.ended_ns = True, ended_ns
        if whole and not self._unreadable:
            self._finish()
        outcome = decide(self._ending(reason, whole))
        closed = Closed(
            call=self._call,
            secrets=self._secret_words(),
            head=self._head,
            timeline=self.timeline,
            transcript=self.transcript,
            outcome=outcome,
            error=self._words(outcome, error),
            headers_ns=self.headers_ns,
            ended_ns=ended_ns if self.ended_ns is None else self.ended_ns,
            reads=self._lag.reads,
            lag=self._lag.summary(),
            content_encoding=self._inflater.coding if self._inflater else None,
        )
        return make_record(closed)

    def _finish(self) -> None:
        """The body is whole: the last event may lack its blank line, and an unstreamed answer can be read now."""
        last_ns = self.ended_ns or 0
        try:
            for event in self._splitter.finish():
                self.transcript.take(event, last_ns)
        except ProtocolError:
            pass  # half an event at the end: the verdict will see that no ending was announced
        if self._mode == "answer":
            self._finish_answer()
        elif self._mode == "events" and self.transcript.last_event_ns is None and not like_events(self._first_bytes):
            self._error = f"no event stream: {self._first_bytes[:64]!r}"

    def _finish_answer(self) -> None:
        assert self._head is not None
        try:
            self.transcript.take_answer(bytes(self._kept).strip())
        except ProtocolError as error:
            self._error = f"{error}: {bytes(self._kept[:200])!r}"
        if self._call.stream and self.transcript.error is None:
            kind = self._head.content_type
            self._error = f"asked for a stream, got {kind}: {bytes(self._kept[:200]).decode('utf-8', 'replace')}"

    def _ending(self, reason: CloseReason, whole: bool) -> Ending:
        transcript = self.transcript
        usage = transcript.usage()
        return Ending(
            reason=reason,
            whole=whole,
            status=self._head.status if self._head else None,
            broken=self._error is not None,
            error=transcript.error is not None,
            finish_reason=transcript.finish_reason,
            done_seen=transcript.done_seen,
            spoke=transcript.spoke or self._mode == "raw",
            answered=bool(transcript.answer_chars or transcript.tool_chars),
            streamed=self._call.stream and self._mode == "events",
            fixed_length=self._call.fixed_length,
            hidden_thought=bool(usage and usage.thought_tokens),
        )

    def _words(self, outcome: Outcome, error: str | None) -> str | None:
        if outcome in {Outcome.HTTP_ERROR, Outcome.RATE_LIMITED} and self._head is not None:
            if location := self._head.headers.get("location"):
                return f"redirect to {location} refused"
            return self._kept.decode("utf-8", "replace").strip() or f"HTTP {self._head.status} without a body"
        if outcome is Outcome.STREAM_ERROR:
            return self.transcript.error or f"finish_reason {self.transcript.finish_reason}"
        if outcome is Outcome.PROTOCOL_ERROR:
            return self._error or error
        if outcome is Outcome.CUT:
            return error or "the stream ended without finish_reason and without [DONE]"
        return error if outcome not in {Outcome.OK, Outcome.EMPTY, Outcome.TRUNCATED, Outcome.CUT_IN_THOUGHT} else None
