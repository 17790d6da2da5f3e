"""Running the `trueyield` command the way a user does, and a simulator beside it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def trueyield(*arguments: object, cwd: Path = ROOT, seconds: float = 100, **environment: str) -> Ended:
    """Run one command to its end; never a terminal, never colour."""
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    variables = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(
        command, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running `trueyield simulate`."""

    url: str
    truth_file: Path
    process: "subprocess.Popen[bytes]"

    def stop(self) -> list[dict[str, Any]]:
        """End it by SIGTERM; returns its truth lines."""
        self.process.terminate()
        assert self.process.wait(20) == 0
        return [json.loads(line) for line in self.truth_file.read_text().splitlines()]


@contextmanager
def simulator(folder: Path, *options: object) -> Iterator[Simulator]:
    """Start the simulator on a free port; ended in any case."""
    ready, truth = folder / "ready", folder / "truth.jsonl"
    command = [sys.executable, "-m", "harness", "simulate", "--port", "0", "--truth", truth, "--ready-file", ready]
    log = (folder / "simulator.log").open("wb")
    process = subprocess.Popen([str(word) for word in (*command, *options)], cwd=ROOT, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not ready.exists() or not ready.read_text().strip():
            assert process.poll() is None, (folder / "simulator.log").read_text()
            if time.monotonic() > deadline:
                pytest.fail("the simulator was not ready within 20 s")
            time.sleep(0.05)
        yield Simulator(ready.read_text().strip(), truth, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        log.close()


def only_run(out: Path) -> Path:
    """The one run folder in an output folder."""
    (folder,) = [path for path in out.iterdir() if path.is_dir() and not path.is_symlink()]
    return folder


def load(folder: Path, name: str) -> Any:
    """One JSON document of a run folder."""
    return json.loads((folder / name).read_text())
