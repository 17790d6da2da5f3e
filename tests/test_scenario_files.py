"""Scenario files of one's own: what they mean, and every mistake in them at once."""

import re
from pathlib import Path

import pytest

from harness.config import (
    list_scenarios,
    load_scenario,
)
from harness.config.scenarios import SLO_METRICS
from harness.errors import InputError
from harness.measure.metrics import METRICS
from tests.provider_files import write


def test_shipped_scenarios() -> None:
    scenarios = {scenario.name: scenario for scenario in list_scenarios()}
    assert {"quick", "reasoning"} <= set(scenarios)
    reasoning = scenarios["reasoning"]
    assert reasoning.workload.families == ("arithmetic", "countdown") and reasoning.workload.max_tokens == 2048
    assert set(reasoning.slos) == {"ttft_s", "tpot_s"} and reasoning.gates == ("share(failed) < 0.05",)
    assert scenarios["quick"].run_time_s <= 20
    saturate = scenarios["saturate"].arrivals
    assert (saturate.kind, saturate.open_loop, saturate.users_ask) == ("queued", False, False)
    assert saturate.ahead and saturate.max_in_flight, "an endpoint without a ceiling must not be asked for ever more"
    assert scenarios["trace"].arrivals.time_scale == 10 and scenarios["trace"].arrivals.open_loop


SCENARIO = "description: d\nworkload: {families: [arithmetic]}\n"


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ("", ("share(failed) < 0.05",)),
        ("gates: ['p90(ttft_s) < 1']\n", ("p90(ttft_s) < 1", "share(failed) < 0.05")),
        ("gates: ['share(failed) < 0.5']\n", ("share(failed) < 0.5",)),
    ],
)
def test_failures_have_a_limit_unless_it_is_changed(tmp_path: Path, gates: str, expected: tuple[str, ...]) -> None:
    found = load_scenario(write(tmp_path, SCENARIO + gates, "mine.yaml"))
    assert (found.name, found.gates) == ("mine", expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workload: {families: [arithmetic]}\n", "description"),
        ("description: d\n", "workload"),
        ("description: d\nworkload: {families: []}\n", "workload.families (line 2)"),
        ("description: d\nworkload: {families: [arithmetik]}\n", "did you mean arithmetic"),
        ("description: d\nworkload: {families: [arithmetic], max_tokens: 0}\n", "at least 1"),
        ("description: d\nworkload: {families: [arithmetic], cache: warm}\n", "found 'warm'"),
        (SCENARIO + "user: 3\n", "did you mean users?"),
        (SCENARIO + "users: 0\n", "at least 1"),
        (SCENARIO + "slos: {ttft: 1}\n", "did you mean ttft_s"),
        (SCENARIO + "slos: {ttft_s: 0}\n", "more than 0"),
        (SCENARIO + "gates: ['ttft below 1']\n", "agg(metric) op number"),
        (SCENARIO + "run_time_s: 5\nwarm_up_s: 5\n", "a warm-up shorter than run_time_s"),
        (SCENARIO + "run_time_s: 60s\n", "a number"),
    ],
)
def test_a_scenario_that_cannot_be_run(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        load_scenario(write(tmp_path, text, "mine.yaml"))


def test_arrivals_of_a_scenario(tmp_path: Path) -> None:
    text = SCENARIO + "users: 4\narrivals: {kind: gamma, rate: 6, cv: 3, curve: deepseek-day-6-nodes, max_in_flight: 9}"
    arrivals = load_scenario(write(tmp_path, text, "mine.yaml")).arrivals
    assert (arrivals.kind, arrivals.rate_per_user, arrivals.cv, arrivals.max_in_flight) == ("gamma", 1.5, 3.0, 9)
    assert len(arrivals.curve_levels) == 96 and max(arrivals.curve_levels) == 278
    closed = load_scenario(write(tmp_path, SCENARIO, "mine.yaml")).arrivals
    assert (closed.kind, closed.open_loop) == ("closed", False)
    text = SCENARIO + "arrivals: {kind: trace, trace: t.jsonl, time_scale: 10}"
    assert load_scenario(write(tmp_path, text, "mine.yaml")).arrivals.trace == str(tmp_path / "t.jsonl")
    queued = load_scenario(write(tmp_path, SCENARIO + "arrivals: {kind: queued, ahead: 3}", "mine.yaml")).arrivals
    assert (queued.ahead, queued.max_in_flight) == (3, 1024)
    text = SCENARIO + "arrivals: {kind: constant, rate: 1, levels: [[0, 1], [9, 1], [9, 4], [20, 0]]}"
    assert load_scenario(write(tmp_path, text, "mine.yaml")).arrivals.levels == ((0, 1), (9, 1), (9, 4), (20, 0))


@pytest.mark.parametrize(
    ("arrivals", "message"),
    [
        ("{kind: bursty}", "arrivals.kind"),
        ("{rate: 5}", "found rate with kind closed; expected kind: poisson or constant or gamma"),
        ("{kind: queued}", "found no ahead; expected how many calls always wait"),
        ("{kind: queued, ahead: 8, rate: 3}", "found rate with kind queued"),
        ("{kind: closed, ahead: 8}", "found ahead with kind closed; expected kind: queued"),
        ("{kind: poisson}", "found no rate; expected requests per second"),
        ("{kind: trace, rate: 3}", "found no trace"),
        ("{kind: poisson, rate: -1}", "arrivals.rate"),
        ("{kind: poisson, rate: 1, cv: 2}", "found cv with kind poisson; expected kind: gamma"),
        ("{kind: poisson, rate: 1, curve: nights}", "a demand curve of the catalog"),
        ("{kind: poisson, rate: 1, levels: [[5, 1], [2, 1]]}", "found seconds that go back"),
        ("{kind: poisson, rate: 1, levels: [[5, 0]]}", "found only zeros"),
        ("{kind: poisson, rate: 1, levels: [[5]]}", "arrivals.levels"),
        ("{kind: poisson, rate: 1, levels: [[0, 1]], curve: flat}", "found levels and curve; expected one of them"),
    ],
)
def test_arrivals_that_mean_nothing(tmp_path: Path, arrivals: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        load_scenario(write(tmp_path, SCENARIO + f"arrivals: {arrivals}", "mine.yaml"))


def test_a_scenario_by_a_wrong_name() -> None:
    with pytest.raises(InputError, match="did you mean reasoning"):
        load_scenario("reasonin")
    with pytest.raises(InputError, match=r"none\.yaml"):
        load_scenario("none.yaml")


def test_slos_are_metrics_of_one_request() -> None:
    assert set(SLO_METRICS) <= set(METRICS)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("isl: lognormal(1000,0.4)", None),
        ("isl: 512", None),
        ("isl: 800\n  cache: share:0.56", None),
        ("isl: gamma(1)", "lognormal(mean,sigma)"),
        ("osl: uniform(9,5)", "lognormal(mean,sigma)"),
        ("isl: 512\n  isl_tokens: 5", "one of the two"),
        ("cache: share:0.5", "isl: as well"),
        ("isl: 800\n  cache: share:1.5", "share below 1"),
    ],
)
def test_lengths_and_cache_of_a_workload(tmp_path, lines, expected):
    path = tmp_path / "s.yaml"
    path.write_text(f"description: d\nworkload:\n  families: [arithmetic]\n  {lines}\n")
    if expected is None:
        workload = load_scenario(path).workload
        assert workload.isl in ("lognormal(1000,0.4)", "512", "800") and workload.isl_tokens in (1000, 512, 800)
        return
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    assert expected in str(caught.value) and "line " in str(caught.value)


def test_conversations_of_a_workload(tmp_path: Path) -> None:
    text = "workload: {families: [units_zh], turns: 5, think_time: 0.5, system: 900}"
    workload = load_scenario(write(tmp_path, f"description: d\n{text}\n", "mine.yaml")).workload
    assert (workload.turns, workload.think_time, workload.system) == ("5", "0.5", 900)
    text = "workload: {families: [units_zh], turns: 'uniform(3,8)', think_time: 'lognormal(8,0.6)', system: Be brief.}"
    workload = load_scenario(write(tmp_path, f"description: d\n{text}\n", "mine.yaml")).workload
    assert (workload.turns, workload.think_time, workload.system) == ("uniform(3,8)", "lognormal(8,0.6)", "Be brief.")
    plain = load_scenario(write(tmp_path, SCENARIO, "mine.yaml")).workload
    assert (plain.turns, plain.think_time, plain.system) == (None, None, None)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("reasoning_effort: hard", "found 'hard'; expected a known word: one of high, low"),
        ("turns: 0", "found 0; expected turns of a conversation"),
        ("turns: 2.5", "found 2.5; expected turns of a conversation"),
        ("turns: true", "found True; expected turns of a conversation"),
        ("turns: uniform(8,3)", "found 'uniform(8,3)'; expected turns of a conversation"),
        ("turns: [3]", "found a list; expected turns of a conversation"),
        ("think_time: -1", "found -1; expected before a user asks again: seconds"),
        ("think_time: soon", "found 'soon'; expected before a user asks again: seconds"),
        ("think_time: 8s", "found '8s'; expected before a user asks again: seconds"),
        ("think_time: 99999", "at most an hour"),
        ("think_time: {mean: 8}", "found a mapping; expected before a user asks again"),
        ("system: 0", "found 0; expected a system prompt: its text, or its length in tokens"),
        ("system: ''", "found ''; expected a system prompt"),
        ("system: true", "found True; expected a system prompt"),
        ("turn: 3", "found an unknown key; expected a key of this entry: did you mean turns"),
        ("isl: 80\n  cache: share:0.5\n  turns: 3", "found a share with turns; expected cold or as_is"),
        ("isl: 80\n  cache: share:0.5\n  system: 9", "found a share with system; expected cold or as_is"),
    ],
)
def test_conversations_that_mean_nothing_are_told_once(tmp_path: Path, keys: str, message: str) -> None:
    text = f"description: d\nworkload:\n  families: [arithmetic]\n  {keys}\n"
    with pytest.raises(InputError) as caught:
        load_scenario(write(tmp_path, text, "mine.yaml"))
    (mistake,) = caught.value.mistakes
    assert message in str(mistake) and "line " in mistake.key


def test_a_file_brings_its_own_system_messages(tmp_path: Path) -> None:
    write(tmp_path, '{"prompt": "hi"}\n', "rows.jsonl")
    text = "description: d\nworkload: {file: rows.jsonl, format: jsonl, system: Be brief.}\n"
    with pytest.raises(InputError, match="found a file and a system prompt; expected one of the two"):
        load_scenario(write(tmp_path, text, "mine.yaml"))
    assert load_scenario(write(tmp_path, text.replace("system: Be brief.", "turns: 3"), "mine.yaml")).workload.turns


@pytest.mark.parametrize(
    ("waits", "arrivals", "told"),
    [
        ("turns: 3, think_time: 2", "kind: poisson, rate: 3", []),
        ("turns: 3", "kind: gamma, rate: 3, curve: deepseek-day-6-nodes", []),
        ("turns: 3", "kind: closed", []),
        ("think_time: 2", "kind: closed", []),
        ("think_time: 2", "kind: constant, rate: 3", ["think_time with arrivals of kind constant; expected kind: cl"]),
        ("turns: 3, think_time: 2", "kind: queued, ahead: 3", []),
        ("think_time: 2", "kind: queued, ahead: 3", ["think_time with arrivals of kind queued; expected kind: closed"]),
        (
            "turns: 3, think_time: 2",
            "kind: trace, trace: t.jsonl",
            ["turns with arrivals of kind trace; expected another kind", "think_time with arrivals of kind trace"],
        ),
    ],
)
def test_conversations_may_begin_at_planned_times_and_nobody_waits_for_single_requests(
    tmp_path: Path, waits: str, arrivals: str, told: list[str]
) -> None:
    text = f"description: d\nworkload: {{families: [arithmetic], {waits}}}\narrivals: {{{arrivals}}}\n"
    if not told:
        assert load_scenario(write(tmp_path, text, "mine.yaml")).workload.families
        return
    with pytest.raises(InputError) as caught:
        load_scenario(write(tmp_path, text, "mine.yaml"))
    found = [str(mistake) for mistake in caught.value.mistakes]
    assert len(found) == len(told) and all(part in each for part, each in zip(told, found, strict=True))
