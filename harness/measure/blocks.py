"""Blocks: a measure window in, the sampling error of its rates out, by batch means.

Requests that share a server are not independent, so a bootstrap over requests is no interval of a rate. The window is
cut into 20 equal blocks, each at least one median E2E long; the block rates are the sample (t, 19 degrees of freedom).
Neighbours that still agree too well (lag-1 autocorrelation r, corrected for its bias in short series, Marriott and
Pope 1954) widen the interval by sqrt((1 + r) / (1 - r)); from r = 0.7 on the rate drifts and there is no interval.
Repeated runs of one load are the other way (`over_runs`): five values or more, t again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.measure.deltas import Flags, Ints
from harness.measure.figures import Study
from harness.measure.results import SampledInterval
from harness.measure.sheet import Sheet
from harness.measure.window import Floats, Window

BLOCKS = 20
MIN_RUNS = 5
#: rates of every run, and those that SLOs add
KEYS = ("throughput.requests_per_s", "throughput.output_tokens_per_s", "useful_per_s")
GOOD_KEYS = (*KEYS, "goodput.requests_per_s", "goodput.output_tokens_per_s")
#: from here on the blocks are one drifting series, no sample
MAX_AUTOCORRELATION = 0.7


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no interval."""

    reason: str


def over_blocks(rates: Floats, block_s: float) -> SampledInterval | Refusal:
    """95 % interval of the mean of block rates; a refusal where they drift."""
    r = autocorrelation(rates)
    if r >= MAX_AUTOCORRELATION:
        return Refusal(f"the rate drifts through the window (autocorrelation of its blocks {r:.2f})")
    widened = max(r, 0.0)
    half = _half_width(rates) * math.sqrt((1 + widened) / (1 - widened))
    method = f"batch means, {len(rates)} blocks of {block_s:.3g} s"
    if widened >= 0.1:
        method += f", widened for autocorrelation {widened:.2f}"
    mean = float(rates.mean())
    return SampledInterval(low=max(0.0, mean - half), high=mean + half, method=method, n=len(rates))


def over_runs(values: Sequence[float]) -> SampledInterval | Refusal:
    """95 % interval of the mean over repeated runs of one load: each run is one independent value."""
    if len(values) < MIN_RUNS:
        return Refusal(f"{len(values)} runs; an interval over runs needs {MIN_RUNS}")
    sample = np.asarray(values, np.float64)
    mean, half = float(sample.mean()), _half_width(sample)
    return SampledInterval(low=mean - half, high=mean + half, method=f"{len(sample)} runs", n=len(sample))


def autocorrelation(rates: Floats) -> float:
    """Lag-1 autocorrelation, corrected for E[r] = rho - (1 + 3 rho) / n; a constant series has none."""
    n, deviations = len(rates), rates - rates.mean()
    squares = float(deviations @ deviations)
    if squares <= 1e-18 * float(rates @ rates):
        return 0.0
    found = float(deviations[1:] @ deviations[:-1]) / squares
    return found + (1 + 3 * max(found, 0.0)) / n


def _half_width(sample: Floats) -> float:
    from scipy.special import stdtrit  # slow to load, and most commands need no quantile

    n = len(sample)
    return float(stdtrit(n - 1, 0.975)) * float(sample.std(ddof=1)) / math.sqrt(n)


# -- the rates of a run -------------------------------------------------------------------------------------------


def rate_intervals(
    study: Study, median_e2e_s: float | None, useful: Flags
) -> tuple[dict[str, SampledInterval | None], dict[str, str]]:
    """Intervals of throughput, goodput and useful answers per second by dotted key; a reason for each that is None."""
    why = too_short(study.seconds, median_e2e_s)
    if why is not None or study.seconds is None:
        keys = GOOD_KEYS if study.slos else KEYS
        return dict.fromkeys(keys), {f"intervals.{key}": why or "" for key in keys}
    block_s = study.seconds / BLOCKS
    found = {key: over_blocks(counts / block_s, block_s) for key, counts in _block_counts(study, useful).items()}
    return (
        {key: None if isinstance(item, Refusal) else item for key, item in found.items()},
        {f"intervals.{key}": item.reason for key, item in found.items() if isinstance(item, Refusal)},
    )


def too_short(window_s: float | None, median_e2e_s: float | None) -> str | None:
    """Why a window cannot be cut into blocks; None where it can."""
    if window_s is None:
        return "there is no measure window"
    if median_e2e_s is None:
        return "no request of the measure window was finished: the length of a block is not known"
    needed = BLOCKS * median_e2e_s
    if window_s >= needed:
        return None
    return f"needs a window of {math.ceil(needed):,} s, {BLOCKS} x the median E2E; it has {window_s:.0f} s"


def _block_counts(study: Study, useful: Flags) -> Mapping[str, Floats]:
    """What happened in each block: ends, arrived tokens; useful answers count in the block in which they began."""
    sheet, everyone = study.sheet, np.ones(len(study.sheet.records), np.bool_)
    counts = {
        "throughput.requests_per_s": _moments(sheet.window, sheet.ended_ns[sheet.delivered]),
        "throughput.output_tokens_per_s": tokens_per_block(sheet, study.tokens_inside, everyone),
        "useful_per_s": _moments(sheet.window, np.clip(sheet.sent_ns[useful], sheet.window.begin_ns, _last(sheet))),
    }
    if study.slos:
        counts["goodput.requests_per_s"] = _moments(sheet.window, sheet.ended_ns[sheet.good])
        counts["goodput.output_tokens_per_s"] = tokens_per_block(sheet, study.tokens_inside, sheet.good)
    return counts


def _last(sheet: Sheet) -> int:
    return sheet.window.end_ns - 1


def block_of(window: Window, at_ns: Ints, blocks: int = BLOCKS) -> Ints:
    """The block of moments that lie inside the window."""
    length = (window.end_ns - window.begin_ns) / blocks
    return np.minimum(((at_ns - window.begin_ns) / length).astype(np.int64), blocks - 1)


def _moments(window: Window, at_ns: Ints) -> Floats:
    inside = at_ns[window.holds(at_ns)]
    return np.bincount(block_of(window, inside), minlength=BLOCKS).astype(np.float64)


def tokens_per_block(sheet: Sheet, tokens_inside: Floats, rows: Flags, blocks: int = BLOCKS) -> Floats:
    """Each request's tokens of the window, placed by its deltas (evenly over its life where none was kept inside).

    The blocks sum to the tokens of the window, so their mean is the throughput itself.
    """
    deltas, window = sheet.deltas, sheet.window
    moments = np.repeat(sheet.sent_ns, deltas.counts) + deltas.offsets_us * 1000
    inside = window.holds(moments)
    inside_counts = deltas.per_record(inside)
    share = np.where(rows, tokens_inside, 0.0) / np.maximum(inside_counts, 1)
    placed = np.bincount(
        block_of(window, moments[inside], blocks), weights=np.repeat(share, inside_counts), minlength=blocks
    ).astype(np.float64)
    spread = rows & (inside_counts == 0) & (tokens_inside > 0)
    return placed + _spread(sheet, np.where(spread, tokens_inside, 0.0), spread, blocks)


def _spread(sheet: Sheet, tokens: Floats, rows: Flags, blocks: int) -> Floats:
    """Tokens of requests whose deltas were not kept, even over the part of their life that lies inside."""
    window, chosen = sheet.window, np.flatnonzero(rows)
    if not len(chosen):
        return np.zeros(blocks)
    edges = np.linspace(window.begin_ns, window.end_ns, blocks + 1).astype(np.int64)
    sent, ended = sheet.sent_ns[chosen], np.maximum(sheet.ended_ns[chosen], sheet.sent_ns[chosen] + 1)
    overlaps = np.stack([Window(int(a), int(b)).overlap_s(sent, ended) for a, b in zip(edges, edges[1:], strict=False)])
    return np.asarray((overlaps / np.maximum(overlaps.sum(axis=0), 1e-12) * tokens[chosen]).sum(axis=1), np.float64)
