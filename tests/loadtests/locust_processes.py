"""A simulated endpoint, and a way to run real Locust processes against it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.records import Manifest, StreamRecord, read_manifest, read_records

ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
MODEL = "fast-8b"
#: If this is ever found in something written, a key leaked.
KEY = "sk-canary-5f1d0c7e9ab34462"


@dataclass(frozen=True)
class Simulator:
    url: str
    truth_file: Path

    def truth(self, run_id: str) -> list[dict[str, Any]]:
        """Truth lines of one run (every request id begins with its run id)."""
        lines = [json.loads(line) for line in self.truth_file.read_text().splitlines()]
        return [line for line in lines if line["request_id"].startswith(f"{run_id}-")]


@dataclass(frozen=True)
class Folder:
    path: Path

    @property
    def records(self) -> list[StreamRecord]:
        with (self.path / "records.jsonl").open("rb") as file:
            return list(read_records(file))

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**extra: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOCUST_", "TRUEYIELD_"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**clean, "PYTHONPATH": path, **extra}


def wait_for(condition: Any, limit_s: float = 40.0) -> Any:
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


@contextmanager
def process(command: list[str], cwd: Path, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """A child whose output lands in cwd/output-<n>.txt, ended at the end whatever happens."""
    output = cwd / f"output-{len(list(cwd.glob('output-*')))}.txt"
    with output.open("w") as file:
        child = subprocess.Popen(
            command, cwd=cwd, env=environment(**extra), stdin=subprocess.DEVNULL, stdout=file, stderr=file, text=True
        )
    child.output = output  # type: ignore[attr-defined]
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def locust(*arguments: str, locustfile: Path = LOCUSTFILE) -> list[str]:
    quiet = ["--loglevel", "WARNING", "--only-summary"]
    return [sys.executable, "-m", "locust", "-f", str(locustfile), *quiet, *arguments]


def spread(processes: int) -> list[str]:
    """Flags of a run on so many worker processes, with a master of its own; one is the run's own process."""
    if processes == 1:
        return []
    port = str(free_port())
    return ["--processes", str(processes), "--master-bind-port", port, "--master-port", port]


def trueyield(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "harness", *arguments]


def run_folder(out: Path) -> Folder:
    return Folder((out / "latest").resolve())


def started(out: Path, records: int, but: Iterable[str] = ()) -> Folder:
    """The folder of a run (none of `but`) that has already written some records, itself or in a worker's spool."""

    def ready() -> Folder | None:
        if not (out / "latest").exists():
            return None
        folder = run_folder(out)
        if folder.path.name in but:
            return None
        files = [folder.path / "records.jsonl", *folder.path.glob("spool/*.jsonl")]
        lines = sum(file.read_bytes().count(b"\n") for file in files if file.exists())
        return folder if lines >= records else None

    return wait_for(ready)


def stop(child: subprocess.Popen[str], number: int = signal.SIGTERM, limit_s: float = 30.0) -> int:
    child.send_signal(number)
    return child.wait(limit_s)


@contextmanager
def simulate(folder: Path, *arguments: str, **extra: str) -> Iterator[Simulator]:
    ready, truth = folder / "ready", folder / "truth.jsonl"
    command = trueyield("simulate", "--port", "0", "--preset", "fast", "--ready-file", str(ready), "--die-with-parent")
    with process([*command, "--truth", str(truth), *arguments], folder, **extra):
        wait_for(ready.exists)
        yield Simulator(ready.read_text().strip(), truth)
