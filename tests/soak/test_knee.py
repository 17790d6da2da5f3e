"""A search for the highest rate under an SLO, against the simulator's own knee, twice in a row."""

import math
from collections.abc import Callable
from pathlib import Path

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
from tests.endtoend.command import simulator, trueyield

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

PRESET, MAX_BATCH, SLO_S = "fast", 8, 0.1
SCENARIO = """\
description: A knee that is known
workload: {families: [arithmetic], difficulty: 1, max_tokens: 512}
run_time_s: 20
warm_up_s: 2
stop_timeout_s: 5
slos: {ttft_s: 0.1}
"""


def met_share(scenario: Scenario, rate: float, seconds: float) -> float:
    """What the model itself makes of Poisson arrivals in virtual time: share of requests within the SLO."""
    catalog, preset = load_catalog(), PRESETS[PRESET]
    deployment = deployment_of(preset, catalog.accelerators, catalog.models)
    knobs = Knobs(max_batch=MAX_BATCH)
    author = build_settings(preset, deployment, knobs, AnswerKey()).author

    def question(number: int) -> Wish:
        prompt = make_prompt(scenario.workload, 77, number, "virtual")
        return Wish(messages=prompt.messages, cap_tokens=prompt.max_tokens)

    arrivals, at_s = [], 0.0
    for gap in exponential_gaps(77, "virtual"):
        at_s += gap / rate
        if at_s >= seconds:
            break
        arrivals.append(int(at_s * NS))
    edge = VirtualEdge(build_model(preset, deployment, knobs), author, question)
    waits = [
        min(truth.delta_ns) - truth.arrived_ns for truth, _ in edge.open_loop(arrivals) if truth.arrived_ns > 2 * NS
    ]
    return sum(wait <= SLO_S * NS for wait in waits) / len(waits)


def true_knee(scenario: Scenario) -> float:
    """Highest rate at which nine in ten requests meet the SLO, within 0.5 %."""
    low, high = 30.0, 90.0
    while high / low > 1.005:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if met_share(scenario, middle, 300) >= 0.9 else (low, middle)
    return low


def test_the_highest_rate_under_an_slo_is_found_twice_in_a_row(
    tmp_path: Path, outcome: Callable[[str, str], None]
) -> None:
    file = tmp_path / "knee.yaml"
    file.write_text(SCENARIO)
    truth, found, runs = true_knee(load_scenario(file)), [], []
    for seed in ("1", "2"):
        place = tmp_path / f"seed-{seed}"
        place.mkdir()
        with simulator(place, "--preset", PRESET, "--max-batch", MAX_BATCH) as server:
            ended = trueyield(
                "sweep", file, "--endpoint", server.url, "--model", "fast-8b", "--rate", "16..64", "--search",
                "--goal", "load", "--tolerance", "3%", "--seed", seed, "--out", place / "out", seconds=900,
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
