"""The scenario files that come with trueyield: what each one asks for, that it fits, that it runs, how it is listed."""

import json
import re
from pathlib import Path
from statistics import fmean

import pytest

from harness.config import list_scenarios, load_scenario
from harness.config.endpoints import load_providers
from harness.config.scenarios import SCENARIO_FOLDER, WorkloadRow
from harness.load.conversations import MOST_TURNS, turns_of
from harness.load.datasets import FORMATS
from harness.load.lengths import read_lengths
from harness.load.orders import Order, make_plan
from harness.load.prompts import FAMILIES, input_tokens, output_tokens
from harness.providers import Catalog
from harness.simulator.building import Knobs, build_model, deployment_of
from harness.simulator.presets import PRESETS, Preset
from tests.endtoend.command import load, only_run, trueyield

SCENARIOS = {scenario.name: scenario for scenario in list_scenarios()}
#: These state their own prompts; a trace brings the lengths of its own.
OURS = ("agent-multiturn", "chat", "deepseek-day", "quick", "rag-long-prompt", "reasoning", "saturate", "soak")


def test_they_are_all_there() -> None:
    assert set(SCENARIOS) == {*OURS, "trace"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_says_which_question_it_answers(name: str) -> None:
    text = (SCENARIO_FOLDER / f"{name}.yaml").read_text()
    assert text.startswith("# "), "a head for those who open the file"
    assert "?" in SCENARIOS[name].description and len(SCENARIOS[name].description) <= 62, "one line of the list"
    assert max(map(len, text.splitlines())) <= 120


def test_deepseeks_day_has_its_published_mix() -> None:
    """608 B in, 168 B out, 56.25 % hits, 4,989 tokens behind the mean output token (open-infra-index, day 6)."""
    scenario = SCENARIOS["deepseek-day"]
    workload, seed = scenario.workload, 20250227
    asked = [input_tokens(workload, seed, ordinal) or 0 for ordinal in range(20_000)]
    told = [output_tokens(workload, seed, ordinal) for ordinal in range(20_000)]
    assert sum(asked) / sum(told) == pytest.approx(608 / 168, rel=0.015)
    behind = sum(each * (before + each / 2) for before, each in zip(asked, told, strict=True)) / sum(told)
    assert behind == pytest.approx(4989, rel=0.015)
    assert workload.shared_share == 342 / 608
    assert scenario.arrivals.curve == "deepseek-day-6-nodes" and scenario.warm_up_seconds() == 0


def _longest(name: str) -> int:
    """Tokens of a late turn of a long prompt: one in a thousand is longer."""
    workload = SCENARIOS[name].workload
    said = read_lengths(workload.isl).at(0.999) if workload.isl is not None else 300
    turns = max(turns_of(workload, 1, number) for number in range(1000))
    assert turns < MOST_TURNS
    system = workload.system if isinstance(workload.system, int) else 0
    return system + turns * said + 400 * (turns - 1) + workload.max_tokens


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
@pytest.mark.parametrize("name", OURS)
def test_every_prompt_fits_into_every_simulated_model(name: str, preset: Preset, catalog: Catalog) -> None:
    deployment = deployment_of(preset, catalog.accelerators, catalog.models)
    model = build_model(preset, deployment, Knobs())
    assert _longest(name) <= (deployment.model.context or 0)
    assert _longest(name) <= model.limits.kv_tokens


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_providers(None).catalog


def test_a_run_that_is_cut_short_keeps_its_shape() -> None:
    endpoint = load_providers(None).endpoints["simulator"]

    def planned(seconds: float) -> tuple[float, float]:
        order = Order(endpoint="simulator", scenario="chat", run_time_s=seconds)
        scenario = make_plan(order, endpoint, SCENARIOS["chat"], run_id="", workers=1).scenario
        return scenario.warm_up_seconds(), scenario.arrivals.stagger_s

    assert planned(30) == pytest.approx((7.5, 7.5)), "a quarter of it"
    assert planned(290) == pytest.approx((60, 45)), "less than a quarter: as it was"
    assert planned(300) == planned(3000) == (60, 45)


# -- the list


def test_the_list_fits_a_terminal() -> None:
    ended = trueyield("run", "--list")
    assert ended.code == 0 and not ended.err
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in SCENARIOS:
        (row,) = [number for number, line in enumerate(lines) if line.startswith(f" {name} ")]
        assert SCENARIOS[name].description in lines[row], "never cut"
        for metric, limit in SCENARIOS[name].slos.items():
            shown = f"{metric.removesuffix('_s').upper()} {limit:g} s" if limit >= 1 else f"{1000 * limit:g} ms"
            assert shown in lines[row + 1]
    assert "poisson 0.5/s, a day's curve" in ended.out and "24 users, turns uniform(2,7)" in ended.out


@pytest.mark.parametrize("kind", ["poisson", "constant"])
def test_a_rate_of_conversations_is_forecast_in_both_and_with_all_their_turns(kind: str) -> None:
    """3 requests/s for 300 s are 200 conversations of 4.5 turns; Poisson ones with six sigma to spare."""
    ended = trueyield("run", "chat", "--endpoint", "simulator", "--rate", "3", "--arrivals", kind, "--dry-run")
    assert ended.code == 0, ended.err
    assert f"open loop: {kind} 3 requests/s = 0.667 conversations/s x 4.5 turns\n" in ended.out
    begun = 201 if kind == "constant" else 286
    calls = sum(turns_of(SCENARIOS["chat"].workload, 1, number) for number in range(begun))
    assert f"worst case  {calls:,} calls" in ended.out


def test_the_list_as_json_is_one_document() -> None:
    ended = trueyield("run", "--list", "--json")
    listed = {each["name"]: each for each in json.loads(ended.out)["scenarios"]}
    assert set(listed) == set(SCENARIOS)
    assert listed["chat"]["workload"]["turns"] == "uniform(2,7)" and listed["chat"]["slos"]["ttft_s"] == 1.0


def test_json_without_the_list_is_told() -> None:
    ended = trueyield("run", "quick", "--json", "--endpoint", "simulator")
    assert ended.code == 2 and "--list" in ended.err


# -- the page


PAGE = (Path(__file__).parent.parent / "docs/workloads.md").read_text()


@pytest.mark.parametrize("key", WorkloadRow.model_fields)
def test_every_key_is_on_the_page(key: str) -> None:
    assert re.search(rf"^\|[^|]*`{key}`", PAGE, re.M)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_on_the_page(form: str) -> None:
    assert re.search(rf"^\|[^|]*`{form}`", PAGE, re.M)


@pytest.mark.parametrize("name", [name for name in FAMILIES if not name.endswith("_zh")])
def test_every_family_is_on_the_page_with_its_expected_lengths(name: str) -> None:
    row = re.search(rf"^\| `{name}` \|[^|]*\|(.*)\|$", PAGE, re.M)
    assert row is not None and f"{name}_zh" in FAMILIES
    for difficulty, told in zip((1, 2, 4, 6), row[1].split("|"), strict=True):
        problems = [FAMILIES[name].make(1, ordinal, difficulty) for ordinal in range(60)]
        assert int(told) == round(fmean(problem.expected_tokens for problem in problems))


def test_the_example_of_the_page_can_be_run(tmp_path: Path) -> None:
    example = re.search(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    assert example is not None
    (tmp_path / "mine.yaml").write_text(example[1])
    assert load_scenario(tmp_path / "mine.yaml").workload.turns == "uniform(3,8)"


# -- each really runs


#: What keeps a short run short: answers of real length would outlast it.
SHORT = {
    "agent-multiturn": ("--max-tokens", "400"),
    "chat": ("--max-tokens", "400"),
    "deepseek-day": ("--max-tokens", "100", "--rate", "2"),
    "rag-long-prompt": ("--max-tokens", "400"),
    "soak": ("--max-tokens", "50", "--users", "4"),
}


@pytest.mark.parametrize("name", SHORT)
def test_each_runs_on_the_built_in_simulator(name: str, tmp_path: Path) -> None:
    ended = trueyield(
        "run", name, "--endpoint", "simulator", "--run-time", "10s", "--stop-timeout", "20s", "--out", tmp_path,
        *SHORT[name],
    )  # fmt: skip
    well = 3 if name == "soak" else 0  # its slopes need a quarter of an hour, and gates on them say so
    assert ended.code in (well, 4), ended.out + ended.err  # 4: a busy machine starts calls late
    assert re.search(r"1,000 useful answers", ended.out)
    run = load(only_run(tmp_path), "run.json")
    assert run["requests"]["failed"] == 0 and run["requests"]["ok"] >= 5
    scenario = load_scenario(name)
    assert bool(run["turns"]) == (scenario.workload.turns is not None)
    if scenario.workload.fixed_length:
        assert run["useful"]["graded"] == 0, "an answer that was not allowed to end has nothing to check"
        assert not any("checker" in note for note in run["notes"])
    else:
        assert run["useful"]["graded"] > 0 and run["useful"]["right"] > 0
    if name == "rag-long-prompt":
        assert 5000 < run["mix"]["isl_tokens"] < 11_000
