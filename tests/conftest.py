"""What the whole suite shares: free ports, a real llama.cpp server, and the rule that CI knows no skips."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from harness.load.machine import awake_where_allowed
from tests.engines.tiny_gguf import write_tiny_model

ROOT = Path(__file__).parent.parent

#: A property that holds slowly on a busy machine still holds; speed is judged by benchmarks.
settings.register_profile("trueyield", deadline=None)
settings.load_profile("trueyield")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With TRUEYIELD_NO_SKIP set (CI), a skipped test fails the session."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("TRUEYIELD_NO_SKIP") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def _awake(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is timed is timed on CPUs that do not sleep, where that may be asked for."""
    if request.node.get_closest_marker("timing") is None:
        yield
        return
    with awake_where_allowed():
        yield


@pytest.fixture(scope="session")
def llamacpp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a real llama.cpp server with a tiny random model called `tiny`, 4 slots."""
    with llamacpp(write_tiny_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf")) as url:
        yield url


@contextmanager
def llamacpp(model: Path, slots: int = 4) -> Iterator[str]:
    """A real llama.cpp server of this GGUF file: its base URL."""
    port = free_port()
    command = [sys.executable, "-m", "tests.engines.llamacpp", str(model), str(port), str(slots)]
    with (
        model.with_suffix(".log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as server,
    ):
        try:
            _wait_healthy(f"http://127.0.0.1:{port}/health", server)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(10)


def _wait_healthy(url: str, server: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert server.poll() is None, "the llama.cpp server ended by itself"
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"{url} did not answer within {seconds} s")
