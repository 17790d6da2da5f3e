"""Payload bytes of an event stream -> the data of each complete event, by the WHATWG rules for server-sent events."""

from harness.load.stream.head import ProtocolError

MAX_EVENT_BYTES = 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Splits at CRLF, LF or CR, wherever the reads were cut; comments and unknown fields are dropped.

    An unfinished line is kept as a list of pieces and joined once, so that no input costs quadratic time.
    """

    __slots__ = ("_after_cr", "_data", "_kept", "_pieces", "_named_error", "_started", "error", "errors")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of an unfinished line
        self._data: list[bytes] = []  # data lines of an unfinished event
        self._kept = 0  # bytes in both
        self._after_cr = False
        self._started = False
        self.error: str | None = None  # what broke the stream; the events before it were still returned
        self.errors: list[bytes] = []  # data of events named "error", and of all behind them: errors in any shape
        self._named_error = False

    def feed(self, payload: bytes) -> list[bytes]:
        """Data of the events which these bytes complete."""
        if self.between_events and payload.startswith(b"data: "):
            # One whole event in one read, as nearly every read is.
            end = payload.find(b"\n")
            if end == len(payload) - 2 and payload.endswith(b"\n\n") and b"\r" not in payload:
                return [payload[6:end]]
            if end == len(payload) - 3 and payload.endswith(b"\r\n\r\n") and payload.find(b"\r") == end - 1:
                return [payload[6 : end - 1]]
        events: list[bytes] = []
        try:
            self._feed_lines(payload, events)
        except ProtocolError as error:
            self.error = str(error)
        return events

    @property
    def between_events(self) -> bool:
        """Nothing is begun: the next byte begins a line of a new event."""
        return self._kept == 0 and self._started and not self._after_cr and not self._named_error

    def finish(self) -> list[bytes]:
        """The body has ended: an event that lacks only its blank line is still an event."""
        events: list[bytes] = []
        if self._pieces:
            self._line(self._take_pieces(b""), events)
        if self._data:
            self._line(b"", events)
        return events

    def _feed_lines(self, payload: bytes, events: list[bytes]) -> None:
        if not self._started:
            payload = self._without_bom(payload)
        if self._after_cr and payload:
            self._after_cr = False
            if payload[:1] == b"\n":
                payload = payload[1:]
        if b"\r" in payload:
            self._after_cr = payload[-1:] == b"\r"
            payload = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *rest = payload.split(b"\n")
        if not rest:
            self._keep(first)
            return
        self._line(self._take_pieces(first), events)
        last = rest.pop()
        for line in rest:
            if line or self._data:
                self._line(line, events)
        self._keep(last)

    def _without_bom(self, payload: bytes) -> bytes:
        begun = self._take_pieces(payload)
        if len(begun) < 3 and _BOM.startswith(begun):
            self._keep(begun)
            return b""
        self._started = True
        return begun.removeprefix(_BOM)

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._grow(len(piece))

    def _take_pieces(self, last: bytes) -> bytes:
        if not self._pieces:
            return last
        self._pieces.append(last)
        line = b"".join(self._pieces)
        self._kept -= len(line) - len(last)
        self._pieces.clear()
        return line

    def _grow(self, size: int) -> None:
        self._kept += size
        if self._kept > MAX_EVENT_BYTES:
            raise ProtocolError(f"one event larger than {MAX_EVENT_BYTES} bytes")

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if line[:5] == b"data:":
            data = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(data)
            self._grow(len(data) + 1)
        elif not line:
            self._dispatch(events)
        elif line[:6] == b"event:" and line[6:].strip() == b"error":
            self._named_error = True

    def _dispatch(self, events: list[bytes]) -> None:
        if self._data:
            event = b"\n".join(self._data) if len(self._data) > 1 else self._data[0]
            self._kept -= sum(map(len, self._data)) + len(self._data)
            self._data.clear()
            if event and self._named_error and event != b"[DONE]":
                self.errors.append(event)
            elif event:
                events.append(event)


def like_events(begun: bytes) -> bool:
    """An event stream may begin with a comment, a field, a blank line or a byte order mark."""
    return not begun or begun.removeprefix(b"\xef\xbb\xbf").startswith(
        (b":", b"data", b"event", b"id", b"retry", b"\n", b"\r")
    )
