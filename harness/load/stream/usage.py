"""Raw usage objects and counted text -> TokenCounts: what was billed, by phase, and who says so.

The rules, in order:
- the total comes from the server's usage; without one it is an estimate: one token a delta where deltas are as
  short as tokens (<= 6 characters on average), else 4 characters a token, rounded up;
- reasoning tokens come from usage where it counts more than 0 (servers are known to say 0 beside visible
  reasoning), else from the share of reasoning characters in all characters.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from harness.load.stream.chunk import decode_any

CHARS_PER_TOKEN = 4
LONGEST_SINGLE_TOKEN_DELTA_CHARS = 6

_SERVER_TIMES = ("queue_time", "prompt_time", "completion_time", "total_time")  # Groq keeps them inside usage


class Details(msgspec.Struct):
    """prompt_tokens_details and completion_tokens_details, both optional everywhere."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """The usage object, in all spellings that servers of this API use."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None  # SGLang: at the top
    prompt_cache_hit_tokens: int | None = None  # DeepSeek
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    cost: float | None = None  # OpenRouter: US dollars
    queue_time: float | None = None
    prompt_time: float | None = None
    completion_time: float | None = None
    total_time: float | None = None

    @property
    def cached_tokens(self) -> int | None:
        """Input tokens that came from a prefix cache; None where the server does not say."""
        told = self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else None
        return self.prompt_cache_hit_tokens if told is None else told

    @property
    def thought_tokens(self) -> int | None:
        """Reasoning tokens as told; None where the server does not say."""
        told = self.completion_tokens_details.reasoning_tokens if self.completion_tokens_details else None
        return self.reasoning_tokens if told is None else told

    def server_times(self) -> dict[str, float]:
        """Durations that a server adds to its usage."""
        return {name: value for name in _SERVER_TIMES if (value := getattr(self, name)) is not None}


class TokenCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one request. `source` says where the total comes from, `split_source` where the two phases do."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    answer_tokens: int | None = None
    output_tokens: int | None = None
    source: Literal["usage", "continuous_usage", "estimate"] | None = None
    split_source: Literal["usage", "estimate"] | None = None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of the output itself: deltas, and characters by phase."""

    deltas: int = 0
    reasoning_chars: int = 0
    answer_chars: int = 0


_usage = msgspec.json.Decoder(Usage)


def read_usage(raw: bytes) -> Usage | None:
    """Read a usage object; fields of an unknown shape are left out. None where it is no object."""
    try:
        return _usage.decode(raw)
    except (ValueError, RecursionError):
        value = decode_any(raw)
    return _lenient(value) if isinstance(value, dict) else None


def _lenient(value: Mapping[str, Any]) -> Usage:
    usage = Usage()
    for name in Usage.__struct_fields__:
        entry = value.get(name)
        if name.endswith("_details"):
            entry = _details(entry) if isinstance(entry, dict) else None
        elif isinstance(entry, bool) or not isinstance(entry, int | float):
            entry = None
        elif name.endswith("_tokens"):
            entry = int(entry)
        setattr(usage, name, entry)
    return usage


def _details(value: Mapping[str, Any]) -> Details:
    numbers = {name: value.get(name) for name in Details.__struct_fields__}
    return Details(**{name: int(n) for name, n in numbers.items() if isinstance(n, int | float)})


def completion_tokens(raw: bytes) -> int | None:
    """The running count of a continuous usage object."""
    usage = read_usage(raw)
    return usage.completion_tokens if usage else None


def count_tokens(usage: Usage | None, heard: Heard, continuous: bool) -> TokenCounts:
    """Counts of one request. `continuous`: the last usage seen was a running one, not the final one."""
    if usage is None or usage.completion_tokens is None or usage.completion_tokens < 0:
        return _estimate(usage, heard)
    total = usage.completion_tokens
    reasoning, split_source = _split(usage.thought_tokens, total, heard)
    return TokenCounts(
        input_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=reasoning,
        answer_tokens=total - reasoning,
        output_tokens=total,
        source="continuous_usage" if continuous else "usage",
        split_source=split_source,
    )


def _split(told: int | None, total: int, heard: Heard) -> tuple[int, Literal["usage", "estimate"]]:
    if told is not None and (told > 0 or heard.reasoning_chars == 0):
        return min(max(told, 0), total), "usage"
    chars = heard.reasoning_chars + heard.answer_chars
    return (round(total * heard.reasoning_chars / chars) if chars else 0), "estimate"


def _estimate(usage: Usage | None, heard: Heard) -> TokenCounts:
    """No total from the server. Nothing heard at all is no estimate: every count stays None."""
    known_input = usage.prompt_tokens if usage else None
    chars = heard.reasoning_chars + heard.answer_chars
    if chars == 0:
        return TokenCounts(input_tokens=known_input)
    short = chars <= LONGEST_SINGLE_TOKEN_DELTA_CHARS * heard.deltas
    total = heard.deltas if short else -(-chars // CHARS_PER_TOKEN)
    reasoning, split_source = _split(None, total, heard)
    return TokenCounts(
        input_tokens=known_input,
        cached_tokens=usage.cached_tokens if usage else None,
        reasoning_tokens=reasoning,
        answer_tokens=total - reasoning,
        output_tokens=total,
        source="estimate",
        split_source=split_source,
    )
