"""Stencil: reads of one stream that differ in nothing but their text, taken without a parser.

Nearly every read of an answer is one chunk with one event, and its JSON is that of the event before with another
text in it. Once one such event was parsed, what stands around its text is a stencil. A read with the same
surroundings, whose text has neither quote, backslash nor control character, is the same JSON with another string:
no parser could find anything else in it. Whatever does not fit goes the long way, and may become the next stencil.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from harness.load.hot import Taken
from harness.load.hot.plain import LATER, SHARED
from harness.load.stream.chunk import Chunk, Delta, decode_chunk

_FIELDS = ("content", "reasoning_content", "reasoning")
_OPEN, _CLOSE = b"data: ", b"\n\n\r\n"
_PROOF = "another text"
#: A server whose events never look alike gets this many tries, one that changes now and then as many as it earns.
TRIES = 8
_SHORT_BYTES = 400


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive reads that fitted: their texts in `field`, one behind the other; arrival and lateness of each.

    Lateness is `SHARED` where a text came in one segment with the text before it, `LATER` where it came in a segment of
    its own, and in one read with that.
    """

    field: str
    text: bytes
    ends: "array[int]"
    arrivals_ns: "array[int]"
    lags_ns: "array[int]"

    @property
    def shared(self) -> int:
        """Texts that have no arrival of their own."""
        return self.lags_ns.count(SHARED)

    def reads_ns(self) -> "array[int]":
        """Lateness of each read."""
        if not self.shared and not self.lags_ns.count(LATER):
            return self.lags_ns
        return array("q", [lag for lag in self.lags_ns if lag >= 0])

    def pieces(self) -> Iterator[tuple[str, int, bool]]:
        """Each text, its arrival, and whether it shares that with the text before."""
        begin = 0
        for end, arrival_ns, lag_ns in zip(self.ends, self.arrivals_ns, self.lags_ns, strict=True):
            yield self.text[begin:end].decode(), arrival_ns, lag_ns == SHARED
            begin = end


class ShortWay:
    """The stencil that fits at present, if any, the run of reads that fitted it, and how often another may be tried.

    `open` tells whether the next read may go this way: its owner closes it while other reads wait to be decoded, or
    while a chunk or an event is begun.
    """

    __slots__ = ("_stencil", "_tries", "take", "taken")

    def __init__(self) -> None:
        self._stencil: Stencil | None = None
        self._tries = TRIES
        self.taken = Taken()
        self.take = self.taken.take

    @property
    def open(self) -> bool:
        """The next read may be taken."""
        return self.taken.is_open

    @open.setter
    def open(self, wanted: bool) -> None:
        stencil = self._stencil
        if wanted and stencil is not None:
            self.taken.open(stencil.before, stencil.after)
        else:
            self.taken.close()

    @property
    def short_reads(self) -> bool:
        """The reads that fit are small ones."""
        return self._stencil is not None and self._stencil.bytes <= _SHORT_BYTES

    @property
    def count(self) -> int:
        """Texts in the run."""
        return self.taken.count

    def run(self) -> Run | None:
        """Hand over what was taken; None where that is nothing."""
        count = self.taken.count
        if not count:
            return None
        assert self._stencil is not None
        text, ends, arrivals_ns, lags_ns = self.taken.hand_over()
        self._tries = min(TRIES, self._tries + count // 4)
        return Run(self._stencil.field, text, array("I", ends), array("q", arrivals_ns), array("q", lags_ns))

    def learn(self, read: bytes, event: bytes) -> None:
        """A read that went the long way: whole chunks and events before it and in it, this event the last of them."""
        assert not self.taken.count
        if self._tries > 0:
            self._tries -= 1
            self._stencil = cut_stencil(read, event) or self._stencil


@dataclass(frozen=True, slots=True)
class Stencil:
    """The surroundings of the text in field `field` of a delta, from the chunk's first byte to its last."""

    field: str
    before: bytes
    after: bytes

    @property
    def bytes(self) -> int:
        """How much of a read is not text."""
        return len(self.before) + len(self.after)


def cut_stencil(read: bytes, event: bytes) -> Stencil | None:
    """The stencil of a read whose last chunk was this one event; None where it is not that simple."""
    if not event.startswith(b"{") or not read.endswith(_OPEN + event + _CLOSE):  # [DONE] is no object
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
            if not _proves(before, after, field, chunk):
                return None
            return Stencil(field, _OPEN + before, after + _CLOSE)
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
