"""A window that stands still is steady, whatever its noise; a ramp, a collapse and a growing queue are not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import MS, WALL, S, folder, moved, record
from scipy import stats

from harness.measure.drift import REAL, drift_of
from harness.measure.results import RunResult
from harness.measure.runs import measure
from harness.measure.steady import moving_plan
from harness.records import Stages, encode_offsets

N = 20
PLACES = np.arange(N) / (N - 1)


def noise(blocks: int, alike: float, series: int, seed: int = 5) -> Any:
    """Stationary series of variance 1 whose neighbours have that correlation (AR(1))."""
    draws = np.random.default_rng(seed).normal(size=(series, blocks))
    for at in range(1, blocks):
        draws[:, at] = alike * draws[:, at - 1] + np.sqrt(1 - alike**2) * draws[:, at]
    return draws


def alarms(series: Any) -> float:
    """Share of series that are said to drift by more than a tenth."""
    found = [drift_of(each) for each in series]
    return float(np.mean([abs(one.score) > REAL and one.share > 0.1 for one in found if one is not None]))


@pytest.mark.parametrize("blocks", [10, 15, 20, 40])
@pytest.mark.parametrize(("alike", "most"), [(0.0, 0.01), (0.3, 0.02), (0.5, 0.035)])
def test_a_series_that_stands_still_is_rarely_called_a_drift(blocks: int, alike: float, most: float) -> None:
    for spread in (0.05, 0.2, 0.4):
        assert alarms(1 + spread * noise(blocks, alike, 1500)) <= most


@pytest.mark.parametrize("alike", [0.0, 0.3])
@pytest.mark.parametrize("shape", [
    lambda x: x, lambda x: x >= 0.25, lambda x: -1.0 * (x >= 0.75), lambda x: 1 - np.exp(-x / 0.2),
])  # fmt: skip
def test_a_change_is_found(shape: Callable[[Any], Any], alike: float) -> None:
    """Twice the level across the window nearly always in noise of a tenth; a fifth of it in noise of 3 %."""
    assert alarms(1 + 1.0 * shape(PLACES) + 0.1 * noise(N, alike, 300)) > 0.75
    assert alarms(1 + 0.2 * shape(PLACES) + 0.03 * noise(N, alike, 300)) > (0.85 if alike == 0 else 0.6)


def test_what_would_be_visible_is_found_four_times_in_five() -> None:
    series = 1 + 0.1 * noise(N, 0.0, 400)
    visible = float(np.median([one.visible for each in series if (one := drift_of(each)) is not None]))
    assert 0.3 < visible < 0.7
    assert alarms(series + visible * PLACES) == pytest.approx(0.8, abs=0.12)


def test_the_score_of_a_line_is_the_regressions() -> None:
    """With errors that alternate there is no autocorrelation to correct for, and no shape fits better."""
    values = 100 + 50 * PLACES + np.where(np.arange(N) % 2, 3.0, -3.0)
    found, line = drift_of(values), stats.linregress(PLACES, values)
    assert found is not None and found.change == pytest.approx(line.slope, rel=0.1)
    assert found.score == pytest.approx(line.slope / line.stderr, rel=0.2)
    assert found.middle == np.median(values)


def test_flat_and_empty_series() -> None:
    flat = drift_of(np.full(N, 7.0))
    assert flat is not None and flat.score == 0 and flat.share == 0
    assert drift_of(np.full(N, np.nan)) is None
    assert drift_of(np.array([1.0] * 9 + [np.nan] * 11)) is None, "nine blocks are too few"
    nothing = drift_of(np.zeros(N))
    assert nothing is not None and nothing.share == 0
    begun = drift_of(np.array([0.0] * 12 + [5.0] * 8))
    assert begun is not None and begun.share == np.inf and begun.score > REAL


# -- whole runs ---------------------------------------------------------------------------------------------------


def run(path: Path, starts_s: Any, ttft_s: Any, seconds: int = 40, **changes: Any) -> RunResult:
    """Calls of half a second of eight even deltas that begin at these moments; the first one waits `ttft_s`."""
    calls = []
    for n, (at_s, wait) in enumerate(zip(starts_s, ttft_s, strict=True)):
        offsets = [round(wait * 1e6) + 60_000 * k for k in range(8)]
        calls.append(
            moved(
                record(
                    stage="warmup" if at_s < 0 else "measure", first_reasoning_ns=S + round(wait * S) + n % 7 * MS,
                    first_answer_ns=None, last_delta_ns=S + offsets[-1] * 1000, ended_ns=S + offsets[-1] * 1000 + MS,
                    deltas=8, delta_offsets=encode_offsets(offsets), delta_phase="r" * 8,
                ), round((at_s - 1) * S), request_id=f"r{n}",
            )
        )  # fmt: skip
    end = WALL + seconds * S
    stages = Stages(began_ns=WALL, measure_begin_ns=WALL, measure_end_ns=end, ended_ns=end + S)
    return measure(folder(path, calls, **({"stages": stages} | changes)))


EVEN = np.arange(-20, 800) / 20
RAMP = 40 * np.sqrt(np.linspace(0.01, 1, 820))
SOON = np.full(820, 0.1)
SLOS = {"name": "s", "slos": {"ttft_s": 0.3}}


def test_a_steady_run_has_its_figures(tmp_path: Path) -> None:
    steady = run(tmp_path, EVEN, SOON, scenario=SLOS)
    assert steady.steady is True and "steady" not in steady.reasons
    assert steady.window.cut_s == 0 and steady.window.whole_s == 40 and steady.window.moved == ()
    assert steady.window.visible.keys() == {"output tokens/s", "median TTFT"}
    assert all(share < 0.1 for share in steady.window.visible.values())
    assert steady.throughput.output_tokens_per_s == pytest.approx(800 * 8 / 40, rel=0.02)
    assert steady.goodput is not None


def test_a_ramp_has_no_average(tmp_path: Path) -> None:
    ramp = run(tmp_path, RAMP, SOON, scenario=SLOS)
    assert ramp.steady is False and "output tokens/s rose by" in ramp.reasons["steady"]
    assert ramp.reasons["steady"] in ramp.notes and ramp.window.moved == ("output tokens/s",)
    rates = ramp.throughput
    assert rates.requests_per_s is None and rates.output_tokens_per_s is None and rates.input_tokens_per_s is None
    assert rates.output_tokens_per_s_per_user is None and ramp.goodput is None and ramp.mix.mean_in_flight is None
    assert ramp.endpoints["e"].throughput == rates and not any(v for k, v in ramp.intervals.items() if "per_s" in k)
    for key in ("throughput", "goodput", "mix.mean_in_flight", "intervals.useful_per_s"):
        assert ramp.reasons[key] == ramp.reasons["steady"]
    assert ramp.requests.total == 820 and ramp.tokens.output == 6560 and ramp.metrics["ttft_s"].n == 820
    assert ramp.useful.total == 820 and ramp.metrics["e2e_s"].p99 is not None


def test_what_comes_behind_a_ramp_stands_for_the_run(tmp_path: Path) -> None:
    climb = 12 * np.sqrt(np.linspace(0.02, 1, 120))
    flat = np.arange(12.05, 40, 0.05)
    found = run(tmp_path, np.concatenate((climb, flat)), np.full(679, 0.1))
    assert found.steady is True and found.window.moved == () and "steady" not in found.reasons
    assert 6 <= found.window.cut_s <= 16 and found.window_s == pytest.approx(40 - found.window.cut_s)
    assert found.window.reason is not None and found.window.reason in found.notes
    assert "were left out: output tokens/s rose by" in found.window.reason
    assert found.throughput.requests_per_s == pytest.approx(20, rel=0.03), "that of the flat part"
    assert found.requests.total == 679 and found.tokens.output == 679 * 8, "nothing is lost"
    begun = np.concatenate((climb, flat)) - 0.001 >= found.window.cut_s  # a millisecond before its bytes were out
    assert found.metrics["ttft_s"].n == found.useful.total == begun.sum(), "requests count in the part they began in"


def test_a_growing_wait_leaves_the_rates(tmp_path: Path) -> None:
    """Closed loop; at the end half of the answers miss the limit, so that goodput depends on how long one looks."""
    wait = np.linspace(0.05, 0.55, 820)
    queue = run(tmp_path, EVEN, wait, scenario=SLOS)
    assert queue.steady is False and queue.window.moved == ("median TTFT",)
    assert queue.throughput.output_tokens_per_s == pytest.approx(160, rel=0.03)
    assert queue.goodput is None and "median TTFT rose by" in queue.reasons["goodput"]
    assert queue.intervals["useful_per_s"] is None and queue.intervals["throughput.requests_per_s"] is not None
    patient = run(tmp_path, EVEN, wait, scenario={"name": "s", "slos": {"ttft_s": 9.0}})
    assert patient.steady is False and patient.goodput is not None, "no limit was missed, early or late"


def test_a_short_run_cannot_tell(tmp_path: Path) -> None:
    short = measure(folder(tmp_path, [moved(record(ended_ns=3 * S), 0, request_id="a")]))
    assert short.steady is None and "20 x the median E2E" in short.reasons["steady"]
    assert short.throughput.output_tokens_per_s is not None and short.window.reason is None


def test_few_noisy_requests_cannot_tell(tmp_path: Path) -> None:
    draws = np.random.default_rng(3)
    few = run(tmp_path, np.sort(draws.uniform(0, 39, 60)), draws.uniform(0.01, 1.0, 60))
    assert few.steady is None and "too noisy to tell: a ramp of" in few.reasons["steady"]
    assert few.throughput.output_tokens_per_s is not None
    fewer = run(tmp_path, [1.0, 9.0, 20.0, 33.0], [0.1] * 4)
    assert fewer.steady is None and "too" in fewer.reasons["steady"]


@pytest.mark.parametrize(
    ("arrivals", "plan"),
    [
        ({"kind": "poisson", "levels": [[0, 1], [60, 3]]}, "levels"),
        ({"kind": "poisson", "curve": "office-hours", "curve_levels": [0.2, 1.0]}, "curve office-hours"),
        ({"kind": "trace", "trace": "x.jsonl"}, "trace"),
        ({"kind": "poisson", "levels": [[0, 2], [60, 2]]}, None),
        ({"kind": "closed"}, None),
        ({}, None),
    ],
)
def test_what_was_planned_to_move(arrivals: dict[str, Any], plan: str | None) -> None:
    assert moving_plan({"arrivals": arrivals}) == plan and moving_plan({}) is None


def test_a_planned_ramp_is_an_average_over_its_plan(tmp_path: Path) -> None:
    scenario = {"name": "s", "arrivals": {"kind": "constant", "levels": [[0, 0], [40, 2]]}}
    planned = run(tmp_path, RAMP, SOON, scenario=scenario)
    assert planned.steady is None and planned.window.plan == "levels" and planned.window.moved == ()
    assert "averages are over the plan" in planned.reasons["steady"] and planned.window.reason in planned.notes
    assert planned.throughput.requests_per_s == pytest.approx(20, rel=0.02)


def stationary(seed: int) -> tuple[Any, Any]:
    """Poisson arrivals of 20/s with TTFT that wanders (AR(1), 0.5 from one request to the next)."""
    draws = np.random.default_rng(seed)
    starts = np.sort(draws.uniform(0, 39.2, draws.poisson(784)))
    return starts, 0.1 * np.exp(0.3 * noise(len(starts), 0.5, 1, seed)[0])


def test_whole_runs_that_stand_still_are_rarely_alarmed(tmp_path: Path) -> None:
    found = [run(tmp_path, *stationary(seed)) for seed in range(60)]
    assert sum(one.steady is False or one.window.cut_s > 0 for one in found) <= 3, "at most 5 %"
    assert sum(one.steady is True for one in found) >= 40
