"""Sheet: records, window and limits in, one row a request as numpy columns out; totals are sums over chosen rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import DELIVERED, FAILED, Outcome
from harness.measure.deltas import REASONING, Deltas, Flags, decode_deltas
from harness.measure.metrics import answer_tokens, first_delta_ns, osl_tokens
from harness.measure.use import slos_met
from harness.measure.window import Clocks, Floats, Ints, Window
from harness.records import StreamRecord

_MISSING = -(1 << 62)  # no clock ever shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Wall-clock ns for times (a missing one holds the time before it, so that its span is empty); NaN for counts."""

    records: Sequence[StreamRecord]
    window: Window
    measured: Flags  # started in the measure window
    delivered: Flags
    failed: Flags
    censored: Flags
    good: Flags  # delivered, and every SLO met
    sent_ns: Ints
    first_ns: Ints
    first_answer_ns: Ints
    last_ns: Ints
    ended_ns: Ints
    input: Floats
    cached: Floats
    reasoning: Floats
    answer: Floats
    output: Floats
    seen: Flags  # at least one delta arrived
    deltas: Deltas

    def ended_inside(self) -> Flags:
        """Requests that ended inside the window, whenever they began."""
        return self.window.holds(self.ended_ns)


def sheet_of(records: Sequence[StreamRecord], clocks: Clocks, window: Window, slos: Mapping[str, float]) -> Sheet:
    """One pass over the records; everything later is numpy."""
    offsets = np.fromiter((clocks.offset_of(record.worker) for record in records), np.int64, len(records))

    def times(of: Callable[[StreamRecord], int | None], before: Ints | None = None) -> Ints:
        moments = (_MISSING if (at := of(record)) is None else at for record in records)
        column = np.fromiter(moments, np.int64, len(records))
        return np.where(column == _MISSING, 0 if before is None else before, column + offsets)

    started = times(lambda record: record.started_ns)
    sent = times(lambda record: record.sent_last_ns, started)
    first = times(first_delta_ns, sent)
    delivered = _flags(records, lambda record: record.outcome in DELIVERED)
    return Sheet(
        records=records,
        window=window,
        measured=_flags(records, lambda record: record.stage == "measure"),
        delivered=delivered,
        failed=_flags(records, lambda record: record.outcome in FAILED),
        censored=_flags(records, lambda record: record.outcome is Outcome.CENSORED),
        good=delivered & _flags(records, lambda record: slos_met(record, slos)) if slos else delivered,
        sent_ns=sent,
        first_ns=first,
        first_answer_ns=times(lambda record: record.first_answer_ns, first),
        last_ns=times(lambda record: record.last_delta_ns, first),
        ended_ns=times(lambda record: record.ended_ns),
        input=_counts(records, lambda record: record.input_tokens),
        cached=_counts(records, lambda record: record.cached_tokens),
        reasoning=_counts(records, lambda record: record.reasoning_tokens),
        answer=_counts(records, answer_tokens),
        output=_counts(records, osl_tokens),
        seen=_flags(records, lambda record: first_delta_ns(record) is not None),
        deltas=decode_deltas(records),
    )


def output_tokens_inside(sheet: Sheet) -> Floats:
    """Output tokens of each request that arrived inside the window.

    A delta carries its request's tokens per delta, reasoning and answer apart where both are counted. Hidden
    thoughts are spread evenly from the send to the first answer; a request without kept deltas over its decode span.
    Where the server gave no count (a cut stream), its deltas x the mean tokens per delta of the others.
    """
    deltas = sheet.deltas
    moments = np.repeat(sheet.sent_ns, deltas.counts) + deltas.offsets_us * 1000
    inside = sheet.window.holds(moments)
    total = np.where(np.isnan(sheet.output), _estimated_tokens(sheet), sheet.output)
    thoughts = deltas.per_record(deltas.phases == REASONING)
    share_all = _share(deltas.per_record(inside), deltas.counts)
    share_thoughts = _share(deltas.per_record(inside & (deltas.phases == REASONING)), thoughts)
    share_rest = _share(deltas.per_record(inside & (deltas.phases != REASONING)), deltas.counts - thoughts)
    reasoning = np.nan_to_num(sheet.reasoning)
    hidden = (reasoning > 0) & (thoughts == 0)
    share_thoughts = np.where(hidden, _span_share(sheet.window, sheet.sent_ns, sheet.first_answer_ns), share_thoughts)
    split = ~np.isnan(sheet.reasoning) & ((thoughts > 0) | hidden) & (deltas.counts > thoughts)
    by_phase = reasoning * share_thoughts + (total - reasoning) * share_rest
    by_delta = np.where(split, by_phase, total * share_all)
    begin = np.where(sheet.first_ns < sheet.last_ns, sheet.first_ns, sheet.sent_ns)
    end = np.where(sheet.last_ns > begin, sheet.last_ns, sheet.ended_ns)
    return np.where(deltas.counts > 0, by_delta, total * _span_share(sheet.window, begin, end))


def _estimated_tokens(sheet: Sheet) -> Floats:
    seen = np.fromiter((record.deltas for record in sheet.records), np.float64, len(sheet.records))
    known = ~np.isnan(sheet.output) & (seen > 0)
    per_delta = sheet.output[known].sum() / seen[known].sum() if known.any() else 1.0
    return seen * per_delta


def _share(part: Ints, whole: Ints) -> Floats:
    return part / np.maximum(whole, 1)


def _span_share(window: Window, begin_ns: Ints, end_ns: Ints) -> Floats:
    """The share of each span that lies inside; an empty span is a moment, in or out."""
    spans = (end_ns - begin_ns) / 1e9
    inside = window.overlap_s(begin_ns, end_ns)
    return np.where(spans > 0, inside / np.where(spans > 0, spans, 1.0), window.holds(end_ns))


def _flags(records: Sequence[StreamRecord], holds: Callable[[StreamRecord], bool]) -> Flags:
    return np.fromiter((holds(record) for record in records), np.bool_, len(records))


def _counts(records: Sequence[StreamRecord], of: Callable[[StreamRecord], int | None]) -> NDArray[np.float64]:
    return np.fromiter(
        (np.nan if (count := of(record)) is None else count for record in records), np.float64, len(records)
    )
