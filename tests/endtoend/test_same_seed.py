"""Two runs with one seed against a server that caches prefixes: cold prompts are equal in TTFT and $, warm ones not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.command import load, only_run, simulator, trueyield

pytestmark = pytest.mark.timing

PROVIDERS = """
endpoints:
  known: {{base_url: {url}, model: m, dialect: vllm, price_card: known-card}}
prices:
  known-card:
    provider: us
    model: m
    source: this test
    as_of: 2026-11-01
    periods:
      - rates: {{usd_per_mtok_input: 0.5, usd_per_mtok_input_cached: 0.1, usd_per_mtok_output: 2.0}}
"""
SCENARIO = """
description: prompts of 6,000 tokens, answers of 40
workload: {{families: [arithmetic], isl_tokens: 6000, max_tokens: 40, fixed_length: true, cache: {cache}}}
users: 2
run_time_s: 8
warm_up_s: 1
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two cold runs one after the other on one server, beside them two as they are on another, all with seed 7."""
    homes = {cache: tmp_path_factory.mktemp(cache) for cache in ("cold", "as_is")}
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda cache: _two_runs(homes[cache], cache), homes)
    return {f"{cache} {number}": run for cache, runs in zip(homes, found, strict=True) for number, run in runs}


def _two_runs(home: Path, cache: str) -> list[tuple[int, dict[str, Any]]]:
    found = []
    with simulator(home, "--preset", "demo", "--model", "m") as server:
        (home / "providers.yaml").write_text(PROVIDERS.format(url=server.url))
        scenario = home / "mine.yaml"
        scenario.write_text(SCENARIO.format(cache=cache))
        for number in (1, 2):
            out = home / f"{number}"
            ended = trueyield(
                "run", scenario, "--endpoint", "known", "--providers", home / "providers.yaml", "--seed", 7,
                "--out", out,
            )  # fmt: skip
            assert ended.code == 0, ended.err
            folder = only_run(out)
            found.append((number, {"run": load(folder, "run.json"), "buyer": load(folder, "economics.json")["buyer"]}))
    return found


def _figures(of: dict[str, Any]) -> tuple[float, float, float]:
    """Median TTFT, USD per million tokens of this run's mix, and cached over input tokens."""
    run = of["run"]
    tokens = run["window_tokens"]
    return run["metrics"]["ttft_s"]["p50"], of["buyer"]["usd_per_mtok_blended"], tokens["cached"] / tokens["input"]


def test_cold_runs_are_equal(runs: dict[str, Any]) -> None:
    (ttft, usd, hits), (ttft_again, usd_again, hits_again) = _figures(runs["cold 1"]), _figures(runs["cold 2"])
    assert runs["cold 1"]["run"]["metrics"]["ttft_s"]["n"] >= 8
    assert hits == hits_again == 0
    assert ttft_again == pytest.approx(ttft, rel=0.10) and usd_again == pytest.approx(usd, rel=0.005)


def test_without_cold_prompts_the_second_run_is_faster_and_cheaper(runs: dict[str, Any]) -> None:
    """So the test above can fail: the server does cache."""
    (ttft, usd, _), (ttft_again, usd_again, hits) = _figures(runs["as_is 1"]), _figures(runs["as_is 2"])
    assert hits > 0.5, "it gets further than the first, whose prompts are all found again"
    assert ttft_again < 0.5 * ttft and usd_again < 0.75 * usd
