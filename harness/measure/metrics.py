"""The table of metrics: one StreamRecord in, its seconds or tokens out. Gates, reports and exporters read this table.

All times of a request start where its last byte was written (`sent_last_ns`), or, with `_planned`, where the load
plan wanted it to start. A metric that does not exist for a record is None, never 0. No numpy here: a worker may
import this module.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.records import SUMMARY_FIELD, StreamRecord, decode_offsets

NS_PER_S = 1e9
US_PER_S = 1e6

Population = Literal["delivered", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row. `value`: one figure a request, which an SLO limits; `pool`: all samples of a request, where a request
    has many. `population`: whose records enter its distribution ("all": it measures ourselves, not the endpoint).
    `awaited`: the user waits for this event, so a request in which it never came has missed any limit on it."""

    name: str
    unit: Literal["s", "tokens", "tokens/s"]
    formula: str
    source: str
    value: Callable[[StreamRecord], float | None]
    pool: Callable[[StreamRecord], Sequence[float]] | None = None
    population: Population = "delivered"
    awaited: bool = False


def first_delta_ns(record: StreamRecord) -> int | None:
    """Arrival of the first non-empty reasoning, answer or tool-call delta."""
    reasoning, answer = record.first_reasoning_ns, record.first_answer_ns
    if reasoning is None or answer is None:
        return answer if reasoning is None else reasoning
    return min(reasoning, answer)


def osl_tokens(record: StreamRecord) -> int | None:
    """Output tokens: the server's total, else reasoning + answer."""
    if record.output_tokens is not None:
        return record.output_tokens
    if record.reasoning_tokens is not None and record.answer_tokens is not None:
        return record.reasoning_tokens + record.answer_tokens
    return None


def answer_tokens(record: StreamRecord) -> int | None:
    """Answer tokens: told, else total - reasoning, else the total where not one reasoning delta was seen."""
    if record.answer_tokens is not None:
        return record.answer_tokens
    total = osl_tokens(record)
    if total is None:
        return None
    if record.reasoning_tokens is not None:
        return total - record.reasoning_tokens
    return total if record.first_reasoning_ns is None else None


def thoughts_hidden(record: StreamRecord) -> bool:
    """The server counted reasoning tokens and sent none of them, or what it calls a summary of them."""
    told_less = record.first_reasoning_ns is None or record.reasoning_field == SUMMARY_FIELD
    return bool(record.reasoning_tokens) and told_less


def ttft_s(record: StreamRecord) -> float | None:
    """Time to first token, of whatever kind."""
    return _seconds(record.sent_last_ns, first_delta_ns(record))


def ttft_planned_s(record: StreamRecord) -> float | None:
    return _seconds(record.planned_ns, first_delta_ns(record))


def ttfat_s(record: StreamRecord) -> float | None:
    """Time to first *answer* token: what a reader of the answer waits for."""
    return _seconds(record.sent_last_ns, record.first_answer_ns)


def think_s(record: StreamRecord) -> float | None:
    """Visible think time; None without thoughts, or where the answer began first."""
    if record.first_reasoning_ns is None or record.first_answer_ns is None:
        return None
    span = record.first_answer_ns - record.first_reasoning_ns
    return span / NS_PER_S if span >= 0 else None


def e2e_s(record: StreamRecord) -> float | None:
    """To the end of the stream, its usage and [DONE] included; the decode span of TPOT ends at the last delta."""
    return _seconds(record.sent_last_ns, record.ended_ns)


def e2e_planned_s(record: StreamRecord) -> float | None:
    return _seconds(record.planned_ns, record.ended_ns)


def lateness_s(record: StreamRecord) -> float | None:
    """ttft_planned_s - ttft_s = e2e_planned_s - e2e_s = lateness_s, exactly."""
    return _seconds(record.planned_ns, record.sent_last_ns)


def connect_s(record: StreamRecord) -> float | None:
    return _seconds(record.connect_begin_ns, record.connect_end_ns)


def connection_wait_s(record: StreamRecord) -> float | None:
    """From the call's start until a connection was dialled, or an idle one taken: our own queue."""
    if record.connection == "reused":
        return _seconds(record.started_ns, record.sent_first_ns)
    return _seconds(record.started_ns, record.connect_begin_ns)


def client_lag_s(record: StreamRecord) -> float | None:
    """The 99th percentile of one stream's reads: its worst moments, not its mean."""
    return None if record.client_lag_ns is None else record.client_lag_ns.p99 / NS_PER_S


def tpot_s(record: StreamRecord) -> float | None:
    """Time per output token after the first delta; over the answer alone where thoughts are hidden.

    Tokens of the first delta: told by continuous usage, else the mean tokens per delta of the phase, at least 1.
    None below 2 tokens, and where the first delta holds them all.
    """
    if thoughts_hidden(record):
        first, tokens, told = record.first_answer_ns, answer_tokens(record), record.first_answer_delta_tokens
        deltas = record.deltas - _summary_deltas(record)
    else:
        first, tokens, told = first_delta_ns(record), osl_tokens(record), record.first_delta_tokens
        deltas = record.deltas
    if first is None or record.last_delta_ns is None or not deltas or tokens is None or tokens < 2:
        return None
    first_tokens = max(1.0, tokens / deltas) if told is None else told
    if tokens <= first_tokens:
        return None
    return (record.last_delta_ns - first) / NS_PER_S / (tokens - first_tokens)


def _summary_deltas(record: StreamRecord) -> int:
    return 0 if record.first_reasoning_ns is None else (record.delta_phase or "").count("r")


def think_tokens_per_s(record: StreamRecord) -> float | None:
    """A lower bound of the speed of thought: the wait for the first thought is in the denominator."""
    until_answer = ttfat_s(record)
    if not record.reasoning_tokens or not until_answer or until_answer <= 0:
        return None
    return record.reasoning_tokens / until_answer


def gaps_s(record: StreamRecord) -> list[float]:
    """Gaps of consecutive arrivals that carry content; deltas that share an arrival add no zero gap."""
    if record.delta_offsets is None:
        return []
    arrivals = decode_offsets(record.delta_offsets)
    return [
        (later - earlier) / US_PER_S for earlier, later in zip(arrivals, arrivals[1:], strict=False) if later > earlier
    ]


def reasoning_gaps_s(record: StreamRecord) -> list[float]:
    return _phase_gaps_s(record, "r")


def answer_gaps_s(record: StreamRecord) -> list[float]:
    return _phase_gaps_s(record, "a")


def _phase_gaps_s(record: StreamRecord, phase: str) -> list[float]:
    """Gaps whose two ends are of one phase: the pause between thought and answer belongs to neither."""
    if record.delta_offsets is None or record.delta_phase is None:
        return []
    arrivals, phases = decode_offsets(record.delta_offsets), record.delta_phase
    return [
        (arrivals[i] - arrivals[i - 1]) / US_PER_S
        for i in range(1, len(arrivals))
        if arrivals[i] > arrivals[i - 1] and phases[i] == phases[i - 1] == phase
    ]


def _longest(gaps: Callable[[StreamRecord], Sequence[float]]) -> Callable[[StreamRecord], float | None]:
    # a limit on a gap holds for every gap: the request is judged by its longest
    return lambda record: max(gaps(record), default=None)


def _tokens(count: Callable[[StreamRecord], int | None]) -> Callable[[StreamRecord], float | None]:
    def value(record: StreamRecord) -> float | None:
        tokens = count(record)
        return None if tokens is None else float(tokens)

    return value


def _seconds(begin_ns: int | None, end_ns: int | None) -> float | None:
    return None if begin_ns is None or end_ns is None else (end_ns - begin_ns) / NS_PER_S


_FIRST = "min(first_reasoning_ns, first_answer_ns)"
_OFFSETS = "delta_offsets, delta_phase"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="ttft_s", unit="s", formula="first delta - last request byte written",
               source=f"{_FIRST} - sent_last_ns", value=ttft_s, awaited=True),
        Metric(name="ttft_planned_s", unit="s", formula="first delta - planned start",
               source=f"{_FIRST} - planned_ns", value=ttft_planned_s),
        Metric(name="ttfat_s", unit="s", formula="first answer or tool-call delta - last request byte written",
               source="first_answer_ns - sent_last_ns", value=ttfat_s, awaited=True),
        Metric(name="think_s", unit="s", formula="first answer delta - first reasoning delta",
               source="first_answer_ns - first_reasoning_ns", value=think_s),
        Metric(name="itl_s", unit="s", formula="gaps of consecutive arrivals with content, pooled over requests",
               source=_OFFSETS, value=_longest(gaps_s), pool=gaps_s),
        Metric(name="itl_reasoning_s", unit="s", formula="the gaps of itl_s between two reasoning deltas",
               source=_OFFSETS, value=_longest(reasoning_gaps_s), pool=reasoning_gaps_s),
        Metric(name="itl_answer_s", unit="s", formula="the gaps of itl_s between two answer deltas",
               source=_OFFSETS, value=_longest(answer_gaps_s), pool=answer_gaps_s),
        Metric(name="tpot_s", unit="s", formula="(last delta - first delta) / (OSL - tokens of the first delta); "
               "hidden thoughts: the same over the answer", source=f"last_delta_ns - {_FIRST}, output_tokens, deltas",
               value=tpot_s),
        Metric(name="e2e_s", unit="s", formula="end of the stream - last request byte written",
               source="ended_ns - sent_last_ns", value=e2e_s, awaited=True),
        Metric(name="e2e_planned_s", unit="s", formula="end of the stream - planned start",
               source="ended_ns - planned_ns", value=e2e_planned_s),
        Metric(name="think_tokens_per_s", unit="tokens/s", formula="reasoning tokens / ttfat_s, a lower bound",
               source="reasoning_tokens, first_answer_ns, sent_last_ns", value=think_tokens_per_s),
        Metric(name="isl_tokens", unit="tokens", formula="input tokens of a request", source="input_tokens",
               value=_tokens(lambda record: record.input_tokens)),
        Metric(name="osl_tokens", unit="tokens", formula="reasoning tokens + answer tokens",
               source="output_tokens", value=_tokens(osl_tokens)),
        Metric(name="connect_s", unit="s", formula="connection set-up, TLS included, of fresh connections",
               source="connect_end_ns - connect_begin_ns", value=connect_s),
        Metric(name="connection_wait_s", unit="s", formula="start of the call -> dialling, or an idle connection taken",
               source="connect_begin_ns (reused: sent_first_ns) - started_ns", value=connection_wait_s,
               population="all"),
        Metric(name="client_lag_s", unit="s", formula="p99 over a stream's reads of read time - kernel arrival",
               source="client_lag_ns.p99", value=client_lag_s, population="all"),
        Metric(name="lateness_s", unit="s", formula="last request byte written - planned start",
               source="sent_last_ns - planned_ns", value=lateness_s, population="all"),
    )
}  # fmt: skip
