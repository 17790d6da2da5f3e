"""How a stream stopped and what was in it -> Outcome, from the closed list in `errors`.

HTTP status, an error inside the stream, finish_reason and [DONE] all have a say, in this order of trust.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.errors import Outcome

#: Why the engine (or a test) closed a stream. "ended": the body is whole; "eof": the server closed the connection;
#: "reset": it broke; the rest are the engine's own decisions.
CloseReason = Literal[
    "ended", "eof", "reset", "connect_error", "censored", "protocol_error",
    "timeout_connect", "timeout_ttft", "timeout_gap", "timeout_total",
]  # fmt: skip

#: finish_reason values with which a server gives up: DeepSeek; OpenRouter; vLLM and SGLang; transformers.
GAVE_UP = frozenset({"insufficient_system_resource", "error", "abort", "internal_error"})
CAPPED = frozenset({"length", "max_tokens", "MAX_TOKENS"})

_OURS: Mapping[str, Outcome] = {
    "connect_error": Outcome.CONNECT_ERROR,
    "censored": Outcome.CENSORED,
    "timeout_connect": Outcome.TIMEOUT_CONNECT,
    "timeout_ttft": Outcome.TIMEOUT_TTFT,
    "timeout_gap": Outcome.TIMEOUT_GAP,
    "timeout_total": Outcome.TIMEOUT_TOTAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Everything that decides an outcome."""

    reason: CloseReason
    whole: bool  # the body reached its end as framed
    status: int | None = None
    broken: bool = False  # the bytes broke HTTP, SSE or JSON
    error: bool = False  # an error object inside the stream
    finish_reason: str | None = None
    done_seen: bool = False
    spoke: bool = False  # any delta, or text of an answer that was not streamed
    answered: bool = False  # any answer or tool-call text
    streamed: bool = True
    fixed_length: bool = False
    #: reasoning that was counted but never shown
    hidden_thought: bool = False


def decide(ending: Ending) -> Outcome:
    """The outcome of one request."""
    if ending.broken or ending.reason == "protocol_error":
        return Outcome.PROTOCOL_ERROR
    if ending.status is not None and not 200 <= ending.status < 300:
        return Outcome.RATE_LIMITED if ending.status == 429 else Outcome.HTTP_ERROR
    if ending.error or ending.finish_reason in GAVE_UP:
        return Outcome.STREAM_ERROR
    if not ending.whole and not ending.done_seen:
        return _OURS.get(ending.reason, Outcome.CUT)
    if ending.streamed and not ending.done_seen and ending.finish_reason is None:
        return Outcome.CUT  # closed politely in mid-stream: Ollama's way to fail
    return _whole(ending)


def _whole(ending: Ending) -> Outcome:
    if ending.finish_reason in CAPPED and (ending.spoke or ending.hidden_thought):
        if ending.fixed_length:
            return Outcome.OK
        return Outcome.TRUNCATED if ending.answered else Outcome.CUT_IN_THOUGHT
    return Outcome.OK if ending.spoke else Outcome.EMPTY
