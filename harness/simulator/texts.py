"""Author: (seed, prompt) -> Script, the thought and answer that the simulated model will say, token by token.

A script depends on nothing else: not on arrival order, load or time. One token is four characters of text, for
prompts and for outputs, so that text and token counts can be checked against each other.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["r", "a"]
TOKEN_CHARS = 4

#: Pieces of a thought, each four characters: plain words, a few that need escaping or several bytes in UTF-8,
#: since a reader that cuts them wrong must be found out.
_WORDS = (
    " the sum and now try add one two six ten but let see far low own few odd set put yes not why how all any due"
    ' per via mod row top bit raw key cut sub net got run café → ok \n\n so "if" x² = y³ 数を数え \\o/ ok?\n'
)
_FILLER_PIECES = 4093  # a prime, so that strides through it do not fall into step


def tokens_in(text: str) -> int:
    """Number of tokens in a text."""
    return -(-len(text) // TOKEN_CHARS)


def _filler() -> tuple[str, ...]:
    draw = random.Random(20250227)
    words = [f" {word}" for word in _WORDS.split(" ") if word]
    text = ""
    while len(text) < _FILLER_PIECES * TOKEN_CHARS:
        text += draw.choice(words)
    return tuple(text[i * TOKEN_CHARS : (i + 1) * TOKEN_CHARS] for i in range(_FILLER_PIECES))


_FILLER = _filler()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Lognormal thought and answer lengths in tokens: medians, and sigma of the logarithm."""

    thought_median: float
    thought_sigma: float
    answer_median: float
    answer_sigma: float
    thought_max: int = 32768
    answer_max: int = 8192


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of one delta: text of one phase and its number of tokens."""

    phase: Phase
    text: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one request will be told. Tokens count from 0; the thought comes first."""

    offset: int  # where in the filler the thought begins
    thought_tokens: int
    answer: tuple[str, ...]  # pieces, one a token
    finish_reason: Literal["stop", "length"]
    fault: Literal["error", "cut"] | None = None

    @property
    def tokens(self) -> int:
        """Reasoning plus answer tokens."""
        return self.thought_tokens + len(self.answer)

    def phases(self, begin: int, end: int) -> tuple[tuple[Phase, int], ...]:
        """Tokens `begin` to `end` by phase: (phase, count), one or two."""
        thought = self.thought_tokens
        if end <= thought:
            return (("r", end - begin),)
        if begin >= thought:
            return (("a", end - begin),)
        return (("r", thought - begin), ("a", end - thought))

    def pieces(self, begin: int, end: int) -> list[Piece]:
        """The same with text."""
        thought = self.thought_tokens
        found: list[Piece] = []
        if begin < thought:
            stop = min(end, thought)
            text = "".join([_FILLER[(self.offset + i) % _FILLER_PIECES] for i in range(begin, stop)])
            found.append(Piece("r", text, stop - begin))
        if end > thought:
            start = max(begin, thought) - thought
            found.append(Piece("a", "".join(self.answer[start : end - thought]), end - thought - start))
        return found

    def text(self, phase: Phase) -> str:
        """All text of one phase."""
        return "".join(piece.text for piece in self.pieces(0, self.tokens) if piece.phase == phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a request asks of the text: its messages and limits."""

    messages: Sequence[Mapping[str, str]]
    cap_tokens: int | None = None
    thinking: bool = True
    effort: float = 1.0  # thoughts are so many times as long
    thought_cap: int | None = None
    fill: bool = False  # ignore_eos: go on to the cap


def render_prompt(messages: Sequence[Mapping[str, str]]) -> str:
    """The chat template: what the model sees, and what prompt tokens and prefix blocks are counted on."""
    return "".join([f"<|{message['role']}|>{message['content']}\n" for message in messages]) + "<|assistant|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerKey:
    """Right answers: by a whole line of the last user message, or by the sha256 of that message."""

    by_line: Mapping[str, str] = field(default_factory=dict)
    by_sha256: Mapping[str, str] = field(default_factory=dict)

    def find(self, messages: Sequence[Mapping[str, str]]) -> str | None:
        """The answer to the last user message, if it is known."""
        asked = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
        if self.by_sha256:
            found = self.by_sha256.get(hashlib.sha256(asked.encode()).hexdigest())
            if found is not None:
                return found
        return next((self.by_line[line] for line in map(str.strip, asked.splitlines()) if line in self.by_line), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Writes scripts. `right_share`: how many of the known answers are given right; the shares of faults likewise."""

    lengths: Lengths
    seed: int = 0
    right_share: float = 1.0
    error_share: float = 0.0
    cut_share: float = 0.0
    key: AnswerKey = field(default_factory=AnswerKey)

    def write(self, wish: Wish, prompt: str) -> Script:
        """The script for one request; `prompt` is its rendered text."""
        digest = hashlib.blake2b(prompt.encode(), digest_size=8, key=self.seed.to_bytes(8, "big", signed=True))
        # Fixed order of draws: a changed knob must not change what the others draw.
        draw = random.Random(digest.digest())
        offset = draw.randrange(_FILLER_PIECES)
        thought = self._length(draw, self.lengths.thought_median, self.lengths.thought_sigma, self.lengths.thought_max)
        answer = self._length(draw, self.lengths.answer_median, self.lengths.answer_sigma, self.lengths.answer_max)
        is_right = draw.random() < self.right_share
        fault_draw, fault_at = draw.random(), draw.random()
        pieces = _split(self._answer_text(wish, is_right, offset, answer))
        whole = _capped(wish, offset, self._thought(wish, thought), pieces)
        return self._with_fault(whole, fault_draw, fault_at)

    @staticmethod
    def _length(draw: random.Random, median: float, sigma: float, most: int) -> int:
        # The normal is drawn even where the median is 0: see the fixed order above.
        factor = draw.lognormvariate(0.0, sigma)
        return min(most, max(1, round(median * factor))) if median else 0

    def _thought(self, wish: Wish, tokens: int) -> int:
        if not wish.thinking or not tokens:
            return 0
        most = self.lengths.thought_max if wish.thought_cap is None else min(self.lengths.thought_max, wish.thought_cap)
        return min(most, max(1, round(tokens * wish.effort)))

    def _answer_text(self, wish: Wish, is_right: bool, offset: int, tokens: int) -> str:
        known = self.key.find(wish.messages)
        ending = "" if known is None else "\n\n" + (known if is_right else wrong(known))
        words = max(0 if ending else 1, tokens - tokens_in(ending))
        return "".join([_FILLER[(offset * 7 + i) % _FILLER_PIECES] for i in range(words)]) + ending

    def _with_fault(self, script: Script, fault_draw: float, fault_at: float) -> Script:
        if fault_draw >= self.error_share + self.cut_share:
            return script
        tokens = 1 + int(fault_at * (script.tokens - 1))
        thought = min(script.thought_tokens, tokens)
        return Script(
            offset=script.offset,
            thought_tokens=thought,
            answer=script.answer[: tokens - thought],
            finish_reason=script.finish_reason,
            fault="error" if fault_draw < self.error_share else "cut",
        )


def wrong(answer: str) -> str:
    """A wrong answer that looks like the right one: its last digit is off by one."""
    for at in range(len(answer) - 1, -1, -1):
        if answer[at].isascii() and answer[at].isdigit():
            return f"{answer[:at]}{(int(answer[at]) + 1) % 10}{answer[at + 1 :]}"
    return "I do not know."


def _split(text: str) -> tuple[str, ...]:
    return tuple([text[i : i + TOKEN_CHARS] for i in range(0, len(text), TOKEN_CHARS)])


def _capped(wish: Wish, offset: int, thought: int, answer: tuple[str, ...]) -> Script:
    cap = wish.cap_tokens
    if wish.fill and cap is not None:
        short = max(0, cap - thought - len(answer))
        answer += tuple([_FILLER[(offset * 11 + i) % _FILLER_PIECES] for i in range(short)])
    cut = cap is not None and (wish.fill or thought + len(answer) > cap)
    if cap is not None:
        thought = min(thought, cap)
        answer = answer[: cap - thought]
    return Script(offset=offset, thought_tokens=thought, answer=answer, finish_reason="length" if cut else "stop")
