"""The truth server for benchmarks: built on demand with the C compiler, run in a process of its own on one core."""

import json
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "truth_server.c"
BUILD = Path(__file__).parent.parent / "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One row of the table: streams at once, ms between deltas, deltas a stream, rounds of all streams."""

    streams: int
    interval_ms: float
    deltas: int = 200
    rounds: int = 3
    phase: str = "in_phase"
    ttft_ms: float = 100


def build() -> Path:
    """Compile the server once; returns the program."""
    BUILD.mkdir(exist_ok=True)
    program = BUILD / "truth_server"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("make bench needs a C compiler for its truth server: install gcc")
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        subprocess.run([compiler, "-O2", "-Wall", "-o", program, SOURCE], check=True)
    return program


class TruthServer:
    """Context manager: serves on a free loopback port; `summary` is there after it ended."""

    def __init__(self, load: Load, truth_file: Path, core: int = 0) -> None:
        self.load, self.truth_file, self.core = load, truth_file, core
        self.summary: dict[str, object] = {}

    def __enter__(self) -> "TruthServer":
        load = self.load
        arguments = [load.ttft_ms, load.interval_ms, load.deltas, load.phase, self.truth_file]
        self._process = subprocess.Popen(
            ["nice", "-n", "-10", "taskset", "-c", str(self.core), build(), "0", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        _, told = self._process.communicate(timeout=20)
        self.summary = json.loads(told.splitlines()[-1])
