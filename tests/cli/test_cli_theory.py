"""`trueyield theory`: what it prints, its JSON, its exit codes, and names that are not there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "theory", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
    )  # fmt: skip


def answer(*arguments: str) -> dict[str, Any]:
    done = call(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


LLAMA = ("llama-3.1-8b", "--on", "h100-sxm", "--count", "1", "--precision", "bf16")
V3_NODE = ("deepseek-v3", "--on", "h200-sxm", "--count", "8", "--tp", "8")
UNIT = (
    *("deepseek-r1", "--on", "h800-sxm", "--count", "176", "--ep", "176", "--redundant-experts", "96", "--pd", "4:18"),
    *("--isl", "3619", "--osl", "1000", "--cached-share", "0.5625", "--accept-unverified"),
)


@pytest.mark.parametrize(
    "arguments",
    [
        (*LLAMA, "--concurrency", "32"),
        (*V3_NODE, "--concurrency", "640", "--tokens-per-step", "1.5..1.8"),
        (*UNIT, "--concurrency", "20000"),
        ("deepseek-v3", "--on", "gb200-nvl72", "--count", "72", "--ep", "72", "--precision", "fp4", "--isl", "100"),
    ],
    ids=["dense", "speculation", "apart", "large"],
)
def test_the_table_fits_a_terminal(arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80 and "\x1b" not in done.stdout
    for part in ("limited by", "ceilings, (expected)", "basis: $", "/GPU-h", "energy:", "TTFT"):
        assert part in done.stdout, part
    assert not any(")(" in line for line in lines), "columns touch"


def test_figures_and_their_bases() -> None:
    found = answer(*LLAMA, "--concurrency", "32")
    assert found["schema"] == 1
    assert found["fit"]["kv_bytes_per_token"] == 131_072
    assert found["fit"]["parameters"] == pytest.approx(8.03e9, rel=1e-3)
    here = found["at_concurrency"]
    assert here["batch"] == 32
    assert here["output_tokens_per_s"] == pytest.approx(32 * here["output_tokens_per_s_per_user"])
    assert here["usd_per_mtok_output_allin"] == pytest.approx(2.95e6 / 3600 / here["output_tokens_per_s"])
    assert here["joules_per_output_token"] == pytest.approx(1730 / here["output_tokens_per_s"])
    assert 0 < here["expected"]["low"] < here["expected"]["high"] < here["output_tokens_per_s"]
    assert found["one_user"]["output_tokens_per_s"] <= here["output_tokens_per_s"]
    assert found["at_best_load"]["output_tokens_per_s"] >= here["output_tokens_per_s"]
    assert found["power"]["boundary"].startswith("provisioned, all-in")
    assert {prior["name"] for prior in found["priors"]} >= set(here["expected"]["priors"])


def test_speculation_lifts_the_ceiling_and_widens_the_range() -> None:
    plain, drafted = answer(*V3_NODE), answer(*V3_NODE, "--tokens-per-step", "1.5..1.8")
    one, more = plain["one_user"], drafted["one_user"]
    assert 1.5 < more["output_tokens_per_s"] / one["output_tokens_per_s"] <= 1.8
    assert more["expected"]["high"] / more["expected"]["low"] > one["expected"]["high"] / one["expected"]["low"]


def test_prefill_and_decode_apart() -> None:
    found = answer(*UNIT)["split"]
    assert found["accelerators_per_piece"] == 8
    assert found["bound"]["limited_by"] == "prefill"
    assert found["bound"]["prefill_utilisation"] == pytest.approx(1)
    assert found["bound"]["decode_utilisation"] == pytest.approx(4 / 18 / found["best_prefill_per_decode"])
    assert found["low"]["output_tokens_per_s"] < found["high"]["output_tokens_per_s"]
    assert found["high"]["output_tokens_per_s"] < found["bound"]["output_tokens_per_s"]


def test_prices_say_whose_they_are() -> None:
    own = call(*LLAMA, "--usd-per-gpu-hour", "2")
    assert "$2.00/GPU-h, declared on the command line, no date" in own.stdout
    named = call(*LLAMA, "--gpu-hour", "h100-sxm-coreweave")
    assert "$6.16/GPU-h, list, CoreWeave, 2026-09" in named.stdout
    doubted = call("llama-3.1-8b", "--on", "mi355x", "--count", "1", "--accept-unverified")
    assert "$8.60/GPU-h, list, Oracle, UNVERIFIED, 2026" in doubted.stdout
    none = call("llama-3.1-8b", "--on", "h20", "--count", "1", "--accept-unverified")
    assert "add --usd-per-gpu-hour" in none.stdout and "note: h20 is unverified" in none.stdout


def test_a_token_within_a_time() -> None:
    free, kept = answer(*LLAMA), answer(*LLAMA, "--want-tpot", "0.01")
    assert kept["at_best_load"]["output_tokens_per_s_per_user"] >= 100
    assert kept["at_best_load"]["batch"] < free["at_best_load"]["batch"]
    assert "SLO" in kept["at_best_load"]["limited_by"]
    never = answer(*LLAMA, "--want-tpot", "0.0001")
    assert never["at_best_load"] is None and "no batch keeps a token" in never["notes"][0]


def test_fixed_costs_make_it_slower_and_smaller() -> None:
    free, costs = answer(*V3_NODE), answer(*V3_NODE, "--overheads", "aiconfigurator")
    assert costs["one_user"]["output_tokens_per_s"] <= free["one_user"]["output_tokens_per_s"]
    assert costs["fit"]["kv_room_bytes"] < free["fit"]["kv_room_bytes"]


def test_what_does_not_fit_is_an_answer() -> None:
    done = call("deepseek-v3", "--on", "h100-sxm", "--count", "8", "--tp", "8")
    assert done.returncode == 0
    assert "DOES NOT FIT; from 10 accelerators on" in done.stdout
    assert done.stderr.startswith("next: ")
    found = answer("deepseek-v3", "--on", "h100-sxm", "--count", "8")
    assert found["fit"]["fits"] is False and found["one_user"] is None


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("lama-3.3-70b", "--on", "h100-sxm", "--count", "1"), ("MODEL: found 'lama-3.3-70b'", "llama-3.3-70b")),
        (("llama-3.1-8b", "--on", "h100", "--count", "1"), ("--on: found 'h100'", "did you mean h100-sxm")),
        (("llama-3.1-8b", "--on", "rtx-4090", "--count", "1"), ("marks unverified", "next: add --accept-unverified")),
        (("llama-3.1-8b", "--on", "a100-80-sxm", "--count", "1", "--precision", "fp8"), ("--precision", "has no rate")),
        (("llama-3.1-8b", "--on", "h100-sxm", "--count", "7", "--tp", "3"), ("--count: found 7", "--tp: found 3")),
        (("llama-3.1-8b", "--on", "h100-sxm", "--count", "8", "--ep", "8"), ("--ep: found 8", "has no experts")),
        ((*LLAMA, "--pd", "1:2"), ("--pd: found 1:2", "divide --count (1)")),
        ((*LLAMA, "--pd", "1"), ("prefill:decode such as 4:18",)),
        ((*LLAMA, "--tokens-per-step", "0.5"), ("at least one token",)),
        ((*LLAMA, "--overheads", "aiconfigurator"), ("a layout beside it",)),
        ((*LLAMA, "--gpu-hour", "h200-sxm-rent"), ("an hour of h200-sxm", "an hour of h100-sxm")),
        ((*LLAMA, "--gpu-hour", "h100"), ("a GPU hour of the catalog",)),
        ((*LLAMA, "--kv-precision", "fp3"), ("fp3",)),
        (("llama-3.1-8b", "--count", "1"), ("--on",)),
    ],
)
def test_bad_input_is_told_with_what_would_be_right(arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    for part in parts:
        assert part in done.stderr, done.stderr
