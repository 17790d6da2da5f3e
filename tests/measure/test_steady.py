"""A window that stands still is steady, whatever its noise; a ramp, a collapse and a growing queue are not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import MS, WALL, S, folder, moved, record
from scipy import stats

from harness.measure.runs import measure
from harness.measure.steady import drift, mann_kendall_z, sen_slope
from harness.records import Stages

RATE = "output tokens/s"


def test_the_score_is_kendalls() -> None:
    draws = np.random.default_rng(3)
    for _ in range(20):
        values = np.round(draws.normal(size=20), 1)  # with ties
        found = mann_kendall_z(values)
        assert abs(found) == pytest.approx(-_normal_quantile(values), rel=0.15, abs=0.1)
    assert mann_kendall_z(np.ones(20)) == 0


def _normal_quantile(values: Any) -> float:
    """Kendall's tau against time, as scipy judges it."""
    found = stats.kendalltau(np.arange(len(values)), values, method="asymptotic")
    return float(stats.norm.ppf(found.pvalue / 2))


def test_noise_is_steady_and_a_small_trend_does_not_matter() -> None:
    draws = np.random.default_rng(5)
    called = sum(drift(RATE, draws.normal(100, 15, 20)) is not None for _ in range(2000))
    assert called / 2000 < 0.015, "1 % by construction"
    assert drift(RATE, 100 + np.linspace(0, 5, 20)) is None, "real, and harmless"


def test_ramps_are_not_steady() -> None:
    draws = np.random.default_rng(5)
    ramp = np.linspace(60, 140, 20)
    assert all(drift(RATE, ramp + draws.normal(0, 10, 20)) for _ in range(200))
    assert drift(RATE, ramp) == "output tokens/s rose by 84% across the window"
    assert drift(RATE, ramp[::-1]) == "output tokens/s fell by 84% across the window"
    assert drift(RATE, np.array([0.0] * 11 + list(range(9)))) == "output tokens/s came up from nothing"
    assert drift("median TTFT", np.full(20, np.nan)) is None
    assert sen_slope(np.arange(20.0), ramp) == pytest.approx(80 / 19)


def run(path: Path, starts_s: Any, ttft_s: Any) -> Any:
    """Calls of half a second that begin at these moments of a window of 40 s."""
    calls = [
        moved(
            record(first_reasoning_ns=S + round(wait * S) + n % 7 * MS, first_answer_ns=None, last_delta_ns=None),
            round((at_s - 1) * S), request_id=f"r{n}",
        )
        for n, (at_s, wait) in enumerate(zip(starts_s, ttft_s, strict=True))
    ]  # fmt: skip
    stages = Stages(began_ns=WALL, measure_begin_ns=WALL, measure_end_ns=WALL + 40 * S, ended_ns=WALL + 41 * S)
    return measure(folder(path, calls, stages=stages))


def test_a_run_says_whether_it_was_steady(tmp_path: Path) -> None:
    even = np.linspace(0, 39.4, 400)
    steady = run(tmp_path, even, np.full(400, 0.1))
    assert steady.steady is True and "steady" not in steady.reasons
    ramp = run(tmp_path, 39.4 * np.sqrt(np.linspace(0.01, 1, 400)), np.full(400, 0.1))
    assert ramp.steady is False and "output tokens/s rose by" in ramp.reasons["steady"]
    assert ramp.reasons["steady"] in ramp.notes
    queue = run(tmp_path, even, np.linspace(0.05, 0.45, 400))
    assert queue.steady is False and "median TTFT rose by" in queue.reasons["steady"]


def test_a_short_run_cannot_tell(tmp_path: Path) -> None:
    short = measure(folder(tmp_path, [moved(record(ended_ns=3 * S), 0, request_id="a")]))
    assert short.steady is None and "20 x the median E2E" in short.reasons["steady"]
