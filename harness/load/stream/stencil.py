"""Stencil: reads of one stream that differ in nothing but their text, taken without a parser.

Nearly every read of an answer is one chunk with one event, and its JSON is that of the event before with another
text in it. Once one such event was parsed, what stands around its text is a stencil. A read with the same
surroundings, whose text has neither quote, backslash nor control character, is the same JSON with another string:
no parser could find anything else in it. Whatever does not fit goes the long way, and may become the next stencil.
"""

from collections import deque
from dataclasses import dataclass

import msgspec

from harness.load.stream.chunk import Chunk, Delta, decode_chunk

_FIELDS = ("content", "reasoning_content", "reasoning")
_OPEN, _CLOSE = b"data: ", b"\n\n\r\n"
_QUOTE, _BACKSLASH = b'"\\'
_CONTROLS = bytes(set(range(32)) - set(b"\n"))
_PROOF = "another text"
#: A server whose events never look alike gets this many tries, one that changes now and then as many as it earns.
TRIES = 8
_SHORT_BYTES = 400
#: What a wire read looks like in the stream: (arrival, read, bytes).
Read = tuple[int, int, bytes]


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive reads that fit: their texts in `field`, one newline between two, and the time of each."""

    field: str
    text: str
    arrivals_ns: list[int]
    lags_ns: list[int]
    wire_bytes: int


class ShortWay:
    """The stencil that fits at present, if any, and how often another may be tried."""

    __slots__ = ("_stencil", "_tries", "short_reads")

    def __init__(self) -> None:
        self._stencil: Stencil | None = None
        self._tries = TRIES
        self.short_reads = False  # the last reads were small ones

    def take(self, reads: deque[Read], most_bytes: int) -> Run | None:
        """Remove the reads at the front that fit, as far as they follow each other; None where the first does not."""
        run = self._stencil.take(reads, most_bytes) if self._stencil is not None else None
        if run is not None:
            count = len(run.arrivals_ns)
            self._tries = min(TRIES, self._tries + count // 4)
            self.short_reads = run.wire_bytes <= count * _SHORT_BYTES
        return run

    def learn(self, read: bytes, event: bytes) -> None:
        """A read that went the long way: whole chunks and events before it and in it, and this one event."""
        if self._tries > 0:
            self._tries -= 1
            self._stencil = cut_stencil(read, event) or self._stencil


class Stencil:
    """The surroundings of the text in field `field` of a delta."""

    __slots__ = ("_after", "_before", "_heads", "field")

    def __init__(self, field: str, before: bytes, after: bytes) -> None:
        self.field = field
        self._before = _OPEN + before
        self._after = after + _CLOSE
        self._heads: dict[int, bytes] = {}  # by length of the read: its size line and what stands before the text

    def take(self, reads: deque[Read], most_bytes: int) -> Run | None:
        """See `ShortWay.take`."""
        texts: list[bytes] = []
        arrivals: list[int] = []
        lags: list[int] = []
        heads, after, skip, wire_bytes = self._heads, self._after, -len(self._after), 0
        for arrival_ns, read_ns, data in reads:
            size = len(data)
            head = heads.get(size) or self._head(size)
            if not (data.startswith(head) and data.endswith(after)):
                break
            text = data[len(head) : skip]
            if not text or _QUOTE in text or _BACKSLASH in text:
                break
            texts.append(text)
            arrivals.append(arrival_ns)
            lags.append(read_ns - arrival_ns)
            wire_bytes += size
            if wire_bytes >= most_bytes:
                break
        joined = _joined(texts) if texts else None
        if joined is None:
            return None
        for _ in texts:
            reads.popleft()
        return Run(self.field, joined, arrivals, lags, wire_bytes)

    def _head(self, size: int) -> bytes:
        """How a read of `size` bytes begins; sizes of one stream are few."""
        payload = size - 2 - len(b"%x\r\n" % size)
        line = b"%x\r\n" % max(0, payload)
        if len(line) + payload + 2 != size:  # a digit less
            payload += 1
            line = b"%x\r\n" % max(0, payload)
        if len(self._heads) > 512:
            self._heads.clear()
        head = self._heads[size] = line + self._before
        return head


def _joined(texts: list[bytes]) -> str | None:
    """One string, a newline between two texts (JSON strings have none); None where one of them is no JSON string."""
    joined = b"\n".join(texts)
    if joined.count(b"\n") != len(texts) - 1 or len(joined.translate(None, _CONTROLS)) != len(joined):
        return None
    try:
        return joined.decode()
    except UnicodeDecodeError:
        return None


def cut_stencil(read: bytes, event: bytes) -> Stencil | None:
    """The stencil of a read that was one whole chunk with this one event; None where it is not that simple."""
    if not read.endswith(_OPEN + event + _CLOSE):
        return None
    chunk = decode_chunk(event)
    told = _only_text(chunk)
    if told is None:
        return None
    field, text = told
    quoted = b'"%b"' % text.encode()
    for colon in (b":", b": "):
        key = b'"%b"%b' % (field.encode(), colon)
        if event.count(key + quoted) == 1:
            at = event.index(key + quoted) + len(key) + 1
            before, after = event[:at], event[at + len(quoted) - 2 :]
            return Stencil(field, before, after) if _proves(before, after, field, chunk) else None
    return None


def _only_text(chunk: Chunk) -> tuple[str, str] | None:
    """(field, text) of an event that says one text and nothing else that counts."""
    if len(chunk.choices) != 1 or bytes(chunk.usage) not in _NOTHING or bytes(chunk.error) not in _NOTHING:
        return None
    choice = chunk.choices[0]
    if choice.delta is None or choice.finish_reason:
        return None
    told = [(field, text) for field in _FIELDS if (text := getattr(choice.delta, field))]
    silent = not (choice.delta.tool_calls or choice.delta.function_call or choice.delta.refusal)
    silent = silent and not choice.delta.reasoning_details
    return told[0] if len(told) == 1 and silent else None


_NOTHING = (b"", b"null")


def _proves(before: bytes, after: bytes, field: str, chunk: Chunk) -> bool:
    """With another text in the same place, the parser finds that text and nothing else changed."""
    other = decode_chunk(before + _PROOF.encode() + after)
    delta: Delta | None = chunk.choices[0].delta
    return (
        len(other.choices) == 1
        and delta is not None
        and other.choices[0].delta == msgspec.structs.replace(delta, **{field: _PROOF})
        and _only_text(other) == (field, _PROOF)
    )
