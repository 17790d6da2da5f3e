"""The silicon benchmark: the model has the shape that theory counts, ceilings become a row, runs become fractions."""

import json
import re
import shutil
import urllib.request
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from benchmarks.silicon import machine
from benchmarks.silicon.bench import Bench, ceilings_table, entries
from benchmarks.silicon.engine import LlamaCpp, Serving
from benchmarks.silicon.machine import Ceilings
from benchmarks.silicon.model import tensors, vocabulary, write_model
from benchmarks.silicon.points import Point, Row, loads, rows_of, table
from harness.cli import cli
from harness.config.catalog import load_catalog
from harness.config.endpoints import load_providers
from harness.config.scenarios import load_scenario
from harness.theory import parameters, weight_bytes
from tests.test_example import differences

CARD = load_catalog().models["qwen2.5-0.5b"]
TINY = replace(CARD, name="tiny", layers=2, hidden=64, heads=4, kv_heads=2, head_dim=16, ffn=96, vocab=1000)
EXAMPLE = Path(__file__).parents[2] / "results" / "example-silicon"
CEILINGS = Ceilings(threads=1, read=(9e9, 11.4e9), native=(150e9, 165e9), avx2=(100e9, 105e9))


@pytest.mark.parametrize("card", [TINY, replace(TINY, tied_embeddings=False)], ids=["tied", "not tied"])
def test_the_model_has_the_parameters_that_theory_counts(card) -> None:
    made = sum(tensor.size for _, tensor in tensors(card, np.random.default_rng(1)))
    assert made == parameters(card).total


def test_the_file_has_the_bytes_that_theory_counts(tmp_path: Path) -> None:
    path = write_model(TINY, tmp_path / "tiny.gguf")
    held = gguf.GGUFReader(str(path)).tensors
    assert sum(int(tensor.n_bytes) for tensor in held) == pytest.approx(weight_bytes(TINY, "fp16"), rel=0.02)
    assert {tensor.tensor_type.name for tensor in held} == {"F16", "F32"}


@pytest.mark.parametrize("name", ["deepseek-v3", "gpt-oss-20b", "llama-3.1-8b"])
def test_other_architectures_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="Qwen2"):
        write_model(load_catalog().models[name], tmp_path / "no.gguf")


def test_the_vocabulary_is_as_large_as_the_cards_and_closed_under_its_merges() -> None:
    tokens, merges = vocabulary(CARD.vocab)
    known = set(tokens)
    assert len(tokens) == len(known) == CARD.vocab
    assert len(tokens[3:259]) == 256 and all(len(token) == 1 for token in tokens[3:259])
    for merge in merges:
        left, right = merge.split(" ")
        assert {left, right, left + right} <= known
    with pytest.raises(ValueError, match="no room"):
        vocabulary(300)


def test_the_engine_serves_the_model_and_ends(tmp_path: Path) -> None:
    path = write_model(TINY, tmp_path / "tiny.gguf")
    engine = LlamaCpp(Serving(model=path, threads=1, slots=2, context_tokens=512), tmp_path / "log")
    engine.start()
    try:
        asked = {"messages": [{"role": "user", "content": "a river"}], "max_tokens": 5, "ignore_eos": True}
        request = urllib.request.Request(
            f"{engine.url}/chat/completions", json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["usage"]["completion_tokens"] == 5
    finally:
        engine.stop()
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{engine.url}/models", timeout=5)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_machine_can_be_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "SWEEP_BYTES", 64_000_000)
    monkeypatch.setattr(machine, "BUILD", tmp_path)
    found = machine.measure(2)
    assert len(found.read) == len(found.native) == 12
    assert 1e8 < max(found.read) < 1e13
    assert 1e8 < max(found.native) < 1e13


def test_a_ceiling_is_the_best_round_and_becomes_a_row(tmp_path: Path) -> None:
    row = machine.accelerator_row(CEILINGS, 25_000_000_000, "Some CPU", "2026-11-21")
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"accelerators": {"here": row}}))
    here = load_catalog(tmp_path / "more.yaml").accelerators["here"]
    assert (here.hbm_bytes_per_s, here.flops_per_s, here.hbm_bytes) == (11.4e9, {"fp32": 165e9}, 25e9)
    assert here.source == "measured by benchmarks/silicon on Some CPU, one core"
    assert machine.summary(CEILINGS.read, 1e9) == "11.4 (median 10.2)"
    assert ceilings_table(CEILINGS, CEILINGS).count("165 (median 158)") == 2


@pytest.mark.parametrize(
    ("cpu", "name"),
    [
        ("Intel(R) Xeon(R) Processor @ 2.80GHz", "intel-xeon-2.80ghz"),
        ("AMD EPYC 7B13", "amd-epyc-7b13"),
        ("12th Gen Intel(R) Core(TM) i7-1260P", "12th-gen-intel-core-i7-1260p"),
    ],
)
def test_a_name_that_can_be_typed(cpu: str, name: str) -> None:
    assert machine.slug(cpu) == name


def test_the_entry_it_writes_is_a_deployment_on_the_measured_machine(tmp_path: Path) -> None:
    bench = Bench(card=CARD, name="here", threads=1, priority=0, run_time_s=60, folder=tmp_path, points=())
    engine = LlamaCpp(Serving(model=tmp_path, threads=1, slots=1, context_tokens=1), tmp_path)
    (tmp_path / "providers.yaml").write_text(yaml.safe_dump(entries(bench, engine, CEILINGS, 8)))
    endpoint = load_providers(tmp_path / "providers.yaml").endpoints["silicon"]
    deployment = endpoint.deployment
    assert deployment is not None and deployment.max_batch == 8
    assert (deployment.accelerator.name, deployment.model, deployment.precision) == ("here", CARD, "fp16")
    assert deployment.usd_per_gpu_hour and deployment.price_basis.startswith("declared") and deployment.price_as_of


def test_a_load_of_each_kind(tmp_path: Path) -> None:
    points = loads([1, 4], 48, 512)
    assert [(point.name, point.users, point.is_prefill) for point in points] == [
        ("decode-1", 1, False), ("decode-4", 4, False), ("prefill", 1, True),
    ]  # fmt: skip
    for point in points:
        path = tmp_path / f"{point.name}.yaml"
        path.write_text(point.scenario())
        read = load_scenario(path)
        assert (read.users, read.workload.max_tokens, read.workload.isl_tokens) == (
            point.users, point.output_tokens, point.input_tokens,
        )  # fmt: skip
        assert read.workload.fixed_length


def row(**other) -> Row:
    given = dict(
        point="p", quantity="q", isl_tokens=80, osl_tokens=48, limited_by="memory", theory=10, measured=7, n=30
    )
    return Row(**(given | other))


def test_a_fraction_of_a_rate_and_of_a_time() -> None:
    assert row().bound_fraction == pytest.approx(0.7)
    assert row(theory=0.7, measured=1.0, is_time=True).bound_fraction == pytest.approx(0.7)
    assert row(build_theory=8).build_fraction == pytest.approx(7 / 8)
    assert row().build_fraction is None


def test_the_table_tells_intervals_and_the_build_only_where_there_is_one() -> None:
    plain = table([row(interval=(6.5, 7.5))])
    assert "| 7.0 [6.5, 7.5] | 0.70 | 30 |" in plain and "build" not in plain
    mixed = table([row(), row(theory=0.1, measured=0.2, is_time=True, build_theory=0.15)]).splitlines()
    assert len({line.count("|") for line in mixed}) == 1
    assert mixed[-1] == "| p | q | 80 / 48 | memory | 100 ms | 200 ms | 0.50 | 0.75 | 30 |"


# ---------------------------------------------------------------------------------------------------- the example


def test_no_row_of_the_example_is_above_its_bound_and_the_rate_is_the_products_own() -> None:
    users = json.loads((EXAMPLE / "manifest.json").read_text())["scenario"]["users"]
    economics = json.loads((EXAMPLE / "economics.json").read_text())
    rate, step = rows_of(Point(name="decode", users=users, output_tokens=48), EXAMPLE, 90e9)
    assert rate.bound_fraction == pytest.approx(economics["bound_fraction"])
    for each in (rate, step):
        assert 0.05 < each.bound_fraction <= 1
        assert each.build_fraction is not None and each.bound_fraction <= each.build_fraction <= 1


def test_its_records_give_the_same_figures_again(tmp_path: Path) -> None:
    for path in EXAMPLE.iterdir():
        shutil.copy(path, tmp_path)
    for command in (["measure", "--no-parquet"], ["price"]):
        done = CliRunner().invoke(cli, [*command, str(tmp_path)])
        assert done.exit_code == 0, done.output
    for name in ("run.json", "economics.json"):
        was, is_now = (json.loads((folder / name).read_text()) for folder in (EXAMPLE, tmp_path))
        assert differences(was, is_now) == []


def test_it_is_small_and_names_no_machine() -> None:
    assert sum(path.stat().st_size for path in EXAMPLE.iterdir()) < 1_000_000
    for path in EXAMPLE.iterdir():
        assert not re.findall(r"/(?:work|root|tmp|home|Users)/", path.read_text())
    manifest = json.loads((EXAMPLE / "manifest.json").read_text())
    hosts = {manifest["environment"]["host"], *(worker["host"] for worker in manifest["workers"].values())}
    assert hosts == {"example-host"}
    assert manifest["environment"]["cpu"]
