"""Asker -> how an endpoint speaks: streaming, usage, reasoning, caps, caching, errors; each by one small question."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import PreflightError
from harness.load.clock import now_ns
from harness.probe.asking import Asker, Stream
from harness.probe.findings import Finding
from harness.providers import RequestOptions

_COUNTING = "Think first, then count from 1 to 40, digits only."
_FIRST_CAP, _SMALL_CAP, _TIGHT_CAP = 24, 8, 4
#: Long enough for a provider that caches from 1,024 tokens on, at four characters a token.
_LONG_CHARS = 5600
_NO_SUCH_MODEL = "trueyield-no-such-model"


@dataclass(slots=True)
class Wire:
    """What the questions so far have shown."""

    cap_field: str = "max_tokens"
    include_usage: bool = True
    continuous_usage: bool = False
    deepseek_usage: bool = False
    findings: list[Finding] = field(default_factory=list)

    def add(self, name: str, value: str | None, how: str) -> None:
        """One more finding."""
        self.findings.append(Finding(name=name, value=value, how=how))

    def options(self, declared: RequestOptions) -> RequestOptions:
        """Request options as found; extra fields and headers as they were declared."""
        return RequestOptions(
            cap_field="max_completion_tokens" if self.cap_field == "max_completion_tokens" else "max_tokens",
            include_usage=self.include_usage,
            continuous_usage=self.continuous_usage,
            extra_body=declared.extra_body,
            headers=declared.headers,
        )


def ask_all(asker: Asker, context: int | None) -> Wire:
    """All questions, about nine small calls. Raises PreflightError where the first gets no answer."""
    wire = Wire()
    first = _first(asker, wire)
    _tell_streaming(first, wire)
    _tell_reasoning(first, wire)
    _ask_usage(asker, first, wire)
    _ask_caps(asker, first, wire)
    _ask_cache(asker, context, wire)
    _ask_errors(asker, wire)
    return wire


def _usage_options(wire: Wire, **more: bool) -> dict[str, Any]:
    return {"stream_options": {"include_usage": True, **more}} if wire.include_usage else {}


def _first(asker: Asker, wire: Wire) -> Stream:
    """One plain stream; what the server refuses is left out or renamed, and asked again."""
    for _ in range(3):
        stream = asker.chat(_COUNTING, {wire.cap_field: _FIRST_CAP}, **_usage_options(wire))
        words = stream.answer.words
        if stream.answer.ok:
            return stream
        if stream.answer.status in {400, 422} and wire.cap_field in words and wire.cap_field == "max_tokens":
            wire.cap_field = "max_completion_tokens"
        elif stream.answer.status in {400, 422} and "stream_options" in words and wire.include_usage:
            wire.include_usage = False
        else:
            break
    status = stream.answer.status
    said = f"HTTP {status}: {words}" if status is not None else words
    raise PreflightError(f"{asker.endpoint.base_url} did not answer a small chat request ({said})",
                         "see the model's name, the key and `request: {extra_body: ...}` of the entry")  # fmt: skip


def _tell_streaming(stream: Stream, wire: Wire) -> None:
    kind = "events" if stream.events else "no event stream"
    ends = "[DONE]" if stream.done else "without [DONE]"
    finish = f"finish_reason {stream.finish_reason}" if stream.finish_reason else "no finish_reason"
    wire.add("streaming", f"{kind}, {finish}, ends {ends}" if stream.events else kind, f"{_FIRST_CAP} tokens asked")
    errors = [event["error"] for event in stream.events if event.get("error")]
    if errors:
        raise PreflightError(f"the stream held an error: {str(errors[0])[:200]}", "look at the server's log")


def _tell_reasoning(stream: Stream, wire: Wire) -> None:
    deltas = stream.deltas()
    how = f"first {_FIRST_CAP} tokens of a stream"
    for name in ("reasoning_content", "reasoning", "reasoning_details"):
        if any(delta.get(name) for delta in deltas):
            return wire.add("reasoning", f"in delta.{name}", how)
    text = "".join(delta["content"] for delta in deltas if isinstance(delta.get("content"), str))
    if text.lstrip().startswith(("<think", "[THINK]", "<|channel|>")):
        return wire.add("reasoning", f"inside content, opened by {text.lstrip().split('>')[0][:12]}>", how)
    details = stream.usage.get("completion_tokens_details")
    counted = details.get("reasoning_tokens") if isinstance(details, dict) else None
    if counted:
        return wire.add("reasoning", "hidden: counted in usage, not sent", how)
    wire.add("reasoning", "none seen", how)


def _ask_usage(asker: Asker, first: Stream, wire: Wire) -> None:
    wire.add("usage", _place(first), "stream_options.include_usage" if wire.include_usage else "include_usage refused")
    wire.deepseek_usage = "prompt_cache_hit_tokens" in first.usage
    unasked = asker.chat(_COUNTING, {wire.cap_field: _SMALL_CAP})
    wire.add("usage unasked", _place(unasked) if unasked.usages() else "none", "the same without stream_options")
    if not first.usages():  # asking for it changes nothing here
        wire.include_usage = False
        return
    each = asker.chat(_COUNTING, {wire.cap_field: _SMALL_CAP}, **_usage_options(wire, continuous_usage_stats=True))
    if not each.answer.ok:
        return wire.add("continuous usage", "refused", f"continuous_usage_stats: HTTP {each.answer.status}")
    counts = [usage.get("completion_tokens") for _, usage in each.usages()]
    wire.continuous_usage = len(counts) > 2 and len({count for count in counts if count}) > 1
    words = f"yes, {len(counts)} counts in {len(each.events)} events" if wire.continuous_usage else "no"
    wire.add("continuous usage", words, "stream_options.continuous_usage_stats")


def _place(stream: Stream) -> str | None:
    """Where usage stands in a stream."""
    usages = stream.usages()
    if not usages:
        return None
    if len(usages) > 2:
        return f"on {len(usages)} of {len(stream.events)} events"
    place, _ = usages[-1]
    own = not stream.events[place].get("choices")
    return "on an event of its own" if own else "on the finish event"


def _ask_caps(asker: Asker, first: Stream, wire: Wire) -> None:
    count = first.output_tokens
    kept = count is not None and count <= _FIRST_CAP
    told = f"{wire.cap_field}, kept ({count} of {_FIRST_CAP})" if kept else f"{wire.cap_field}, accepted"
    wire.add("cap field", told, f"{wire.cap_field}: {_FIRST_CAP}")
    if wire.cap_field != "max_tokens":
        return wire.add("other cap field", "max_tokens refused", "max_tokens in the first call")
    both = {"max_tokens": _FIRST_CAP, "max_completion_tokens": _TIGHT_CAP}
    stream = asker.chat(_COUNTING, both, **_usage_options(wire))
    how = f"max_completion_tokens: {_TIGHT_CAP} beside max_tokens: {_FIRST_CAP}"
    count = stream.output_tokens
    if not stream.answer.ok:
        return wire.add("other cap field", "max_completion_tokens refused beside it", how)
    if count is None:
        return wire.add("other cap field", None, f"{how}; nothing was counted")
    if count > _TIGHT_CAP:
        return wire.add("other cap field", f"max_completion_tokens ignored ({count} tokens came)", how)
    understood = stream.finish_reason == "length"
    words = "max_completion_tokens is understood, too" if understood else None
    wire.add("other cap field", words, how if understood else f"{how}; the answer was short by itself")


def _ask_cache(asker: Asker, context: int | None, wire: Wire) -> None:
    """The same long prompt twice; a number in front makes the first one new."""
    room = _LONG_CHARS if context is None else min(_LONG_CHARS, context // 2)
    text = (f"{now_ns()}. " + "Count the words of this sentence, then forget them. " * (room // 52))[:room]
    how = f"one prompt of {room} characters, twice"
    streams = [asker.chat(text, {wire.cap_field: 1}, **_usage_options(wire)) for _ in range(2)]
    if not all(stream.answer.ok for stream in streams):
        refused = next(stream for stream in streams if not stream.answer.ok)
        return wire.add("prefix cache", None, f"{how}: HTTP {refused.answer.status}")
    counts = [_cached(stream.usage) for stream in streams]
    if counts[0] is None and counts[1] is None:
        return wire.add("prefix cache", None, f"{how}: no cached_tokens in usage")
    words = f"cached_tokens {counts[0] or 0}, then {counts[1] or 0} of {streams[1].usage.get('prompt_tokens')}"
    wire.add("prefix cache", words, how)


def _cached(usage: Mapping[str, Any]) -> int | None:
    details = usage.get("prompt_tokens_details")
    told = details.get("cached_tokens") if isinstance(details, dict) else None
    told = usage.get("prompt_cache_hit_tokens") if told is None else told
    return told if isinstance(told, int) else None


def _ask_errors(asker: Asker, wire: Wire) -> None:
    stream = asker.chat("hi", {wire.cap_field: 1}, model=_NO_SUCH_MODEL)
    how = f"model {_NO_SUCH_MODEL!r}"
    if stream.answer.ok and not any(event.get("error") for event in stream.events):
        return wire.add("error form", "any model's name is accepted", how)
    error = stream.answer.fields.get("error")
    if stream.answer.ok:
        shape = "an error event in the stream"
    elif isinstance(error, dict):
        shape = f"error object: {', '.join(error)}"
    else:
        shape = "error as text" if isinstance(error, str) else stream.answer.words[:60]
    wire.add("error form", f"HTTP {stream.answer.status}, {shape}", how)
