"""Reply: the pieces of one script -> the bytes of its stream, or of its one JSON document, in a dialect.

The constant parts of a chunk are rendered once a request and the escaped text is spliced in: encoding a whole
chunk for every delta would be most of the work of the endpoint.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from harness.simulator.dialects import ReasoningField, WireRules
from harness.simulator.texts import Piece, Script

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
#: what vLLM says when its engine process dies
FAILURE = {
    "error": {
        "message": "EngineCore encountered an issue.",
        "type": "InternalServerError",
        "param": None,
        "code": 500,
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Tokens to report, and the times that llama.cpp tells."""

    input_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    output_tokens: int
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What stands on every chunk of one answer, and which optional parts the request asked for."""

    rules: WireRules
    reasoning_field: ReasoningField
    reply_id: str
    created: int
    model: str
    include_usage: bool = False
    continuous_usage: bool = False


def escaped(text: str) -> str:
    """`text` as it stands between the quotes of a JSON string; beyond ASCII as UTF-8, as engines send it."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


class Reply:
    """Renders one streamed answer; remembers only how far its frame has come: opened, tagged, finished."""

    def __init__(self, heading: Heading, script: Script) -> None:
        self._heading, self._rules, self._script = heading, heading.rules, script
        self._opened = self._finished = False
        self._tag: Literal["none", "open", "closed"] = "none"
        self.counts_each = heading.continuous_usage
        field = heading.reasoning_field
        self._thought = self._rules.thought_delta.get(field)
        self._head = (
            f'data: {{"id":{json.dumps(heading.reply_id)},"object":"chat.completion.chunk",'
            f'"created":{heading.created},"model":{json.dumps(heading.model)},{self._fingerprint(last=False)}"choices":['
        )
        null_usage = self._rules.usage_null_elsewhere and heading.include_usage
        self._tail = ',"usage":null}\n\n' if null_usage else "}\n\n"

    def visible(self, piece: Piece) -> bool:
        """Whether a piece reaches the wire at all: hidden thoughts do not."""
        return piece.phase == "a" or self._heading.reasoning_field != "hidden"

    def opening(self) -> bytes:
        """The role chunk, where the dialect has one; b'' the second time."""
        if self._opened or self._rules.role_delta is None:
            return b""
        self._opened = True
        return self._chunk(self._rules.role_delta, None, None).encode()

    def delta(self, piece: Piece, finish: str | None, running: Counted | None) -> bytes:
        """One piece as one event. `finish` only where it is the last piece; `running` where usage rides on all."""
        text = escaped(self._tagged(piece))
        template = self._rules.answer_delta
        if piece.phase == "r" and self._thought is not None:
            template = self._thought
        delta = template.replace("%s", text, 1)
        if not self._opened:
            self._opened = True
            delta = '{"role":"assistant",' + delta[1:]
        # A chunk that ends the answer carries the reason with its text (vLLM) or leaves it to a chunk of its own.
        reason = finish if self._rules.finish_on == "last_content" else None
        self._finished = reason is not None
        return self._chunk(delta, reason, running).encode()

    def closing(self, finish: str, counted: Counted) -> bytes:
        """Everything after the last piece: finish chunk, usage chunk, [DONE], as the dialect orders them."""
        rules, parts = self._rules, []
        own_usage = rules.usage_on == "own_chunk" and self._heading.include_usage
        if not self._finished:
            usage = counted if rules.usage_on == "finish" else None
            timings = None if own_usage else counted
            parts.append(self._chunk(rules.finish_delta, finish, usage, timings=timings, last=not own_usage))
        if own_usage:
            parts.append(self._usage_chunk(counted))
        return "".join(parts).encode() + DONE

    def failing(self, counted: Counted) -> bytes:
        """The end of a stream whose server failed after status 200."""
        if self._rules.failure == "finish_reason":
            return self.closing("insufficient_system_resource", counted)
        if self._rules.failure == "silent":  # neither finish reason nor [DONE], and the model's name is gone
            chunk = self._chunk('{"content":""}', None, None)
            return chunk.replace(f'"model":{json.dumps(self._heading.model)}', '"model":""', 1).encode()
        return f"data: {json.dumps(FAILURE)}\n\n".encode() + DONE

    def whole(self, counted: Counted) -> dict[str, Any]:
        """The answer to `stream: false`."""
        heading, script = self._heading, self._script
        message: dict[str, Any] = {"role": "assistant", "content": script.text("a")}
        if script.thought_tokens and heading.reasoning_field == "think-tag":
            message["content"] = f"<think>{script.text('r')}</think>{message['content']}"
        elif script.thought_tokens and heading.reasoning_field != "hidden":
            message[heading.reasoning_field] = script.text("r")
        document: dict[str, Any] = {
            "id": heading.reply_id,
            "object": "chat.completion",
            "created": heading.created,
            "model": heading.model,
            "choices": [{"index": 0, "message": message, "finish_reason": script.finish_reason}],
            "usage": usage_of(self._rules, counted),
        }
        if self._rules.fingerprint:
            document["system_fingerprint"] = self._rules.fingerprint
        if self._rules.timings:
            document["timings"] = timings_of(counted)
        return document

    def _tagged(self, piece: Piece) -> str:
        """Thought as text between <think> tags; the tags ride on the first thought and the first answer piece."""
        if self._heading.reasoning_field != "think-tag":
            return piece.text
        if piece.phase == "r" and self._tag == "none":
            self._tag = "open"
            return "<think>" + piece.text
        if piece.phase == "a" and self._tag == "open":
            self._tag = "closed"
            return "</think>" + piece.text
        return piece.text

    def _chunk(
        self,
        delta: str,
        finish: str | None,
        usage: Counted | None,
        *,
        timings: Counted | None = None,
        last: bool = False,
    ) -> str:
        reason = "null" if finish is None else f'"{finish}"'
        head = self._head
        if last and self._rules.fingerprint_on == "last":
            head = head.replace('"choices":[', self._fingerprint(last=True) + '"choices":[')
        tail = self._tail
        if usage is not None:
            tail = f',"usage":{json.dumps(usage_of(self._rules, usage), separators=(",", ":"))}}}\n\n'
        if timings is not None and self._rules.timings:
            tail = f',"timings":{json.dumps(timings_of(timings), separators=(",", ":"))}' + tail
        return f'{head}{{"index":0,"delta":{delta},"finish_reason":{reason}}}]{tail}'

    def _usage_chunk(self, counted: Counted) -> str:
        usage = json.dumps(usage_of(self._rules, counted), separators=(",", ":"))
        head = self._head
        if self._rules.fingerprint_on == "last":
            head = head.replace('"choices":[', self._fingerprint(last=True) + '"choices":[')
        timings = ""
        if self._rules.timings:
            timings = f',"timings":{json.dumps(timings_of(counted), separators=(",", ":"))}'
        return f'{head}],"usage":{usage}{timings}}}\n\n'

    def _fingerprint(self, *, last: bool) -> str:
        if self._rules.fingerprint is None or (self._rules.fingerprint_on == "last") != last:
            return ""
        return f'"system_fingerprint":{json.dumps(self._rules.fingerprint)},'


def usage_of(rules: WireRules, counted: Counted) -> dict[str, Any]:
    """The usage object of this dialect."""
    usage: dict[str, Any] = {
        "prompt_tokens": counted.input_tokens,
        "completion_tokens": counted.output_tokens,
        "total_tokens": counted.input_tokens + counted.output_tokens,
    }
    if rules.usage_details == "plain":
        return usage
    usage["prompt_tokens_details"] = {"cached_tokens": counted.cached_tokens}
    if rules.usage_details == "cached_only":
        return usage
    usage["completion_tokens_details"] = {"reasoning_tokens": counted.reasoning_tokens}
    if rules.usage_details == "deepseek":
        usage["prompt_cache_hit_tokens"] = counted.cached_tokens
        usage["prompt_cache_miss_tokens"] = counted.input_tokens - counted.cached_tokens
    return usage


def timings_of(counted: Counted) -> dict[str, Any]:
    """llama.cpp's `timings` object, milliseconds."""
    return {
        "cache_n": counted.cached_tokens,
        "prompt_n": counted.input_tokens - counted.cached_tokens,
        "prompt_ms": round(counted.prefill_s * 1e3, 3),
        "predicted_n": counted.output_tokens,
        "predicted_ms": round(counted.decode_s * 1e3, 3),
    }
