"""EmbeddedSimulator: a preset's name -> a simulated endpoint in a process of its own, on a free loopback port."""

import subprocess
import sys
import tempfile
from pathlib import Path

import gevent
import msgspec

from harness.errors import PreflightError
from harness.load.clock import now_ns
from harness.load.places import child_environment
from harness.load.prompts import answers_for
from harness.load.scenarios import Plan

START_LIMIT_S = 20.0
#: Problems whose right answers the simulator is told; any beyond these are answered, but not rightly.
ANSWERS = 10_000


class EmbeddedSimulator:
    """Runs `trueyield simulate` until `stop`, or until this process dies."""

    def __init__(self, preset: str, plan: Plan) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="trueyield-simulator-")
        folder = Path(self._folder.name)
        answers = folder / "answers.jsonl"
        write_answers(answers, plan)
        ready = folder / "ready"
        command = [sys.executable, "-m", "harness", "simulate", "--port", "0", "--preset", preset]
        command += ["--ready-file", str(ready), "--answers", str(answers), "--die-with-parent"]
        command += ["--model", plan.endpoint.model, "--dialect", plan.endpoint.dialect, "--seed", str(plan.seed)]
        self._words = folder / "words"
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                command,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                start_new_session=True,
            )
        self.base_url = self._wait_for(ready)

    @property
    def alive(self) -> bool:
        """Still serving."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it and wait."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def _wait_for(self, ready: Path) -> str:
        deadline = now_ns() + int(START_LIMIT_S * 1e9)
        while not ready.exists():
            if not self.alive or now_ns() > deadline:
                words = self._words.read_text(errors="replace").strip()[-500:]
                self.stop()
                raise PreflightError(f"the embedded simulator did not start: {words}", "try: trueyield simulate")
            gevent.sleep(0.05)
        return ready.read_text().strip()


def write_answers(path: Path, plan: Plan) -> None:
    """The answers file of the simulator, for the problems that this plan will ask."""
    lines = answers_for(plan.scenario.workload, plan.seed, range(ANSWERS))
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
