"""A stream that has ended, with its verdict -> StreamRecord: counts, times, and no secret in any text."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from harness.errors import Outcome
from harness.load.calls import Call
from harness.load.stream.chunk import Facts
from harness.load.stream.head import ResponseHead, rate_limits
from harness.load.stream.scrub import scrub, scrub_cut
from harness.load.stream.transcript import Transcript
from harness.load.stream.usage import TokenCounts, Usage, count_tokens
from harness.records import ClientLag, StreamRecord, encode_offsets

MAX_TEXT_CHARS = 2048


class Timeline(msgspec.Struct):
    """What only the owner of the socket knows; it fills this in as things happen."""

    connect_begin_ns: int | None = None
    connect_end_ns: int | None = None
    sent_first_ns: int | None = None
    sent_last_ns: int | None = None
    connection: Literal["fresh", "reused"] | None = None
    clock: Literal["kernel", "user"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Everything that is known of a stream at its end."""

    call: Call
    head: ResponseHead | None
    timeline: Timeline
    secrets: tuple[str, ...]
    transcript: Transcript
    outcome: Outcome
    error: str | None
    headers_ns: int | None
    ended_ns: int
    reads: int
    lag: ClientLag | None
    content_encoding: str | None


def make_record(closed: Closed) -> StreamRecord:
    """The record of one request."""
    transcript, head = closed.transcript, closed.head
    usage = transcript.usage()
    counts = count_tokens(usage, transcript.heard(), continuous=transcript.running)
    return StreamRecord(
        **msgspec.structs.asdict(closed.call.identity),
        **msgspec.structs.asdict(closed.timeline),
        **_texts(closed),
        **_counts(counts, usage, closed),
        headers_ns=closed.headers_ns,
        first_reasoning_ns=transcript.first_ns(b"r"),
        first_answer_ns=transcript.first_ns(b"at"),
        last_delta_ns=transcript.arrivals[-1] if transcript.arrivals else None,
        ended_ns=closed.ended_ns,
        outcome=closed.outcome,
        status=head.status if head else None,
        done_seen=transcript.done_seen,
        retry_after_s=head.retry_after_s if head else None,
        client_lag_ns=closed.lag if closed.timeline.clock == "kernel" else None,
        reads=closed.reads,
        deltas=transcript.deltas,
        shared_reads=transcript.shared_reads,
        delta_offsets=_offsets(closed),
        delta_phase=transcript.phases.decode() if closed.call.keep_deltas else None,
    )


def _texts(closed: Closed) -> dict[str, Any]:
    """Everything that a server can put words into, bounded and without the key."""
    secrets = closed.secrets
    facts = closed.transcript.facts or Facts()
    limits = rate_limits(closed.head.headers) if closed.head is not None else None

    def clean(text: str | None) -> str | None:
        return scrub(text[:MAX_TEXT_CHARS], secrets) if text else None

    return {
        "error": scrub_cut(closed.error, secrets)[:MAX_TEXT_CHARS] if closed.error else None,
        "finish_reason": clean(closed.transcript.finish_reason),
        "response_model": clean(facts.model),
        "system_fingerprint": clean(facts.system_fingerprint),
        "served_by": clean(facts.provider),
        "reasoning_field": closed.transcript.reasoning_field,
        "content_encoding": closed.content_encoding,
        "rate_limits": {name: scrub(text, secrets) for name, text in limits.items()} if limits else None,
    }


def _counts(counts: TokenCounts, usage: Usage | None, closed: Closed) -> dict[str, Any]:
    times = {**closed.transcript.times, **(usage.server_times() if usage else {}), **_header_times(closed.head)}
    return {
        "input_tokens": counts.input_tokens,
        "cached_tokens": counts.cached_tokens,
        "cache_write_tokens": counts.cache_write_tokens,
        "reasoning_tokens": counts.reasoning_tokens,
        "answer_tokens": counts.answer_tokens,
        "output_tokens": counts.output_tokens,
        "token_source": counts.source,
        "split_source": counts.split_source,
        "first_delta_tokens": closed.transcript.first_delta_tokens,
        "first_answer_delta_tokens": closed.transcript.first_answer_delta_tokens,
        "usd_reported": usage.cost if usage else None,
        "server_times": times or None,
    }


def _offsets(closed: Closed) -> str | None:
    """Microseconds after the last request byte; an answer that overtook the request counts as 0."""
    begun = closed.timeline.sent_last_ns
    if not closed.call.keep_deltas or begun is None:
        return None
    arrivals: array[int] = closed.transcript.arrivals
    offsets = [(arrival - begun) // 1000 for arrival in arrivals]
    try:
        return encode_offsets(offsets)
    except OverflowError:  # one below zero
        return encode_offsets([max(0, offset) for offset in offsets])


def _header_times(head: ResponseHead | None) -> Mapping[str, float]:
    """Durations that a server or a proxy tells in its head, ms as named."""
    if head is None:
        return {}
    told = {name: head.headers.get(name, "") for name in ("openai-processing-ms", "x-envoy-upstream-service-time")}
    return {name: float(text) for name, text in told.items() if text.isdecimal()}
