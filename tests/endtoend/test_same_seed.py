"""Two runs with one seed against a server that caches prefixes: cold prompts are equal in TTFT and $, warm ones not."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.records import StreamRecord, read_records
from tests.endtoend.command import load, only_run, simulator, trueyield
from tests.machine import quietest

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
    return quietest(tmp_path_factory.mktemp("same"), _both)[1]


def _both(home: Path) -> dict[str, Any]:
    caches = ("cold", "as_is")
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda cache: _two_runs(home / cache, cache), caches)
    return {f"{cache} {number}": run for cache, runs in zip(caches, found, strict=True) for number, run in runs}


def _two_runs(home: Path, cache: str) -> list[tuple[int, dict[str, Any]]]:
    home.mkdir()
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
            assert ended.code in (0, 4), ended.err  # 4: a busy machine
            folder = only_run(out)
            with (folder / "records.jsonl").open("rb") as lines:
                ttft_s = [_ttft_s(record) for record in read_records(lines) if record.stage == "measure"]
            buyer = load(folder, "economics.json")["buyer"]
            found.append((number, {"run": load(folder, "run.json"), "buyer": buyer, "ttft_s": ttft_s}))
    return found


def _ttft_s(record: StreamRecord) -> float:
    assert record.sent_last_ns is not None
    firsts = [at for at in (record.first_reasoning_ns, record.first_answer_ns) if at is not None]
    return (min(firsts) - record.sent_last_ns) / 1e9 if firsts else math.inf


def _figures(of: dict[str, Any]) -> tuple[float, float, float]:
    """TTFT, USD per million tokens of this run's mix, and cached over input tokens.

    TTFT is the lower quartile: what a shared host takes away makes some prompts slower, none faster."""
    tokens = of["run"]["window_tokens"]
    ttft_s = float(np.quantile(of["ttft_s"], 0.25))
    return ttft_s, of["buyer"]["usd_per_mtok_blended"], tokens["cached"] / tokens["input"]


def test_cold_runs_are_equal(runs: dict[str, Any]) -> None:
    (ttft, usd, hits), (ttft_again, usd_again, hits_again) = _figures(runs["cold 1"]), _figures(runs["cold 2"])
    assert min(len(runs[name]["ttft_s"]) for name in ("cold 1", "cold 2")) >= 8
    assert hits == hits_again == 0
    assert ttft_again == pytest.approx(ttft, rel=0.10) and usd_again == pytest.approx(usd, rel=0.005)


def test_without_cold_prompts_the_second_run_is_faster_and_cheaper(runs: dict[str, Any]) -> None:
    """So the test above can fail: the server does cache."""
    (ttft, usd, _), (ttft_again, usd_again, hits) = _figures(runs["as_is 1"]), _figures(runs["as_is 2"])
    assert hits > 0.5, "it gets further than the first, whose prompts are all found again"
    assert ttft_again < 0.5 * ttft and usd_again < 0.75 * usd
