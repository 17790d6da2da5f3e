"""Engines that can be measured: what they serve, how they start and stop, and where they answer."""

import importlib.metadata
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import xllamacpp

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What an engine serves and with what. `priority`: SCHED_FIFO priority, 0 = as any process."""

    model: Path
    threads: int
    slots: int
    context_tokens: int
    priority: int = 0


class Engine(Protocol):
    """A server that is up between `start` and `stop`."""

    dialect: str
    name: str
    has_avx512: bool  # in its build; the CPU may have more than a prebuilt engine uses

    def start(self) -> None:
        """Return as soon as it answers; SystemExit where it does not."""

    def stop(self) -> None:
        """Return when it is gone."""

    @property
    def url(self) -> str:
        """Base URL of its API."""


class LlamaCpp:
    """llama.cpp's own HTTP server out of the xllamacpp wheel, on a free loopback port."""

    dialect = "llamacpp"

    def __init__(self, serving: Serving, log: Path) -> None:
        self.name = f"llama.cpp (xllamacpp {importlib.metadata.version('xllamacpp')})"
        self.has_avx512 = "AVX512 = 1" in xllamacpp.get_system_info()
        self._serving, self._log = serving, log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    @property
    def url(self) -> str:
        """Base URL of its API."""
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Wait until the model is loaded."""
        it = self._serving
        arguments = map(str, (it.model, self._port, it.threads, it.slots, it.context_tokens))
        command = [*at_priority(it.priority), sys.executable, "-m", "benchmarks.silicon.engine", *arguments]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        ends = time.monotonic() + START_LIMIT_S
        while time.monotonic() < ends and self._process.poll() is None:
            try:
                with urllib.request.urlopen(self.url.removesuffix("/v1") + "/health", timeout=2):
                    return
            except OSError:  # 503 while it loads
                time.sleep(0.2)
        self.stop()
        raise SystemExit(f"{self.name} did not start; its last words are in {self._log}")

    def stop(self) -> None:
        """Ask it to end, and end it where it does not."""
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def at_priority(priority: int) -> list[str]:
    """What comes before a command that must not wait for other work; needs root."""
    return ["chrt", "-f", str(priority)] if priority else []


def serve_llama_cpp(model: str, port: int, threads: int, slots: int, context_tokens: int) -> None:
    """Block until SIGTERM; the C++ server answers on 127.0.0.1:port."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.model_alias = {Path(model).stem}  # or it would answer with the path
    params.n_parallel = slots
    params.n_ctx = context_tokens * slots
    params.fit_params = False  # the context asked for, whatever fits
    params.cache_ram_mib = 0  # every prompt is new: keeping old ones only costs copies
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(f"ready on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve_llama_cpp(sys.argv[1], *map(int, sys.argv[2:6]))
