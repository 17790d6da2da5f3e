"""Batch means: the blocks sum to the rate, short or drifting windows give no interval, and 95 % means 95 %."""

import math

import numpy as np
import pytest

from harness.measure.blocks import (
    BLOCKS,
    MIN_RUNS,
    Refusal,
    autocorrelation,
    over_blocks,
    over_runs,
    rate_intervals,
    too_short,
)
from harness.measure.figures import Study
from harness.measure.folder import RunFolder
from harness.measure.results import SampledInterval
from harness.measure.runs import measure
from harness.measure.sheet import output_tokens_inside, sheet_of
from harness.measure.window import Clocks, Window
from tests.measure.made_runs import MS, WALL, S, folder, manifest, moved, record

RUNS = 300
CLOCKS = Clocks({"w": WALL}, WALL, True)


def series(seed: int, correlation_time: float, seconds: int = 400, mean: float = 100.0) -> np.ndarray:
    """A rate, second by second, that remembers itself for `correlation_time` seconds (an AR(1) process)."""
    rng, memory = np.random.default_rng(seed), math.exp(-1 / correlation_time)
    noise, values = rng.normal(0, 20 * math.sqrt(1 - memory**2), seconds), np.empty(seconds)
    values[0] = rng.normal(0, 20)
    for second in range(1, seconds):
        values[second] = memory * values[second - 1] + noise[second]
    return values + mean


@pytest.mark.parametrize("correlation_time", [0.2, 5.0, 10.0])
def test_the_interval_covers_the_truth_as_often_as_it_says(correlation_time):
    block = 20  # seconds: one E2E or more of the remembered past
    hits = 0
    for seed in range(RUNS):
        rates = series(seed, correlation_time).reshape(-1, block).mean(axis=1)
        found = over_blocks(rates, block)
        hits += isinstance(found, SampledInterval) and found.low <= 100.0 <= found.high
    assert 0.90 <= hits / RUNS <= 0.99


def served(seed: int, per_s: float = 2.0, window_s: int = 100, tokens: int = 50) -> Study:
    """An open system: Poisson arrivals, each answer lasts 1 to 8 s and spreads its tokens over that time."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(per_s * (window_s + 20))
    begins = rng.uniform(-20, window_s, count)
    records = [
        record(
            request_id=f"q{number}",
            started_ns=int(begin * S),
            sent_first_ns=int(begin * S),
            sent_last_ns=int(begin * S),
            first_reasoning_ns=None,
            first_answer_ns=int(begin * S) + MS,
            last_delta_ns=int((begin + lasts) * S),
            ended_ns=int((begin + lasts) * S),
            output_tokens=tokens,
            answer_tokens=tokens,
            reasoning_tokens=0,
            deltas=tokens,
            delta_offsets=None,
            delta_phase=None,
        )
        for number, (begin, lasts) in enumerate(zip(begins, rng.uniform(1, 8, count), strict=True))
    ]
    window = Window(WALL, WALL + window_s * S)
    sheet = sheet_of(records, CLOCKS, window, {})
    book = RunFolder(path=None, manifest=manifest(), records=records)  # type: ignore[arg-type]
    return Study(folder=book, sheet=sheet, seconds=window.seconds, slos={}, tokens_inside=output_tokens_inside(sheet))


@pytest.mark.parametrize(
    ("key", "truth"), [("throughput.output_tokens_per_s", 100.0), ("throughput.requests_per_s", 2.0)]
)
def test_rates_of_overlapping_requests_are_covered(key, truth):
    hits = 0
    for seed in range(RUNS):
        study = served(seed)
        found, reasons = rate_intervals(study, 4.5, study.sheet.delivered)
        interval = found[key]
        hits += interval is not None and interval.low <= truth <= interval.high
    assert 0.90 <= hits / RUNS <= 0.99


def test_the_blocks_sum_to_the_tokens_of_the_window():
    study = served(1)
    found, _ = rate_intervals(study, 4.5, study.sheet.delivered)
    interval = found["throughput.output_tokens_per_s"]
    assert interval is not None and interval.high is not None
    assert (interval.low + interval.high) / 2 == pytest.approx(study.tokens_inside.sum() / 100)


def test_kept_deltas_place_tokens_in_their_own_blocks(tmp_path):
    made = [moved(record(request_id=f"q{i}"), (i - 4) * S // 4 - S // 8) for i in range(41)]
    result = measure(folder(tmp_path, made))
    interval = result.intervals["throughput.output_tokens_per_s"]
    assert interval is not None and interval.high is not None
    assert (interval.low + interval.high) / 2 == pytest.approx(result.throughput.output_tokens_per_s)
    assert interval.n == BLOCKS and "20 blocks of 0.5 s" in interval.method


def test_a_short_window_names_the_seconds_that_it_needs(tmp_path):
    long = [moved(record(request_id=f"q{i}", ended_ns=3 * S), i * S) for i in range(6)]
    result = measure(folder(tmp_path, long))
    assert result.intervals["throughput.requests_per_s"] is None
    why = result.reasons["intervals.throughput.requests_per_s"]
    assert why == "needs a window of 40 s, 20 x the median E2E; it has 10 s"


def test_no_window_and_no_finished_request_have_no_interval():
    assert too_short(None, 1.0) == "there is no measure window"
    assert "not known" in (too_short(10.0, None) or "")
    assert too_short(20.0, 1.0) is None


def test_a_drift_is_refused():
    found = over_blocks(np.linspace(50, 150, BLOCKS), 5.0)
    assert isinstance(found, Refusal) and "drifts" in found.reason


def test_a_constant_rate_has_no_width():
    found = over_blocks(np.full(BLOCKS, 7.0), 1.0)
    assert isinstance(found, SampledInterval)
    assert (found.low, found.high) == pytest.approx((7.0, 7.0))
    assert autocorrelation(np.full(BLOCKS, 7.0)) == 0.0


def test_correlated_blocks_widen_the_interval():
    rates = series(3, 30.0).reshape(-1, 20).mean(axis=1)
    alone = float(rates.std(ddof=1)) / math.sqrt(len(rates)) * 2.093024
    found = over_blocks(rates, 20)
    assert isinstance(found, SampledInterval) and found.high is not None
    assert (found.high - found.low) / 2 > 1.1 * alone and "autocorrelation" in found.method


def test_repeated_runs_by_hand():
    found = over_runs([10.0, 11.0, 9.0, 10.5, 9.5])
    assert isinstance(found, SampledInterval) and found.high is not None
    half = 2.776445 * math.sqrt(0.625) / math.sqrt(5)  # t(0.975, 4), s^2 = 0.625
    assert (found.low, found.high) == pytest.approx((10 - half, 10 + half), rel=1e-6)
    few = over_runs([1.0] * (MIN_RUNS - 1))
    assert isinstance(few, Refusal) and few.reason == "4 runs; an interval over runs needs 5"
