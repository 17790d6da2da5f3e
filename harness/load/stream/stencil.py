"""Stencil: reads of one stream that differ in nothing but their text, taken without a parser.

Nearly every read of an answer is one chunk with one event, and its JSON is that of the event before with another
text in it. Once one such event was parsed, what stands around its text is a stencil. A read with the same
surroundings, whose text has neither quote, backslash nor control character, is the same JSON with another string:
no parser could find anything else in it. Whatever does not fit goes the long way, and may become the next stencil.
"""

from array import array
from dataclasses import dataclass

import msgspec

from harness.load.stream.chunk import Chunk, Delta, decode_chunk

_FIELDS = ("content", "reasoning_content", "reasoning")
_OPEN, _CLOSE = b"data: ", b"\n\n\r\n"
_QUOTE, _BACKSLASH = b'"\\'
_CONTROLS = bytes(range(32))
_PROOF = "another text"
#: A server whose events never look alike gets this many tries, one that changes now and then as many as it earns.
TRIES = 8
_SHORT_BYTES = 400
#: Texts that were checked before, bytes to words: a model says the same few thousand all the time. Bounded.
_words: dict[bytes, str] = {}
_MOST_WORDS = 8192
_LONGEST_WORD = 32
#: A run keeps texts of so many bytes that are not in `_words`; then somebody must take it.
_MOST_KEPT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive reads that fitted: their texts in `field`, the arrival and the lateness of each."""

    field: str
    texts: list[str]
    arrivals_ns: "array[int]"
    lags_ns: "array[int]"


class ShortWay:
    """The stencil that fits at present, if any, the run of reads that fitted it, and how often another may be tried.

    `open` tells whether the next read may go this way: its owner closes it while other reads wait to be decoded, or
    while a chunk or an event is begun.
    """

    __slots__ = ("_after", "_heads", "_kept_bytes", "_stamps", "_stencil", "_texts", "_tries")

    def __init__(self) -> None:
        self._stencil: Stencil | None = None
        self._tries = TRIES
        self._heads: dict[int, tuple[bytes, int]] | None = None  # the stencil's, while this way is open
        self._after = b""
        self._kept_bytes = 0
        self._begin()

    @property
    def open(self) -> bool:
        """The next read may be taken."""
        return self._heads is not None

    @open.setter
    def open(self, wanted: bool) -> None:
        stencil = self._stencil
        self._heads = stencil.heads if wanted and stencil is not None else None

    @property
    def short_reads(self) -> bool:
        """The reads that fit are small ones."""
        return self._stencil is not None and self._stencil.bytes <= _SHORT_BYTES

    @property
    def count(self) -> int:
        """Reads in the run."""
        return len(self._texts)

    def take(self, read: bytes, arrival_ns: int, read_ns: int) -> bool:
        """Take a read into the run; False where it does not fit. This is the hot path of the whole client."""
        heads = self._heads
        if heads is None:
            return False
        head, length = heads.get(len(read)) or self._stencil.head(len(read))  # type: ignore[union-attr]
        text = read.removeprefix(head).removesuffix(self._after)
        if len(text) != length:
            return False
        word = _words.get(text) or self._new_word(text)
        if not word:
            return False
        self._texts.append(word)
        stamps = self._stamps
        stamps.append(arrival_ns)
        stamps.append(read_ns - arrival_ns)
        return True

    def run(self) -> Run | None:
        """Hand over what was taken; None where that is nothing."""
        count = len(self._texts)
        if not count:
            return None
        assert self._stencil is not None
        run = Run(self._stencil.field, self._texts, self._stamps[::2], self._stamps[1::2])
        self._tries = min(TRIES, self._tries + count // 4)
        self._begin()
        return run

    def learn(self, read: bytes, event: bytes) -> None:
        """A read that went the long way: whole chunks and events before it and in it, and this one event."""
        assert not self._texts
        if self._tries > 0:
            self._tries -= 1
            stencil = cut_stencil(read, event)
            if stencil is not None:
                self._stencil, self._after = stencil, stencil.after

    def _begin(self) -> None:
        self._texts: list[str] = []
        self._stamps = array("q")  # arrival and lateness of each, in turn: one place in memory, not two
        self._kept_bytes = 0

    def _new_word(self, text: bytes) -> str | None:
        """`text` as the JSON string that it stands for; None where a parser has to look at it."""
        if _QUOTE in text or _BACKSLASH in text or len(text.translate(None, _CONTROLS)) != len(text):
            return None
        try:
            word = text.decode()
        except UnicodeDecodeError:
            return None
        if len(text) <= _LONGEST_WORD and len(_words) < _MOST_WORDS:
            _words[text] = word
        else:
            self._kept_bytes += len(text)
        return word if self._kept_bytes <= _MOST_KEPT_BYTES else None


class Stencil:
    """The surroundings of the text in field `field` of a delta."""

    __slots__ = ("_before", "after", "bytes", "field", "heads")

    def __init__(self, field: str, before: bytes, after: bytes) -> None:
        self.field = field
        self._before = _OPEN + before
        self.after = after + _CLOSE
        self.bytes = len(self._before) + len(self.after)
        self.heads: dict[int, tuple[bytes, int]] = {}  # see `head`; sizes of one stream are few

    def head(self, size: int) -> tuple[bytes, int]:
        """How a read of `size` bytes begins (its size line and what stands before the text), and how long its text is.

        The length is below zero where so few bytes have no room for a text.
        """
        payload = size - 2 - len(b"%x\r\n" % size)
        line = b"%x\r\n" % max(0, payload)
        if len(line) + payload + 2 != size:  # a digit less
            payload += 1
            line = b"%x\r\n" % max(0, payload)
        if len(self.heads) > 512:
            self.heads.clear()
        head = line + self._before
        self.heads[size] = head, size - len(head) - len(self.after)
        return self.heads[size]


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
