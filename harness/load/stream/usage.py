"""Raw usage objects and counted text -> TokenCounts: what was billed, by phase, and who says so.

The rules, in order:
- the total comes from the server's usage; without one it is an estimate: one token a delta where deltas are as
  short as tokens (<= 6 characters on average), else 4 characters a token, rounded up;
- cached and written tokens are *inside* the input count of a record. OpenAI, vLLM and DeepSeek (hit + miss) count so;
  Anthropic's own words (`input_tokens` with `cache_read_input_tokens`, `cache_creation_input_tokens`) leave them
  outside, and they are added;
- reasoning tokens are inside the output count. Where prompt + completion + reasoning = total, the server left them
  outside `completion_tokens`, and they are added: once, never twice;
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
    cache_write_tokens: int | None = None  # OpenRouter
    created_cache_tokens: int | None = None  # vLLM


class Usage(msgspec.Struct):
    """The usage object, in all spellings that servers of this API use."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None  # SGLang: at the top
    total_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek
    prompt_cache_miss_tokens: int | None = None  # DeepSeek
    input_tokens: int | None = None  # Anthropic, behind a proxy that passes its usage on
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    cost: float | None = None  # OpenRouter: US dollars
    queue_time: float | None = None
    prompt_time: float | None = None
    completion_time: float | None = None
    total_time: float | None = None

    @property
    def all_input_tokens(self) -> int | None:
        """The whole prompt, cached and written tokens inside."""
        if self.prompt_tokens is not None:
            return self.prompt_tokens
        if self.prompt_cache_hit_tokens is not None and self.prompt_cache_miss_tokens is not None:
            return self.prompt_cache_hit_tokens + self.prompt_cache_miss_tokens
        if self.input_tokens is None:
            return None
        return self.input_tokens + (self.cache_read_input_tokens or 0) + (self.cache_creation_input_tokens or 0)

    @property
    def all_output_tokens(self) -> int | None:
        """Everything that was generated, reasoning inside."""
        told = self.output_tokens if self.completion_tokens is None else self.completion_tokens
        thought, prompt = self.thought_tokens, self.prompt_tokens
        if told is None or not thought or prompt is None or self.total_tokens is None:
            return told
        return told + thought if self.total_tokens == prompt + told + thought else told

    @property
    def cached_tokens(self) -> int | None:
        """Input tokens that came from a prefix cache; None where the server does not say."""
        told = self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else None
        others = (told, self.prompt_cache_hit_tokens, self.cache_read_input_tokens)
        return next((count for count in others if count is not None), None)

    @property
    def cache_write_tokens(self) -> int | None:
        """Input tokens that were written to a cache, for which some providers charge more; None: not told."""
        details = self.prompt_tokens_details
        told = (details.cache_write_tokens, details.created_cache_tokens) if details else ()
        return next((count for count in (*told, self.cache_creation_input_tokens) if count is not None), None)

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
    cache_write_tokens: int | None = None
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
    return usage.all_output_tokens if usage else None


def count_tokens(usage: Usage | None, heard: Heard, continuous: bool) -> TokenCounts:
    """Counts of one request. `continuous`: the last usage seen was a running one, not the final one."""
    total = usage.all_output_tokens if usage else None
    if usage is None or total is None or total < 0:
        return _estimate(usage, heard)
    reasoning, split_source = _split(usage.thought_tokens, total, heard)
    return TokenCounts(
        input_tokens=usage.all_input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
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
    known_input = usage.all_input_tokens if usage else None
    chars = heard.reasoning_chars + heard.answer_chars
    if chars == 0:
        return TokenCounts(input_tokens=known_input)
    short = chars <= LONGEST_SINGLE_TOKEN_DELTA_CHARS * heard.deltas
    total = heard.deltas if short else -(-chars // CHARS_PER_TOKEN)
    reasoning, split_source = _split(None, total, heard)
    return TokenCounts(
        input_tokens=known_input,
        cached_tokens=usage.cached_tokens if usage else None,
        cache_write_tokens=usage.cache_write_tokens if usage else None,
        reasoning_tokens=reasoning,
        answer_tokens=total - reasoning,
        output_tokens=total,
        source="estimate",
        split_source=split_source,
    )
