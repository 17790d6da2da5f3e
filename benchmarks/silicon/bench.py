"""A real engine beside theory on this machine: `make silicon`, or `python -m benchmarks.silicon.bench --help`.

Measures the machine, writes a random-weight model of a real architecture, serves it, loads it through `trueyield run`
and prints one Markdown table. What it was run with and the table go to benchmarks/silicon/results.
"""

import argparse
import datetime
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from benchmarks.silicon import machine
from benchmarks.silicon.engine import ROOT, Engine, LlamaCpp, Serving, at_priority
from benchmarks.silicon.machine import Ceilings
from benchmarks.silicon.model import write_model
from benchmarks.silicon.points import Point, Row, loads, rows_of, table
from harness.config.catalog import load_catalog
from harness.providers import ModelCard
from harness.theory import weight_bytes

FOLDER = Path(__file__).parent
PRECISION = "fp16"
CONTEXT_TOKENS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What one run of the benchmark holds constant."""

    card: ModelCard
    name: str
    threads: int
    priority: int
    run_time_s: int
    folder: Path
    points: tuple[Point, ...]


def main() -> None:
    """Measure, load, print, write."""
    bench = chosen()
    shutil.rmtree(bench.folder, ignore_errors=True)
    bench.folder.mkdir(parents=True)
    weights = machine.BUILD / f"{bench.card.name}-{PRECISION}.gguf"
    if not weights.exists():
        tell(f"writing {weights.name}")
        write_model(bench.card, weights)
    users = max(point.users for point in bench.points)
    serving = Serving(model=weights, threads=bench.threads, slots=users, context_tokens=CONTEXT_TOKENS,
                      priority=bench.priority)  # fmt: skip
    engine = LlamaCpp(serving, bench.folder / "engine.log")
    tell("measuring the machine")
    before, load_before = machine.measure(bench.threads, bench.priority), os.getloadavg()[0]
    providers = bench.folder / "providers.yaml"
    providers.write_text(yaml.safe_dump(entries(bench, engine, before, users), sort_keys=False))
    engine.start()
    try:
        folders = [loaded(bench, point, providers) for point in bench.points]
    finally:
        engine.stop()
    after = machine.measure(bench.threads, bench.priority)
    build = max(before.avx2, default=None) if not engine.has_avx512 else None
    rows = [row for point, at in zip(bench.points, folders, strict=True) for row in rows_of(point, at, build)]
    (bench.folder / "ceilings.json").write_bytes(msgspec.json.encode([before, after]))
    text = page(bench, engine, (before, after), load_before, rows)
    (FOLDER / "results").mkdir(exist_ok=True)
    (FOLDER / "results" / f"{bench.name}.md").write_text(text)
    print(text)
    if above := [row.point for row in rows if row.bound_fraction > 1]:
        raise SystemExit(f"more than theory allows: {', '.join(above)}; one of the two is wrong")


def chosen() -> Bench:
    """The command line."""
    cpu, cores = machine.slug(machine.cpu_name()), os.cpu_count() or 1
    ask = argparse.ArgumentParser(prog="python -m benchmarks.silicon.bench", description=__doc__)
    ask.add_argument("--model", default="qwen2.5-0.5b", help="a dense Qwen2 of the catalog")
    ask.add_argument("--threads", type=int, default=max(1, cores - 1), help="of the engine; one core is left to us")
    ask.add_argument("--users", default="1,8", help="decode loads")
    ask.add_argument("--output-tokens", type=int, default=40, help="of an answer in the decode loads")
    ask.add_argument("--prompt-tokens", type=int, default=512, help="asked for in the prefill load")
    ask.add_argument("--run-time", type=int, default=160, help="seconds a load")
    ask.add_argument("--priority", type=int, default=0, help="SCHED_FIFO priority on a busy machine; needs root")
    ask.add_argument("--name", default=f"{cpu}-{cores}-cores", help="of the results file")
    given = ask.parse_args()
    card = load_catalog().models.get(given.model)
    if card is None:
        ask.error(f"--model: {given.model} is not in the catalog")
    if weight_bytes(card, PRECISION) < 4 * machine.last_level_cache_bytes():
        ask.error(f"--model: {card.name} is too small: its weights would stay in the last-level cache")
    return Bench(
        card=card,
        name=given.name,
        threads=given.threads,
        priority=given.priority,
        run_time_s=given.run_time,
        folder=machine.BUILD / given.name,
        points=tuple(loads([int(each) for each in given.users.split(",")], given.output_tokens, given.prompt_tokens)),
    )


def entries(bench: Bench, engine: Engine, ceilings: Ceilings, users: int) -> dict[str, Any]:
    """providers.yaml: the endpoint, what it runs on, and the accelerator just measured."""
    hour = yaml.safe_load((FOLDER / "hour.yaml").read_text())
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    deployment = {
        "accelerator": bench.name,
        "count": 1,
        "model": bench.card.name,
        "precision": PRECISION,
        "kv_precision": "fp16",
        "max_batch": users,
        "usd_per_gpu_hour": hour["usd_per_machine_hour"] / hour["cores"] * bench.threads,
        "price_basis": hour["basis"],
        "price_as_of": str(hour["as_of"]),
    }
    endpoint = {"base_url": engine.url, "model": bench.card.name, "dialect": engine.dialect, "deployment": deployment}
    row = machine.accelerator_row(ceilings, machine.memory_bytes(), machine.cpu_name(), today)
    return {"endpoints": {"silicon": endpoint}, "accelerators": {bench.name: row}}


def loaded(bench: Bench, point: Point, providers: Path) -> Path:
    """One `trueyield run`; its folder."""
    tell(f"{point.name}: {bench.run_time_s} s")
    scenario = bench.folder / f"{point.name}.yaml"
    scenario.write_text(point.scenario())
    command = [
        *at_priority(bench.priority),
        sys.executable,
        "-m",
        "harness",
        "run",
        str(scenario),
        "--endpoint",
        "silicon",
    ]
    command += ["--providers", str(providers), "--run-time", f"{bench.run_time_s}s", "--stop-timeout", "300s"]
    command += ["--run-id", point.name, "--out", str(bench.folder / "runs")]
    with (bench.folder / f"{point.name}.log").open("wb") as log:
        done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise SystemExit(f"{point.name} ended with {done.returncode}; see {bench.folder / point.name}.log")
    return bench.folder / "runs" / point.name


def page(bench: Bench, engine: Engine, measured: tuple[Ceilings, Ceilings], load: float, rows: list[Row]) -> str:
    """Markdown: the machine, the engine, the table."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    how = f", probe, engine and client at SCHED_FIFO {bench.priority}" if bench.priority else ""
    facts = (
        f"- {day}; {bench.threads} of {os.cpu_count()} cores for the engine{how}; "
        f"{machine.memory_bytes() / 1e9:.0f} GB of memory; load average {load:.1f} before",
        f"- {engine.name}{'' if engine.has_avx512 else ', built without AVX-512'}",
        f"- {bench.card.name} in FP16, random weights, {weight_bytes(bench.card, PRECISION) / 1e9:.2f} GB; "
        f"last-level cache {machine.last_level_cache_bytes() / 1e6:.0f} MB",
        f"- closed loop, {bench.run_time_s} s a load; theory is that of the ceilings measured before",
    )
    return "\n".join([f"# {machine.cpu_name()}", "", *facts, "", ceilings_table(*measured), "", table(rows), ""])


def ceilings_table(before: Ceilings, after: Ceilings) -> str:
    """Markdown: what the machine reached around the loads; the middle round shows how much else went on."""
    found = [
        ("memory read, GB/s", before.read, after.read),
        ("FP32 in all of the CPU's instructions, GFLOP/s", before.native, after.native),
        ("FP32 in AVX2 alone, GFLOP/s", before.avx2, after.avx2),
    ]
    lines = ["| ceiling | before: best (median) | after: best (median) |", "| --- | --- | --- |"]
    for name, one, other in found:
        if one and other:
            lines.append(f"| {name} | {machine.summary(one, 1e9)} | {machine.summary(other, 1e9)} |")
    return "\n".join(lines)


def tell(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
