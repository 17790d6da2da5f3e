"""Slopes per hour of long runs: right on average, honest intervals, and none where they would be noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import WALL, S, folder, moved, record
from test_steady import noise

from harness.errors import Outcome
from harness.measure.results import RunResult
from harness.measure.runs import measure
from harness.measure.slopes import NAMES, NO_POWER, slope
from harness.records import Stages

HOUR = 3600


def soak(path: Path, starts_s: Any, seconds: int = HOUR, **changes: Any) -> RunResult:
    """Calls of half a second that begin at these moments; every hundredth fails where `failing` says so."""
    failing, wait_s = changes.pop("failing", lambda at_s: False), changes.pop("wait_s", lambda at_s: 0.2)
    calls = []
    for n, at_s in enumerate(starts_s):
        wait = round(wait_s(at_s) * S)
        call = record(first_reasoning_ns=S + wait, outcome=Outcome.HTTP_ERROR if failing(at_s) else Outcome.OK)
        calls.append(moved(call, round((at_s - 1) * S), request_id=f"r{n}"))
    end = WALL + seconds * S
    stages = Stages(began_ns=WALL, measure_begin_ns=WALL, measure_end_ns=end, ended_ns=end + S)
    return measure(folder(path, calls, stages=stages, **changes))


@pytest.mark.parametrize("alike", [0.0, 0.3])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(alike: float) -> None:
    """100 +- 5 that falls by 7 an hour, over two hours."""
    series = 100 - 14 * (np.arange(20) + 0.5) / 20 + 5 * noise(20, alike, 800)
    found = [one for each in series if (one := slope(each, 2.0)) is not None]
    assert np.mean([one.per_hour for one in found]) == pytest.approx(-7, abs=0.3)
    held = np.mean([one.low <= -7 <= one.high for one in found])
    assert 0.92 <= held <= 0.99
    assert np.mean([one.high - one.low for one in found]) < 15, "and it is no empty statement"


def test_a_slow_fall_is_found_in_an_hour(tmp_path: Path) -> None:
    """4 requests a second that become 3.8: 5 % an hour, of 8 tokens each."""
    starts = np.cumsum(1 / np.linspace(4, 3.8, 20_000))
    run = soak(tmp_path, starts[starts < HOUR][::2])
    found = run.slopes["output_tokens_per_s"]
    assert found is not None and found.per_hour == pytest.approx(-0.1 * 8 * HOUR / starts[-1], rel=0.1)
    assert found.low < found.per_hour < found.high < 0 and found.n == 20
    assert found.drift_per_hour == pytest.approx(0.037, abs=0.01)
    ttft, failed = run.slopes["ttft_s"], run.slopes["failed_share"]
    assert ttft is not None and abs(ttft.per_hour) < 1e-6
    assert failed is not None and failed.per_hour == 0 and failed.low < 0 < failed.high < 0.002, "no failure in 7,000"
    assert run.slopes["j_per_output_token"] is None and run.reasons["slopes.j_per_output_token"] == NO_POWER


def test_power_waits_and_failures_that_creep_up(tmp_path: Path) -> None:
    starts = np.arange(0, HOUR, 1.0)
    run = soak(
        tmp_path, starts, endpoint={"name": "e", "deployment": {"count": 2, "power": {"watts": 800.0}}},
        failing=lambda at_s: at_s % 100 < 10 * at_s / HOUR, wait_s=lambda at_s: 0.2 + 0.1 * at_s / HOUR,
    )  # fmt: skip
    ttft, failed, energy = (run.slopes[name] for name in ("ttft_s", "failed_share", "j_per_output_token"))
    assert ttft is not None and ttft.per_hour == pytest.approx(0.1, rel=0.05)
    assert failed is not None and failed.low < 0.1 < failed.high and failed.low > 0
    assert energy is not None and energy.level == pytest.approx(100, rel=0.02), "800 W over 8 tokens/s"


def test_short_runs_and_planned_curves_have_none(tmp_path: Path) -> None:
    short = soak(tmp_path, np.arange(0, 600, 1.0), seconds=600)
    assert short.slopes == dict.fromkeys(NAMES) and "900 s" in short.reasons["slopes"]
    planned = soak(tmp_path, np.arange(0, HOUR, 2.0), scenario={"arrivals": {"kind": "trace"}})
    assert planned.slopes == dict.fromkeys(NAMES) and "planned (trace)" in planned.reasons["slopes"]
