"""economics.json of a simulator run with known card, deployment and mix, against a hand calculation from the truth."""

from typing import Any

import pytest

from tests.endtoend.command import load, only_run, simulator, trueyield

pytestmark = pytest.mark.timing

USD_IN, USD_CACHED, USD_OUT = 0.5, 0.1, 2.0  # per million tokens
GPUS, USD_PER_GPU_HOUR = 2, 3.6  # 0.002 USD a second

PROVIDERS = """
endpoints:
  known:
    base_url: {url}
    model: m
    dialect: vllm
    price_card: known-card
    deployment: {{accelerator: h100-sxm, count: 2, model: llama-3.3-70b, precision: fp8, max_batch: 32,
                 usd_per_gpu_hour: 3.6}}
  bare: {{base_url: {url}, model: m, dialect: vllm}}
prices:
  known-card:
    provider: us
    model: m
    source: this test
    as_of: 2026-11-01
    periods:
      - rates: {{usd_per_mtok_input: 0.5, usd_per_mtok_input_cached: 0.1, usd_per_mtok_output: 2.0}}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run on each entry, and what the simulator wrote down."""
    folder = tmp_path_factory.mktemp("money")
    with simulator(folder, "--preset", "demo", "--model", "m") as server:
        providers = folder / "providers.yaml"
        providers.write_text(PROVIDERS.format(url=server.url))
        for entry, seconds in (("known", "20s"), ("bare", "6s")):
            ended = trueyield(
                "run", "reasoning", "--endpoint", entry, "--providers", providers, "--users", 16,
                "--run-time", seconds, "--out", folder / entry,
            )  # fmt: skip
            assert ended.code == 0, ended.err
        truths = {truth["request_id"]: truth for truth in server.stop()}
    return {"truths": truths, "known": only_run(folder / "known"), "bare": only_run(folder / "bare")}


def _usd(truth: dict[str, Any]) -> float:
    computed = truth["input_tokens"] - truth["cached_tokens"]
    return (computed * USD_IN + truth["cached_tokens"] * USD_CACHED + truth["output_tokens"] * USD_OUT) / 1e6


def test_the_test_bill(runs: dict[str, Any]) -> None:
    run_id = load(runs["known"], "run.json")["run_id"]
    mine = [truth for name, truth in runs["truths"].items() if name.startswith(run_id)]
    bill = load(runs["known"], "economics.json")["test_bill"]
    assert not any(truth["aborted"] for truth in mine)
    assert bill["usd_known"] == pytest.approx(sum(map(_usd, mine)), rel=1e-9)
    assert bill["usd_unknown_max"] == 0
    assert sum(bill["spend"].values()) == pytest.approx(bill["usd_known"], rel=1e-9)


def test_owner_and_yield(runs: dict[str, Any]) -> None:
    manifest, economics = load(runs["known"], "manifest.json"), load(runs["known"], "economics.json")
    stages, wall = manifest["stages"], manifest["workers"]["w0"]["wall"]["offset_ns"]
    begin, end = stages["measure_begin_ns"] - wall, stages["measure_end_ns"] - wall
    mine = [truth for name, truth in runs["truths"].items() if name.startswith(manifest["run_id"])]
    tokens = sum(
        count
        for truth in mine
        for at, count in zip(truth["delta_ns"], truth["delta_tokens"], strict=True)
        if begin <= at < end
    )
    seconds = (end - begin) / 1e9
    cost_usd = GPUS * USD_PER_GPU_HOUR / 3600 * seconds
    assert economics["owner"]["usd_per_mtok_output_allin"] == pytest.approx(cost_usd / tokens * 1e6, rel=1e-3)
    in_window = [truth for truth in mine if begin <= truth["arrived_ns"] < end]
    usd_per_token = sum(map(_usd, in_window)) / sum(truth["output_tokens"] for truth in in_window)
    revenue_usd = tokens * usd_per_token
    assert economics["yield_basis"] == "seller"
    assert 1 + economics["yield_ratio"] == pytest.approx(revenue_usd / cost_usd, rel=1e-3)
    assert economics["gross_margin"] == pytest.approx(1 - cost_usd / revenue_usd, rel=1e-2)
    assert economics["break_even_utilisation"] == pytest.approx(cost_usd / revenue_usd, rel=1e-3)


def test_the_bound_finds_the_engines_true_efficiency(runs: dict[str, Any]) -> None:
    assert load(runs["known"], "economics.json")["bound_fraction"] == pytest.approx(0.72, rel=0.03)


def test_nothing_declared_means_nulls_with_reasons(runs: dict[str, Any]) -> None:
    economics = load(runs["bare"], "economics.json")
    for part, key in (
        ("owner", "usd_per_mtok_output_allin"),
        ("buyer", "usd_per_1k_useful"),
        ("bound", "at_this_load"),
    ):
        assert economics[part][key] is None
    for key in ("yield_ratio", "gross_margin", "bound_fraction"):
        assert economics[key] is None
    for key in ("yield_ratio", "bound_fraction"):
        assert "providers.yaml" in economics["reasons"][key] or "add" in economics["reasons"][key]
