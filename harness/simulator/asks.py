"""Ask: the bytes of a chat completion request -> what the endpoint must do, or a Refusal that says why not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.simulator.dialects import WireRules
from harness.simulator.texts import Wish

#: How much longer or shorter thoughts are. Invented: real models each have their own.
_EFFORTS = {"minimal": 0.25, "low": 0.5, "medium": 1.0, "high": 2.0, "xhigh": 3.0, "max": 4.0}


class Refusal(Exception):
    """The request is answered with an error; `body` is its JSON."""

    def __init__(self, status: int, message: str, kind: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code

    def body(self, rules: WireRules) -> dict[str, Any]:
        """The error object as this dialect shapes it."""
        if self.status == 401 and rules.name == "vllm":
            return {"error": "Unauthorized"}  # vLLM sends a string here
        codes = {"int": self.status, "null": None, "openai": self.code}
        error = {"message": str(self), "type": self.kind, "param": None, "code": codes[rules.error_code]}
        return {"error": error}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One parsed request."""

    model: str
    wish: Wish
    stream: bool
    include_usage: bool
    continuous_usage: bool


def parse_ask(body: bytes, rules: WireRules) -> Ask:
    """Read a request body; raises Refusal with the status and words of the dialect."""
    try:
        data = json.loads(body)
    except ValueError as error:
        raise Refusal(400, f"invalid JSON: {error}", "Bad Request") from None
    if not isinstance(data, dict):
        raise Refusal(400, "the body must be a JSON object", "Bad Request")
    stream = data.get("stream", False) is True
    options = data.get("stream_options")
    if options and not stream and rules.name == "vllm":
        raise Refusal(400, "Stream options can only be defined when `stream=True`.", "BadRequestError")
    options = options if isinstance(options, dict) else {}
    return Ask(
        model=str(data.get("model", "")),
        wish=Wish(
            messages=_messages(data.get("messages")),
            cap_tokens=_cap(data),
            thinking=_thinking(data),
            effort=_effort(data),
            thought_cap=_thought_cap(data),
            fill=data.get("ignore_eos") is True,
        ),
        stream=stream,
        include_usage=options.get("include_usage") is True,
        continuous_usage=rules.continuous_usage and options.get("continuous_usage_stats") is True,
    )


def _messages(value: object) -> tuple[Mapping[str, str], ...]:
    if not isinstance(value, list) or not value:
        raise Refusal(400, "[] is too short - 'messages'", "invalid_request_error", "invalid_request_error")
    messages = []
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise Refusal(400, "each message needs a role and content", "BadRequestError", "invalid_request_error")
        messages.append({"role": message["role"], "content": _content(message.get("content"))})
    return tuple(messages)


def _content(value: object) -> str:
    if isinstance(value, list):  # content parts; only text is understood
        return "".join(str(part.get("text", "")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _cap(data: Mapping[str, Any]) -> int | None:
    cap = data.get("max_completion_tokens", data.get("max_tokens"))
    if cap is None:
        return None
    if not isinstance(cap, int) or isinstance(cap, bool) or cap < 1:
        raise Refusal(400, f"max_tokens must be at least 1, got {cap}.", "BadRequestError", "invalid_request_error")
    return cap


def _thinking(data: Mapping[str, Any]) -> bool:
    """Each dialect's own way to switch the thought off."""
    if _template(data).get("enable_thinking") is False:
        return False
    thinking = data.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "disabled":
        return False
    return data.get("reasoning_effort") != "none"


def _effort(data: Mapping[str, Any]) -> float:
    level = data.get("reasoning_effort", _template(data).get("reasoning_effort"))
    if level is None or level == "none":
        return 1.0
    if not isinstance(level, str) or level not in _EFFORTS:
        raise Refusal(400, f"reasoning_effort must be one of none, {', '.join(_EFFORTS)}.", "BadRequestError")
    return _EFFORTS[level]


def _thought_cap(data: Mapping[str, Any]) -> int | None:
    """In vLLM's words, or llama.cpp's."""
    cap = data.get("thinking_token_budget", data.get("thinking_budget_tokens"))
    return cap if isinstance(cap, int) and not isinstance(cap, bool) and cap >= 0 else None


def _template(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments of the model's chat template."""
    found = data.get("chat_template_kwargs")
    return found if isinstance(found, dict) else {}
