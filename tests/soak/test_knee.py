"""Searches for the highest rate under an SLO, against the simulator's own knee: two live, many in virtual time."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.config import load_catalog, load_scenario
from harness.load.arrivals.draws import exponential_gaps
from harness.load.prompts import make_prompt
from harness.load.scenarios import Scenario
from harness.report.contents import read_sweep_contents
from harness.report.screen import frontier
from harness.simulator.building import Knobs, build_model, build_settings, deployment_of
from harness.simulator.model import NS
from harness.simulator.presets import PRESETS
from harness.simulator.texts import AnswerKey, Wish
from harness.simulator.virtual import VirtualEdge
from harness.sweep.goals import goal_named
from harness.sweep.levels import read_levels
from harness.sweep.search import Search, Trial, chosen, next_run, standings
from harness.sweep.seeds import seed_of
from tests.endtoend.command import simulator, trueyield

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400)]

PRESET, MAX_BATCH, SLO_S, RUN_S, WARM_UP_S = "fast", 8, 0.1, 20, 2
LEVELS, TOLERANCE, REPEATS, MOST_RUNS = "32,64", 0.02, 3, 24
#: At the knee 300 s of Poisson arrivals tell it to 1.4 % (one standard error), so many draws at three rates to 0.4 %.
TRUTH_DRAWS, TRUTH_S = 5, 300.0
SCENARIO = f"""\
description: A knee that is known
workload: {{families: [arithmetic], difficulty: 1, max_tokens: 512}}
run_time_s: {RUN_S}
warm_up_s: {WARM_UP_S}
stop_timeout_s: 5
slos: {{ttft_s: {SLO_S}}}
"""


def met(scenario: Scenario, rate: float, seconds: float, seed: int, name: str = "virtual") -> tuple[int, int]:
    """What the model itself makes of Poisson arrivals in virtual time: requests within the SLO, and all."""
    catalog, preset = load_catalog(), PRESETS[PRESET]
    deployment = deployment_of(preset, catalog.accelerators, catalog.models)
    knobs = Knobs(max_batch=MAX_BATCH)
    author = build_settings(preset, deployment, knobs, AnswerKey()).author

    def question(number: int) -> Wish:
        prompt = make_prompt(scenario.workload, seed, number, name)
        return Wish(messages=prompt.messages, cap_tokens=prompt.max_tokens)

    arrivals, at_s = [], 0.0
    for gap in exponential_gaps(seed, name):
        at_s += gap / rate
        if at_s >= seconds:
            break
        arrivals.append(int(at_s * NS))
    edge = VirtualEdge(build_model(preset, deployment, knobs), author, question)
    waits = [
        min(truth.delta_ns) - truth.arrived_ns
        for truth, _ in edge.open_loop(arrivals)
        if truth.arrived_ns > WARM_UP_S * NS
    ]
    return sum(wait <= SLO_S * NS for wait in waits), len(waits)


def pooled_share(scenario: Scenario, rate: float) -> float:
    """Of several long draws, which no other rate shares."""
    draws = [met(scenario, rate, TRUTH_S, number, f"truth {rate:g}") for number in range(TRUTH_DRAWS)]
    return sum(hits for hits, _ in draws) / sum(judged for _, judged in draws)


def true_knee(scenario: Scenario) -> float:
    """Rate at which nine in ten requests meet the SLO: on a line through the log-odds of three rates beside it."""
    low, high = 30.0, 90.0
    while high / low > 1.1:
        middle = math.sqrt(low * high)
        hits, judged = met(scenario, middle, TRUTH_S, 77)
        low, high = (middle, high) if hits >= 0.9 * judged else (low, middle)
    rates = [math.sqrt(low * high) * factor for factor in (0.95, 1.0, 1.05)]
    shares = np.array([pooled_share(scenario, rate) for rate in rates])
    slope, level = np.polyfit(np.log(rates), np.log(shares / (1 - shares)), 1)
    knee = math.exp((math.log(9) - level) / slope)
    assert 0.99 * rates[0] < knee < 1.01 * rates[-1], "a coarse search ended beside the knee"
    return knee


def searched_in_virtual_time(scenario: Scenario, seed: int) -> tuple[float, int]:
    """The rate that `trueyield sweep --seed` would find if nothing took any time, and its runs."""
    asked = Search(levels=read_levels(LEVELS, "rate"), goal=goal_named("load"), adaptive=True,
                   tolerance=TOLERANCE, most_repeats=REPEATS, most_runs=MOST_RUNS)  # fmt: skip
    trials: list[Trial] = []
    while (step := next_run(asked, trials)) is not None:
        run = f"{step.level.folder}.{len(trials)}"
        hits, judged = met(scenario, step.level.size, RUN_S, seed_of(seed, step.role, run), run)
        trials.append(Trial(level=step.level, role=step.role, usable=True, missed=judged - hits, judged=judged,
                            saturated=hits < judged / 2, value=step.level.size))  # fmt: skip
    found = chosen(asked, standings(trials))
    assert found is not None
    return found.level.size, len(trials)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenario."""
    found = tmp_path_factory.mktemp("knee") / "knee.yaml"
    found.write_text(SCENARIO)
    return found


@pytest.fixture(scope="module")
def truth(file: Path) -> float:
    """The model's own knee, requests/s."""
    return true_knee(load_scenario(file))


def test_the_highest_rate_under_an_slo_is_found_twice_in_a_row(
    tmp_path: Path, file: Path, truth: float, outcome: Callable[[str, str], None]
) -> None:
    found, runs = [], []
    for seed in ("1", "2"):
        place = tmp_path / f"seed-{seed}"
        place.mkdir()
        with simulator(place, "--preset", PRESET, "--max-batch", MAX_BATCH) as server:
            ended = trueyield(
                "sweep", file, "--endpoint", server.url, "--model", "fast-8b", "--rate", LEVELS, "--search",
                "--goal", "load", "--tolerance", f"{TOLERANCE:.0%}", "--repeats", REPEATS, "--most-runs", MOST_RUNS,
                "--seed", seed, "--out", place / "out", seconds=900,
            )  # fmt: skip
        assert ended.code == 0, ended.out + ended.err
        sweep = read_sweep_contents((place / "out" / "latest").resolve())
        best = frontier(sweep).best
        assert best is not None and best.role == "confirm"
        found.append(best.level.size)
        runs.append(len(sweep.runs))
    said = ", ".join(
        f"{rate:g} req/s ({rate / truth - 1:+.1%}, {count} runs)" for rate, count in zip(found, runs, strict=True)
    )
    outcome("highest rate under a TTFT SLO, found twice", f"{said}; the model's own knee is {truth:.1f}")
    assert all(abs(rate / truth - 1) <= 0.05 for rate in found), (truth, found)


def test_searches_in_virtual_time_end_at_the_knee(
    file: Path, truth: float, outcome: Callable[[str, str], None]
) -> None:
    scenario = load_scenario(file)
    found = [searched_in_virtual_time(scenario, seed) for seed in range(1, 31)]
    errors = np.array([rate / truth - 1 for rate, _ in found])
    outcome(
        "30 searches for the same rate in virtual time",
        f"{errors.mean():+.1%} on average, standard deviation {errors.std(ddof=1):.1%}, "
        f"{int((abs(errors) <= 0.04).sum())} within 4 %, {int((abs(errors) <= 0.05).sum())} within 5 %, "
        f"{np.mean([runs for _, runs in found]):.0f} runs each",
    )
    assert (abs(errors) <= 0.05).mean() >= 0.95, errors
