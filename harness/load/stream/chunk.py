"""The JSON of one event -> Chunk: what a delta says, as text by phase, with usage and errors left raw.

A typed decoder reads what nearly every server sends; whatever does not fit its types goes through a slow, lenient
reader to the same Chunk.
"""

import json
from typing import Any

import msgspec

from harness.load.stream.head import ProtocolError
from harness.records import SUMMARY_FIELD

_NULL = b"null"


class Function(msgspec.Struct, gc=False):
    """Name and arguments of a tool call, each perhaps only a piece."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """One entry of delta.tool_calls."""

    function: Function | None = None


class ReasoningDetail(msgspec.Struct, gc=False):
    """One entry of OpenRouter's reasoning_details; encrypted ones carry no text."""

    text: str | None = None
    summary: str | None = None


class Delta(msgspec.Struct, gc=False):
    """A delta, or the whole message of an answer that was not streamed."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    refusal: str | None = None

    def thought_text(self) -> str:
        """Reasoning in fields of its own; several spellings of the same text count once."""
        text = self.reasoning_content or self.reasoning
        if not text and self.reasoning_details:
            text = "".join(detail.text or detail.summary or "" for detail in self.reasoning_details)
        return text or ""

    def thought_field(self) -> str:
        """The field that `thought_text` came from; whether it is a summary, where the server says so."""
        if any(detail.summary for detail in self.reasoning_details or ()):
            return SUMMARY_FIELD
        if self.reasoning_content:
            return "reasoning_content"
        return "reasoning" if self.reasoning else "reasoning_details"

    def tool_text(self) -> str:
        """Names and arguments of tool calls."""
        functions = [call.function for call in self.tool_calls or ()] + [self.function_call]
        return "".join((function.name or "") + (function.arguments or "") for function in functions if function)


class Choice(msgspec.Struct, gc=False):
    """One choice: delta (streamed), message (not streamed) or text (legacy completions)."""

    delta: Delta | None = None
    message: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """One event. `usage` and `error` stay raw: most events have none, and only the last ones count."""

    choices: list[Choice] = []
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class Groq(msgspec.Struct):
    """Groq's own field: usage on the last event, an error in the stream."""

    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class Facts(msgspec.Struct):
    """What an event says about the server; read from the first event and the last ones only."""

    model: str | None = None
    system_fingerprint: str | None = None
    provider: str | None = None
    timings: dict[str, Any] | None = None  # llama.cpp
    time_info: dict[str, Any] | None = None  # Cerebras
    x_groq: Groq | None = None


_chunk = msgspec.json.Decoder(Chunk)
_facts = msgspec.json.Decoder(Facts)


def decode_chunk(event: bytes) -> Chunk:
    """Read one event; raises ProtocolError where it is no JSON object."""
    try:
        return _chunk.decode(event)
    except msgspec.ValidationError:
        return _lenient(event)
    except (ValueError, RecursionError):
        return _lenient(_mended(event))


def decode_facts(event: bytes) -> Facts:
    """The facts of an event that `decode_chunk` accepted; fields of an unknown shape are left out."""
    try:
        return _facts.decode(event)
    except msgspec.ValidationError:
        return _lenient_facts(decode_any(event))
    except (ValueError, RecursionError):
        return Facts()


def decode_any(raw: bytes) -> Any:
    """Any JSON value; None where it is none."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None


def _mended(event: bytes) -> bytes:
    """JSON that only half the world accepts: NaN and Infinity in it, or half of a UTF-16 surrogate pair."""
    try:
        value = json.loads(event, parse_constant=lambda _: None)
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"event is not JSON: {error}") from None


def present(raw: msgspec.Raw) -> bytes | None:
    """The bytes of a raw field, None where it is absent, null or empty."""
    text = bytes(raw)
    return text if text and text != _NULL else None


def error_text(raw: bytes) -> str:
    """The words of an error, which may be an object, a string, an object with either in it, or anything else."""
    value = decode_any(raw)
    while isinstance(value, dict) and isinstance(value.get("error"), dict | str):
        value = value["error"]
    if isinstance(value, dict):
        words = [str(value[key]) for key in ("message", "detail") if isinstance(value.get(key), str)]
        tags = [str(value[key]) for key in ("type", "code") if isinstance(value.get(key), str)]
        tags += [str(value["code"])] if _small(value.get("code")) else []
        if words:
            return words[0] + (f" ({', '.join(tags)})" if tags else "")
    return value if isinstance(value, str) else raw.decode("utf-8", "replace")


def _small(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9


def _lenient(event: bytes) -> Chunk:
    value = decode_any(event)
    if not isinstance(value, dict):
        raise ProtocolError("event is JSON, but no object")
    choices = value.get("choices")
    known = [_choice(entry) for entry in choices if isinstance(entry, dict)] if isinstance(choices, list) else []
    return Chunk(choices=known, usage=_raw(value.get("usage")), error=_raw(value.get("error")))


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw() if value is None else msgspec.Raw(msgspec.json.encode(value))


def _choice(entry: dict[str, Any]) -> Choice:
    return Choice(
        delta=_delta(entry.get("delta")),
        message=_delta(entry.get("message")),
        text=_text(entry.get("text")),
        finish_reason=_text(entry.get("finish_reason")),
    )


def _delta(value: object) -> Delta | None:
    if not isinstance(value, dict):
        return None
    content, thought = value.get("content"), ""
    if isinstance(content, list):  # Mistral: typed parts, thinking among them
        content, thought = _parts(content)
    return Delta(
        content=_text(content),
        reasoning_content=thought or _text(value.get("reasoning_content")),
        reasoning=_text(value.get("reasoning")),
        reasoning_details=_entries(value.get("reasoning_details"), list[ReasoningDetail]),
        tool_calls=_entries(value.get("tool_calls"), list[ToolCall]),
        refusal=_text(value.get("refusal")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _entries(value: object, shape: Any) -> Any:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return None


def _parts(parts: list[Any]) -> tuple[str, str]:
    """(answer, thought) of a content list."""
    answer, thought = "", ""
    for part in parts:
        if not isinstance(part, dict):
            continue
        inner = part.get("thinking")
        if isinstance(inner, list):
            inner = _parts(inner)[0]
        thought += inner if isinstance(inner, str) else ""
        answer += part["text"] if isinstance(part.get("text"), str) else ""
    return answer, thought


def _lenient_facts(value: Any) -> Facts:
    if not isinstance(value, dict):
        return Facts()
    facts = Facts(
        model=_text(value.get("model")),
        system_fingerprint=_text(value.get("system_fingerprint")),
        provider=_text(value.get("provider")),
    )
    facts.timings = value["timings"] if isinstance(value.get("timings"), dict) else None
    facts.time_info = value["time_info"] if isinstance(value.get("time_info"), dict) else None
    return facts
