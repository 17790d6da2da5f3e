"""`make bench`: our client through Locust, records written, against the paced truth server; one core each.

CPU is that of the whole client tree (Locust and its engine), net of the same run with four requests. Errors are
of warmed connections; cold ones are a row of their own. Where allowed, no CPU sleeps meanwhile.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.errors import read_truth, split_by_connection, spread, stamp_errors
from benchmarks.truth import Load, TruthServer, certificate
from harness.load.machine import awake_where_allowed, cpu_time, stolen_share

ROOT = Path(__file__).parent.parent
COLUMNS = (
    "load",
    "CPU us/delta (engine + Locust)",
    "CPU ms/request",
    "TTFT error ms, mean / p99: points",
    "all",
    "ITL error ms, mean / p99: points",
    "all (share of deltas that are intervals)",
    "cold TTFT error",
    "RSS MB, median of the run (peak)",
    "truth late us, p99",
    "host took",
)
TICKS_PER_S = 100  # USER_HZ of /proc/<pid>/stat on Linux
ENGINE = "harness.load.engine.reader_process"
ROWS = {
    "64": Load(streams=64, interval_ms=20, rounds=4),
    "256": Load(streams=256, interval_ms=20, rounds=4),
    "1000": Load(streams=1000, interval_ms=50, rounds=3),
    "tls": Load(streams=256, interval_ms=20, rounds=8, tls=True),
    "sustained": Load(streams=2000, interval_ms=40, rounds=3),  # 50,000 deltas a second
    "long": Load(streams=1, interval_ms=0.2, deltas=100_000, rounds=1),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds and peak memory of the client tree."""

    locust_s: float
    engine_s: float
    rss_mb: float  # median of the samples while the engine lived
    peak_mb: float  # largest sum of the peaks of processes alive together


def main() -> None:
    """Run the rows and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="64,256,1000,tls,sustained,long", help=f"of {', '.join(ROWS)}")
    parser.add_argument(
        "--blocked", action="store_true", help="block Locust's hub 50 ms in every 150 (64 streams only)"
    )
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {0})  # the watcher stays away from the client's core
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    with awake_where_allowed():
        for name in chosen.rows.split(","):
            print(row(ROWS[name], blocked=chosen.blocked), flush=True)


def row(load: Load, *, blocked: bool = False) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        nothing = Load(streams=4, interval_ms=1, deltas=2, rounds=1, tls=load.tls)
        idle, _, _ = measure(nothing, Path(folder) / "idle", blocked)
        before = cpu_time()
        usage, warmed, server = measure(load, Path(folder) / "load", blocked)
        stolen = stolen_share(before, cpu_time()) or 0.0
    deltas = load.streams * load.rounds * load.deltas
    engine, locust = usage.engine_s - idle.engine_s, usage.locust_s - idle.locust_s
    per_delta = (engine + locust) * 1e6 / deltas
    return (
        f"| {load.streams} @{load.interval_ms:g} ms{', TLS' if load.tls else ''} | {per_delta:.1f} "
        f"({engine * 1e6 / deltas:.1f} + {locust * 1e6 / deltas:.1f}) | {per_delta * load.deltas / 1e3:.2f} "
        f"| {warmed['ttft_points']} | {warmed['ttft']} | {warmed['itl_points']} | {warmed['itl']} | {warmed['cold']} "
        f"| {usage.rss_mb:.0f} ({usage.peak_mb:.0f}) | {server['late_us']['p99']} | {stolen:.1%} |"
    )


def measure(load: Load, folder: Path, blocked: bool) -> tuple[Usage, dict[str, str], dict[str, dict[str, float]]]:
    """One run of Locust against one truth server."""
    folder.mkdir()
    with TruthServer(load, folder / "truth.jsonl") as server:
        (folder / "providers.yaml").write_text(
            f"endpoints:\n  truth:\n    base_url: {server.url}\n    model: truth\n"
            + (f"    ca_file: {certificate()[0]}\n" if load.tls else "")
        )
        usage = run_locust(load, folder, blocked)
    (run,) = [path for path in (folder / "out").iterdir() if path.is_dir() and not path.is_symlink()]
    truths = read_truth(folder / "truth.jsonl")
    warmed, cold = split_by_connection(run)
    seen = stamp_errors(warmed, truths)
    errors = {
        "ttft": spread(seen.ttft),
        "ttft_points": spread(seen.ttft_points),
        "itl": f"{spread(seen.itl)} ({seen.interval_share:.3%})",
        "itl_points": spread(seen.itl_points),
        "cold": spread(stamp_errors(cold, truths).ttft),
    }
    finished = len(warmed) + len(cold)
    if finished != load.streams * load.rounds and load.streams > 4:
        print(f"  {finished} of {load.streams * load.rounds} requests recorded", file=sys.stderr)
    return usage, errors, server.summary  # type: ignore[return-value]


def run_locust(load: Load, folder: Path, blocked: bool) -> Usage:
    """Locust on core 1 with as many users as streams, all started at once."""
    file = "benchmarks/blocked_locustfile.py" if blocked else "loadtests/locustfile.py"
    scenario = folder / "bench.yaml"
    scenario.write_text(
        "description: benchmark\nworkload: {families: [arithmetic], max_tokens: 100000}\n"
        f"users: {load.streams}\nrun_time_s: 300\nwarm_up_s: 0\n"
    )
    command = ["taskset", "-c", "1", sys.executable, "-m", "locust", "-f", file, "--headless", "--only-summary"]
    command += ["-u", str(load.streams), "-r", str(load.streams), "-t", "300s", "--endpoint", "truth"]
    command += ["--providers", str(folder / "providers.yaml")]
    command += ["--scenario", str(scenario), "--out", str(folder / "out")]
    command += ["--max-requests", str(load.streams * load.rounds)]
    with (folder / "locust.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    return watch(process)


def watch(process: "subprocess.Popen[bytes]") -> Usage:
    """Sample Locust and its engine until the end; the report's child process is not counted."""
    cpu: dict[str, dict[int, float]] = {"locust": {}, "engine": {}}
    peak_mb = 0.0
    sums: list[float] = []
    while process.poll() is None:
        tree, now_mb, peaks_mb = _tree(process.pid), 0.0, 0.0
        for pid, name in tree.items():
            try:
                cpu[name][pid] = _cpu_s(pid)
                peaks_mb += _status_mb(pid, "VmHWM")
                now_mb += _status_mb(pid, "VmRSS")
            except (OSError, IndexError, StopIteration):
                continue
        peak_mb = max(peak_mb, peaks_mb)
        if "engine" in tree.values():
            sums.append(now_mb)
        time.sleep(0.05)
    seconds = {name: sum(found.values()) for name, found in cpu.items()}
    return Usage(seconds["locust"], seconds["engine"], median(sums), peak_mb)


def _tree(root: int) -> dict[int, str]:
    found = {root: "locust"}
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    except OSError:
        return found
    for child in map(int, children):
        try:
            if ENGINE in Path(f"/proc/{child}/cmdline").read_text():
                found[child] = "engine"
        except OSError:
            continue
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _status_mb(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    main()
