"""`make bench-peers`: other clients under the load of `make bench`, on the same paced truth server, one core each.
Where allowed, no CPU sleeps meanwhile.

    python -m benchmarks.peers.bench --peers evalscope,aiperf --rows 64,256

Prints one Markdown table and keeps every figure in build/peers/results.json. A peer that cannot be installed or run
is a row that says why.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.peers import table
from benchmarks.peers.catalog import PEERS, Job, Peer
from benchmarks.peers.install import PEERS as FOLDER
from benchmarks.peers.install import InstallError, first_line, install
from benchmarks.peers.join import Errors, Rate, errors, rate, read_truths
from benchmarks.peers.tokenizer import write_tokenizer
from benchmarks.truth import Load, TruthServer
from harness.load.machine import awake_where_allowed

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 120
#: Start-up of some tools takes 20 CPU seconds, and not always the same: how much it varies bounds what can be told.
IDLE_RUNS = 2
ROWS = (
    Load(streams=64, interval_ms=20, rounds=2),
    Load(streams=256, interval_ms=20, rounds=2),
    Load(streams=1000, interval_ms=50, rounds=2),
)
IDLE = Load(streams=4, interval_ms=1, deltas=2, rounds=1)
VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody listens there: a tool that asks all the same is refused at once
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MPLBACKEND": "Agg",
    "TOKENIZERS_PARALLELISM": "false",
    "NO_PROXY": "127.0.0.1",
    "COLUMNS": "200",
}


class RunError(Exception):
    """A run did not end well; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the supervised tree used."""

    exit_code: int | None
    wall_s: float
    cpu_s: float
    rss_mb: float
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One client under one load. `failed` is the reason where there is nothing else."""

    client: str
    load: Load
    failed: str | None = None
    idles: tuple[Usage, ...] = ()
    usage: Usage | None = None
    rate: Rate | None = None
    errors: Errors | None = None
    truth_late_p99_us: float | None = None


def main() -> None:
    """Install, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(peer.name for peer in PEERS), help="clients to run")
    parser.add_argument("--rows", default="64,256,1000", help="streams of the rows to run")
    parser.add_argument("--results", type=Path, default=FOLDER / "results.json", help="where all figures go, as JSON")
    chosen = parser.parse_args()
    names, streams = chosen.peers.split(","), [int(one) for one in chosen.rows.split(",")]
    if unknown := {*names} - {peer.name for peer in PEERS}:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in PEERS)}")
    if unknown := {*streams} - {load.streams for load in ROWS}:
        parser.error(f"no such row: {', '.join(map(str, sorted(unknown)))}; there are 64, 256 and 1000")
    chosen_rows = [load for load in ROWS if load.streams in streams]
    rows: list[Row] = []
    print(table.head(), flush=True)
    with awake_where_allowed():
        for row in (row for peer in PEERS if peer.name in names for row in rows_of(peer, chosen_rows)):
            rows.append(row)
            print(table.line(row), flush=True)
            chosen.results.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print(f"\nAll figures: {chosen.results}", file=sys.stderr)


def rows_of(peer: Peer, loads: list[Load]) -> Iterator[Row]:
    """The rows of one client; the first runs, of four requests, are what every other run's CPU is net of."""
    try:
        programs = install(peer.environment, peer.wheels) if peer.environment else Path(sys.executable).parent
        client = f"{peer.name} ({peer.package} {_version(peer, programs)})" if peer.environment else peer.name
        if peer.environment and not (ran := programs.parent / ".ran").exists():
            measure(peer, IDLE, programs)  # the first run of a new environment compiles what it imports: not counted
            ran.touch()
        idles = tuple(measure(peer, IDLE, programs)[0] for _ in range(IDLE_RUNS))
    except (InstallError, RunError) as error:
        yield from (Row(client=peer.name, load=load, failed=str(error)) for load in loads)
        return
    for load in loads:
        try:
            usage, rated, erred, late_us = measure(peer, load, programs)
        except RunError as error:
            yield Row(client=client, load=load, failed=str(error), idles=idles)
            continue
        yield Row(
            client=client, load=load, idles=idles, usage=usage, rate=rated, errors=erred, truth_late_p99_us=late_us
        )


def measure(peer: Peer, load: Load, programs: Path) -> tuple[Usage, Rate, Errors, float]:
    """One run of one client against one truth server."""
    folder = FOLDER / "runs" / f"{peer.name}-{load.streams}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with TruthServer(load, folder / "truth.jsonl") as server:
        job = Job(
            url=f"http://127.0.0.1:{server.port}",
            streams=load.streams,
            requests=load.streams * load.rounds,
            deltas=load.deltas,
            folder=folder,
            programs=programs,
            tokenizer=write_tokenizer(FOLDER / "tokenizer"),
        )
        usage = supervised(peer, job)
    log = (folder / "log").read_text(errors="replace")
    if usage.exit_code is None:
        raise RunError(f"not finished in {LIMIT_S} s")
    truths = read_truths(folder / "truth.jsonl")
    if usage.exit_code or not truths:
        raise RunError(f"exit code {usage.exit_code}: {first_line(log)}")
    try:
        erred = errors(peer.read(folder), truths, load.streams)
    except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
        raise RunError(f"its export could not be read: {error!r}") from None
    return usage, rate(truths, load.streams), erred, server.summary["late_us"]["p99"]


def supervised(peer: Peer, job: Job) -> Usage:
    """Run the client and all that it starts on core 1; the supervisor stays on core 0."""
    figures = job.folder / "usage.json"
    own = {"PEER_URL": job.url, "PEER_REQUESTS": str(job.requests), "PEER_STREAMS": str(job.streams)}
    own |= {"PEER_OUT": str(job.folder / "stamps.jsonl"), "OPENAI_API_KEY": "none"}
    environment = {**os.environ, **VARIABLES, **own, **peer.variables}
    supervisor = ["taskset", "-c", "0", sys.executable, str(Path(__file__).parent / "supervise.py")]
    command = [*supervisor, str(figures), str(LIMIT_S), "taskset", "-c", "1", *peer.command(job)]
    with (job.folder / "log").open("wb") as log:
        subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True, check=False)
    if not figures.exists():
        raise RunError(f"its supervisor failed: {first_line((job.folder / 'log').read_text(errors='replace'))}")
    return Usage(**json.loads(figures.read_text()))


def _version(peer: Peer, programs: Path) -> str:
    (site,) = (programs.parent / "lib").glob("python*/site-packages")
    found = [one.version for one in distributions(path=[str(site)]) if one.metadata["Name"].lower() == peer.package]
    return found[0] if found else "?"


if __name__ == "__main__":
    main()
