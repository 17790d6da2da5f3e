"""Figures: one study (folder, sheet, window, limits) in; counts, distributions, rates and the mix of chosen rows out.

Counts take all chosen rows; distributions those that began in the measure window; rates what happened inside it.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from harness.measure.deltas import GAP_PHASES, Flags
from harness.measure.folder import RunFolder
from harness.measure.metrics import METRICS, Metric
from harness.measure.results import Distribution, EndpointResult, Goodput, Mix, Requests, Throughput, Tokens
from harness.measure.sheet import Sheet
from harness.measure.stats import distribution, quantiles
from harness.measure.window import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What all figures are computed from."""

    folder: RunFolder
    sheet: Sheet
    seconds: float | None
    slos: dict[str, float]
    tokens_inside: Floats


def part_of(study: Study, rows: Flags) -> EndpointResult:
    """All figures over chosen rows: the whole run, or one of its endpoints."""
    sheet = study.sheet
    chosen = [record for record, inside in zip(sheet.records, rows, strict=True) if inside]
    metrics = {name: _distribution(sheet, metric, rows & sheet.measured) for name, metric in METRICS.items()}
    return EndpointResult(
        requests=_requests(study, rows),
        outcomes=dict(Counter(record.outcome.value for record in chosen).most_common()),
        tokens=tokens_of(sheet, rows),
        metrics=metrics,
        throughput=_throughput(study, rows),
        goodput=_goodput(study, rows),
    )


def _requests(study: Study, rows: Flags) -> Requests:
    sheet = study.sheet
    not_sent = sum(worker.not_sent for worker in study.folder.manifest.workers.values()) if rows.all() else 0
    planned = sum(record.planned_ns is not None for record, inside in zip(sheet.records, rows, strict=True) if inside)
    return Requests(
        planned=planned + not_sent if planned else None,
        total=int(rows.sum()),
        ok=int((rows & sheet.delivered).sum()),
        failed=int((rows & sheet.failed).sum()),
        censored=int((rows & sheet.censored).sum()),
        not_sent=not_sent,
    )


def tokens_of(sheet: Sheet, rows: Flags) -> Tokens:
    told = np.fromiter((record.token_source in ("usage", "continuous_usage") for record in sheet.records), np.bool_)
    told &= ~np.isnan(sheet.output)
    return Tokens(
        input=_sum(sheet.input, rows),
        cached=_sum(sheet.cached, rows),
        reasoning=_sum(sheet.reasoning, rows),
        answer=_sum(sheet.answer, rows),
        output=_sum(sheet.output, rows),
        unknown=int((rows & sheet.delivered & ~told).sum()),
    )


def _sum(column: Floats, rows: Flags) -> int:
    return int(np.nansum(column[rows]))


def _distribution(sheet: Sheet, metric: Metric, rows: Flags) -> Distribution:
    values = _values(sheet, metric, rows if metric.population == "all" else rows & sheet.delivered)
    if metric.population == "all":  # it measures ourselves: a failed request that has a value counts among n
        return distribution(values)
    return distribution(values, int((rows & sheet.failed).sum()), int((rows & sheet.censored).sum()))


def _values(sheet: Sheet, metric: Metric, rows: Flags) -> Floats:
    if metric.name in GAP_PHASES:
        return sheet.deltas.gaps_s(metric.name, rows)
    of = metric.value
    values = [value for index in np.flatnonzero(rows).tolist() if (value := of(sheet.records[index])) is not None]
    return np.asarray(values, np.float64)


def _throughput(study: Study, rows: Flags) -> Throughput:
    sheet, seconds = study.sheet, study.seconds
    if seconds is None:
        return Throughput()
    finished = rows & sheet.delivered & sheet.ended_inside()
    read = rows & sheet.seen & sheet.window.holds(sheet.first_ns)
    tpot = _values(sheet, METRICS["tpot_s"], rows & sheet.measured & sheet.delivered)
    counted, told = rows & ~np.isnan(sheet.output), rows & ~np.isnan(sheet.input)
    return Throughput(
        requests_per_s=float(finished.sum()) / seconds,
        output_tokens_per_s=float(study.tokens_inside[rows].sum()) / seconds if counted.any() else None,
        input_tokens_per_s=float(np.nansum(sheet.input[read])) / seconds if told.any() else None,
        output_tokens_per_s_per_user=quantiles(1 / tpot[tpot > 0], (0.5,))[0],
    )


def _goodput(study: Study, rows: Flags) -> Goodput | None:
    """Requests by their end, tokens by their arrival, both of requests that met every SLO."""
    sheet, seconds = study.sheet, study.seconds
    if not study.slos or seconds is None:
        return None
    good = rows & sheet.good
    return Goodput(
        requests_per_s=float((good & sheet.ended_inside()).sum()) / seconds,
        output_tokens_per_s=float(study.tokens_inside[good].sum()) / seconds,
    )


def mix_of(study: Study) -> Mix:
    sheet, seconds = study.sheet, study.seconds
    rows = sheet.measured & sheet.delivered
    in_flight = sheet.window.overlap_s(sheet.sent_ns, sheet.ended_ns).sum() / seconds if seconds else None
    decoding = sheet.window.overlap_s(sheet.first_ns, sheet.last_ns).sum() / seconds if seconds else None
    deltas = np.fromiter((record.deltas for record in sheet.records), np.float64, len(sheet.records))
    shared = np.fromiter((record.shared_reads for record in sheet.records), np.float64, len(sheet.records))
    seen = rows & (deltas > 0)
    return Mix(
        isl_tokens=_mean(sheet.input, rows),
        osl_tokens=_mean(sheet.output, rows),
        reasoning_share=_ratio(sheet.reasoning, sheet.output, rows),
        cached_share=_ratio(sheet.cached, sheet.input, rows),
        mean_in_flight=None if in_flight is None else float(in_flight),
        mean_decoding=None if decoding is None else float(decoding),
        tokens_per_delta=_ratio(sheet.output, deltas, seen),
        shared_read_share=_ratio(shared, deltas, seen),
    )


def _mean(column: Floats, rows: Flags) -> float | None:
    values = column[rows & ~np.isnan(column)]
    return float(values.mean()) if len(values) else None


def _ratio(part: Floats, whole: Floats, rows: Flags) -> float | None:
    """Ratio of sums over the rows that know both."""
    known = rows & ~np.isnan(part) & ~np.isnan(whole)
    total = float(whole[known].sum())
    return float(part[known].sum()) / total if total > 0 else None
