"""economics.json of a simulator run with known card, deployment and mix, against a hand calculation from the truth."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.command import load, only_run, simulator, trueyield
from tests.endtoend.known import CACHED, GPUS, HOUR, IN, OUT, USERS


@pytest.fixture
def run(known: Path) -> Path:
    return only_run(known / "out")


@pytest.fixture
def truths(known: Path, run: Path) -> list[dict[str, Any]]:
    """What the simulator wrote down of that run."""
    lines = map(json.loads, (known / "truth.jsonl").read_text().splitlines())
    return [truth for truth in lines if truth["request_id"].startswith(run.name)]


def _usd(truth: dict[str, Any]) -> float:
    computed = truth["input_tokens"] - truth["cached_tokens"]
    return (computed * IN + truth["cached_tokens"] * CACHED + truth["output_tokens"] * OUT) / 1e6


@pytest.mark.timing
def test_the_test_bill(run: Path, truths: list[dict[str, Any]]) -> None:
    bill = load(run, "economics.json")["test_bill"]
    assert truths and not any(truth["aborted"] for truth in truths)
    assert bill["usd_known"] == pytest.approx(sum(map(_usd, truths)), rel=1e-9)
    assert bill["usd_unknown_max"] == 0
    assert sum(bill["spend"].values()) == pytest.approx(bill["usd_known"], rel=1e-9)


@pytest.mark.timing
def test_owner_and_yield(run: Path, truths: list[dict[str, Any]]) -> None:
    manifest, economics = load(run, "manifest.json"), load(run, "economics.json")
    stages, wall = manifest["stages"], manifest["workers"]["w0"]["wall"]["offset_ns"]
    begin, end = stages["measure_begin_ns"] - wall, stages["measure_end_ns"] - wall
    tokens = sum(
        count
        for truth in truths
        for at, count in zip(truth["delta_ns"], truth["delta_tokens"], strict=True)
        if begin <= at < end
    )
    seconds = (end - begin) / 1e9
    cost_usd = GPUS * HOUR / 3600 * seconds
    edge = max(1e-3, 2 * USERS / tokens)  # of each stream one step may lie on both sides of a window's edge
    assert economics["owner"]["usd_per_mtok_output_allin"] == pytest.approx(cost_usd / tokens * 1e6, rel=edge)
    in_window = [truth for truth in truths if begin <= truth["arrived_ns"] < end]
    usd_per_token = sum(map(_usd, in_window)) / sum(truth["output_tokens"] for truth in in_window)
    revenue_usd = tokens * usd_per_token
    assert economics["yield_basis"] == "seller"
    assert 1 + economics["yield_ratio"] == pytest.approx(revenue_usd / cost_usd, rel=edge)
    assert economics["gross_margin"] == pytest.approx(1 - cost_usd / revenue_usd, rel=1e-2)
    assert economics["break_even_utilisation"] == pytest.approx(cost_usd / revenue_usd, rel=edge)


@pytest.mark.timing
def test_the_bound_finds_the_engines_true_efficiency(run: Path) -> None:
    assert load(run, "economics.json")["bound_fraction"] == pytest.approx(0.72, rel=0.03)


def test_nothing_declared_means_nulls_with_reasons(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with simulator(tmp_path, "--preset", "demo", "--model", "m") as server:
        providers = tmp_path / "providers.yaml"
        providers.write_text(f"endpoints:\n  bare: {{base_url: {server.url}, model: m, dialect: vllm}}\n")
        ended = trueyield(
            "run", "reasoning", "--endpoint", "bare", "--providers", providers, "--users", 8, "--run-time", "5s",
            "--out", tmp_path / "out",
        )  # fmt: skip
        assert ended.code in (0, 4), ended.err  # 4: a busy machine reads late
    economics = load(only_run(tmp_path / "out"), "economics.json")
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
