"""Events with their arrival times -> Transcript: deltas by phase, ending, usage and facts of one answer.

A delta is one event with non-empty reasoning, answer or tool-call text; role-only and empty events are none.
"""

from array import array
from typing import Any

from harness.load.stream.chunk import Chunk, Delta, Facts, decode_any, decode_chunk, decode_facts, error_text, present
from harness.load.stream.stencil import Run
from harness.load.stream.thought import Thought
from harness.load.stream.usage import Heard, Usage, completion_tokens, read_usage

MAX_TEXT_CHARS = 1024 * 1024

_REASONING, _ANSWER, _TOOL = b"rat"
_NOTHING_ELSE = Chunk()


class Transcript:
    """What one answer said and when. Grows by 9 bytes a delta, plus the text where that is kept."""

    __slots__ = (
        "_answer", "_field", "_reasoning", "_room", "_thought", "_usage", "answer_chars", "arrivals",
        "done_seen", "error", "facts", "finish_reason", "first_answer_delta_tokens", "first_delta_tokens",
        "last_event_ns", "phases", "read_spoke", "reasoning_chars", "running", "shared_reads", "times",
        "tool_chars",
    )  # fmt: skip

    def __init__(self, keep_text: bool) -> None:
        self.phases = bytearray()
        self.arrivals = array("q")
        self.read_spoke = False  # the current read has brought a delta already; the stream resets it for each read
        self.shared_reads = 0
        self.reasoning_chars = self.answer_chars = self.tool_chars = 0
        self.finish_reason: str | None = None
        self.done_seen = False
        self.error: str | None = None  # an error object in the stream
        self.last_event_ns: int | None = None
        self.first_delta_tokens: int | None = None
        self.first_answer_delta_tokens: int | None = None
        self.facts: Facts | None = None
        self.times: dict[str, float] = {}
        self.running = False  # the newest usage rode on a delta: a running count, not the final one
        self._usage = b""  # the newest
        self._thought = Thought()
        self._field: str | None = None  # in which reasoning comes, where it has one of its own
        self._answer: list[str] | None = [] if keep_text else None
        self._reasoning: list[str] = []
        self._room = MAX_TEXT_CHARS

    # -- what comes in

    def take(self, event: bytes, arrival_ns: int) -> None:
        """One event of a stream; raises ProtocolError where it is not JSON."""
        self.last_event_ns = arrival_ns
        if event == b"[DONE]":
            self.done_seen = True
            return
        chunk = decode_chunk(event)
        choice = chunk.choices[0] if chunk.choices else None
        if choice is not None:
            if choice.delta is not None:
                self._delta(choice.delta, arrival_ns, chunk)
            elif choice.text:
                self._delta(Delta(content=choice.text), arrival_ns, chunk)
            if choice.finish_reason:
                self.finish_reason = choice.finish_reason
        if chunk.usage and (raw := present(chunk.usage)):
            self._usage = raw
            self.running = choice is not None and self.finish_reason is None
        if chunk.error and (raw := present(chunk.error)):
            self.fail(error_text(raw))
        if choice is None or choice.finish_reason or self.facts is None:
            self._learn(decode_facts(event))
            if choice is None and not chunk.usage and self.error is None:
                self._bare_error(event)

    def take_run(self, run: Run) -> None:
        """Deltas of consecutive reads, each nothing but a text in one field."""
        text = run.text.decode()
        letter = self._thought.passes(text) if run.field == "content" else _REASONING
        if letter == 0:
            for piece, arrival_ns, shared in run.pieces():
                self.read_spoke = shared
                self._delta(Delta(content=piece), arrival_ns, _NOTHING_ELSE)
        else:
            self._take_settled(letter, text, run.arrivals_ns)
            self.shared_reads += run.shared
        self.last_event_ns = run.arrivals_ns[-1]

    def _take_settled(self, letter: int, text: str, arrivals_ns: "array[int]") -> None:
        """A run that is all reasoning, or all answer."""
        if letter == _REASONING:
            self.reasoning_chars += len(text)
        else:
            self.answer_chars += len(text)
        if self._answer is not None:
            self._keep(self._reasoning if letter == _REASONING else self._answer, text)
        self.phases += bytes((letter,)) * len(arrivals_ns)
        self.arrivals.extend(arrivals_ns)
        self.read_spoke = True

    def take_answer(self, body: bytes) -> None:
        """The whole JSON of an answer that was not streamed: text and counts, no deltas."""
        chunk = decode_chunk(body)
        choice = chunk.choices[0] if chunk.choices else None
        if choice is not None:
            message = choice.message or Delta(content=choice.text)
            self._say(message)
            self.finish_reason = choice.finish_reason
        self._usage = present(chunk.usage) or b""
        if raw := present(chunk.error):
            self.fail(error_text(raw))
        self._learn(decode_facts(body))

    def fail(self, words: str) -> None:
        """An error was sent inside the stream; the first one counts."""
        if self.error is None:
            self.error = words or "error without words"

    # -- what comes out

    @property
    def deltas(self) -> int:
        """Events with text so far."""
        return len(self.phases)

    @property
    def reasoning_text(self) -> str:
        """Text of the reasoning, tags included, as far as it was kept."""
        return "".join(self._reasoning)

    @property
    def answer_text(self) -> str:
        """Text of the answer, as far as it was kept."""
        return "".join(self._answer or ())

    @property
    def reasoning_field(self) -> str | None:
        """How reasoning was told from the answer: the name of a field, or a tag."""
        return self._field or self._thought.tag

    @property
    def spoke(self) -> bool:
        """Any text at all, in deltas or in an answer that was not streamed."""
        return bool(self.reasoning_chars or self.answer_chars or self.tool_chars)

    def heard(self) -> Heard:
        """Counts of text for the token rules; tool calls are part of the answer."""
        return Heard(
            deltas=self.deltas,
            reasoning_chars=self.reasoning_chars,
            answer_chars=self.answer_chars + self.tool_chars,
        )

    def usage(self) -> Usage | None:
        """The newest usage object."""
        return read_usage(self._usage) if self._usage else None

    def first_ns(self, letters: bytes) -> int | None:
        """Arrival of the first delta of these phases."""
        places = [at for letter in letters if (at := self.phases.find(letter)) >= 0]
        return self.arrivals[min(places)] if places else None

    # -- one delta

    def _delta(self, delta: Delta, arrival_ns: int, chunk: Chunk) -> None:
        letter = self._say(delta)
        if not letter:
            return
        running = present(chunk.usage) if chunk.usage else None
        if not self.phases and running:
            self.first_delta_tokens = completion_tokens(running)
        if letter != _REASONING and self.first_answer_delta_tokens is None and running:
            before = completion_tokens(self._usage) if self._usage else 0
            now = completion_tokens(running)
            if now is not None and before is not None and now > before:
                self.first_answer_delta_tokens = now - before
        self.phases.append(letter)
        self.arrivals.append(arrival_ns)
        if self.read_spoke:
            self.shared_reads += 1
        self.read_spoke = True

    def _say(self, delta: Delta) -> int:
        """Account for the text of one delta; its phase letter, 0 where it says nothing."""
        letter = 0
        if thought := delta.thought_text():
            if self._field is None:
                self._field = delta.thought_field()
                self._thought.apart()
            self.reasoning_chars += len(thought)
            self._keep(self._reasoning, thought)
            letter = _REASONING
        if content := delta.content or delta.refusal:
            letter = self._say_content(content)
        if (delta.tool_calls or delta.function_call) and (tool := delta.tool_text()):
            self.tool_chars += len(tool)
            letter = letter if letter == _ANSWER else _TOOL
        return letter

    def _say_content(self, text: str) -> int:
        cut = self._thought.feed(text)
        if self._thought.takes_back:
            self._take_back()
        if cut:
            self.reasoning_chars += cut
            self._keep(self._reasoning, text[:cut])
            if cut == len(text):
                return _REASONING
            text = text[cut:]
        self.answer_chars += len(text)
        if self._answer is not None:
            self._keep(self._answer, text)
        return _ANSWER

    def _take_back(self) -> None:
        """Everything that looked like an answer so far was reasoning."""
        self.phases[:] = self.phases.replace(b"a", b"r")
        self.reasoning_chars += self.answer_chars
        self.answer_chars = 0
        self.first_answer_delta_tokens = None
        if self._answer is not None:
            self._reasoning += self._answer
            self._answer.clear()

    def _keep(self, texts: list[str], text: str) -> None:
        if self._answer is not None and self._room > 0:
            texts.append(text[: self._room])
            self._room -= len(text)

    # -- facts

    def _learn(self, facts: Facts) -> None:
        known = self.facts = self.facts or Facts()
        known.model = known.model or facts.model
        known.system_fingerprint = facts.system_fingerprint or known.system_fingerprint
        known.provider = known.provider or facts.provider
        for times in (facts.timings, facts.time_info):
            self.times.update(_numbers(times or {}))
        if facts.x_groq is not None:
            self._usage = present(facts.x_groq.usage) or self._usage
            if raw := present(facts.x_groq.error):
                self.fail(error_text(raw))

    def _bare_error(self, event: bytes) -> None:
        """{"object": "error", "message": ...} without an `error` key, as older servers send it."""
        value = decode_any(event)
        if isinstance(value, dict) and (value.get("object") == "error" or value.get("type") == "error"):
            self.fail(error_text(event))


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
