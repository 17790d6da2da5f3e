"""`python -m benchmarks.floor`: what the kernel alone costs per delta, and what the truth server sustains.

A reader in C that does nothing with what it reads, on one core, under the loads of `make bench` and one of 80,000
deltas a second. The rate of the truth server counts only as long as its own lateness stays small.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from benchmarks.truth import BUILD, Load, TruthServer, compiled

SOURCE = Path(__file__).parent / "floor.c"
COLUMNS = ("load", "deltas/s", "C reader, CPU us/delta", "reads per delta", "truth late us, mean / p99 / max")
ROWS = {
    "64": Load(streams=64, interval_ms=20),
    "256": Load(streams=256, interval_ms=20),
    "1000": Load(streams=1000, interval_ms=50),
    "80k": Load(streams=2000, interval_ms=25, deltas=400, phase="spread"),
}


def main() -> None:
    """Run the rows and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"of {', '.join(ROWS)}")
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for name in parser.parse_args().rows.split(","):
        print(row(ROWS[name]), flush=True)


def row(load: Load) -> str:
    """One line of the table."""
    program = compiled(SOURCE, BUILD / "floor")
    with tempfile.TemporaryDirectory() as folder, TruthServer(load, Path(folder) / "truth.jsonl") as server:
        reader = ["taskset", "-c", "1", program, str(server.port), str(load.streams)]
        told = json.loads(subprocess.run(reader, check=True, capture_output=True, text=True).stdout)
    deltas, late = load.streams * load.deltas, server.summary["late_us"]
    return (
        f"| {load.streams} @{load.interval_ms:g} ms, {load.phase.replace('_', ' ')} "
        f"| {load.streams * 1000 / load.interval_ms:,.0f} "
        f"| {told['cpu_s'] * 1e6 / deltas:.1f} | {told['reads'] / deltas:.2f} "
        f"| {late['mean']:g} / {late['p99']:g} / {late['max']:g} |"  # type: ignore[index]
    )


if __name__ == "__main__":
    main()
