"""Published traces, read as they are written; a wrong line is named."""

from pathlib import Path

import pytest

from harness.config import load_scenario
from harness.config.scenarios import SCENARIO_FOLDER
from harness.errors import InputError
from harness.load.arrivals.plans import global_plan
from harness.load.arrivals.synthetic import synthetic_trace
from harness.load.arrivals.traces import TraceRow, digest_of, read_trace
from harness.load.blocks import BLOCK_TOKENS
from harness.load.orders import Order, make_plan
from harness.providers import Endpoint

MOONCAKE = """{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46]}
{"timestamp": 27482, "input_length": 3, "output_length": 4, "hash_ids": []}
"""
AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-12 00:00:00.009930+00:00,2162,5
2024-05-12 00:00:01+00:00,2399,6
"""
BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,0,1087,Conversation log
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_mooncake(tmp_path: Path) -> None:
    rows = read_trace(written(tmp_path, "mooncake.jsonl", MOONCAKE))
    first, second, third = rows
    assert (first, second) == (TraceRow(0.0, 6955, 52, (46, 47)), TraceRow(0.0, 3, 4))
    assert third == TraceRow(pytest.approx(3.053), 6472, 26, (46,))


def test_azure(tmp_path: Path) -> None:
    rows = read_trace(written(tmp_path, "azure.csv", AZURE))
    assert rows == (TraceRow(0.0, 374, 44), TraceRow(pytest.approx(4.314579, abs=1e-6), 396, 109))
    later = read_trace(written(tmp_path, "azure24.csv", AZURE_2024))
    assert later[1].at_s == pytest.approx(0.99007)


def test_burstgpt_failures_were_sent_all_the_same(tmp_path: Path) -> None:
    rows = read_trace(written(tmp_path, "burst.csv", "\ufeff" + BURSTGPT))
    assert rows == (TraceRow(0.0, 472, 18), TraceRow(40.0, 1087, 1))


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("t.jsonl", MOONCAKE + "{", "line 4"),
        ("t.jsonl", '{"timestamp": 1, "input_length": -5, "output_length": 1}', "line 1"),
        ("t.jsonl", '{"timestamp": NaN, "input_length": 5, "output_length": 1}', "line 1"),
        ("t.jsonl", "[1, 2]", "line 1"),
        ("t.jsonl", '{"timestamp": 1, "input_length": 5, "output_length": 1, "hash_ids": ["a"]}', "line 1"),
        ("t.csv", "when,how,many\n1,2,3\n", "line 2"),
        ("t.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2\n", "line 2"),
        ("t.csv", "Timestamp,Request tokens,Response tokens\n1,2\n", "line 2"),
        ("t.csv", "", ""),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, name: str, text: str, key: str) -> None:
    with pytest.raises(InputError) as caught:
        read_trace(written(tmp_path, name, text))
    assert [mistake.key for mistake in caught.value.mistakes] == [key]


def test_many_wrong_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="95 more such lines"):
        read_trace(written(tmp_path, "t.jsonl", "x\n" * 100))
    with pytest.raises(InputError, match="readable"):
        digest_of(tmp_path / "nowhere.csv")


def test_the_shipped_trace_is_made_again_from_its_seed() -> None:
    shipped = SCENARIO_FOLDER / "traces" / "synthetic-mooncake.jsonl"
    assert shipped.read_text().splitlines() == list(synthetic_trace())
    rows = read_trace(shipped)
    assert 250 < len(rows) < 400 and 590 < rows[-1].at_s < 600
    assert all(len(row.hash_ids) == -(-row.input_tokens // BLOCK_TOKENS) for row in rows)
    assert list(synthetic_trace(seed=2)) != list(synthetic_trace())


def test_the_trace_scenario_replays_it_as_it_is_shipped() -> None:
    scenario = load_scenario("trace")
    plan = make_plan(
        Order(endpoint="e", scenario="trace"),
        Endpoint(name="e", base_url="", model="m"),
        scenario,
        run_id="",
        workers=2,
    )
    arrivals = plan.scenario.arrivals
    assert arrivals.trace_rows == len(list(global_plan(plan.scenario, 1, read_trace(Path(arrivals.trace or "")))))
    assert arrivals.trace_shared == pytest.approx(0.637, abs=0.001)
    assert plan.scenario.workload.isl_tokens == 1670, "the mean: prompts are measured out for this endpoint"
