"""Master and workers on hosts of their own (network namespaces): every answered request has its record."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.command import ROOT, load, only_run

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

HOSTS = {"tym": "10.77.0.1", "tyw1": "10.77.0.2", "tyw2": "10.77.0.3"}
BRIDGE = "tybr0"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[None]:
    """Three namespaces on one bridge; nothing leads out of them."""
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("link", "set", BRIDGE, "up")
    try:
        for name, address in HOSTS.items():
            _ip("netns", "add", name)
            _ip("link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"v{name}", "master", BRIDGE, "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in HOSTS:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True)


def _start(host: str, log: Path, *words: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("wb") as out:
        command = ["ip", "netns", "exec", host, sys.executable, "-m", *words]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)


def test_two_workers_on_hosts_of_their_own(hosts: None, tmp_path: Path) -> None:
    out, truth, ready = tmp_path / "out", tmp_path / "truth.jsonl", tmp_path / "ready"
    started = []
    try:
        started.append(
            _start("tym", tmp_path / "sim.log", "harness", "simulate", "--host", HOSTS["tym"], "--port", "9000",
                   "--truth", str(truth), "--ready-file", str(ready), "--preset", "demo", "--model", "m")
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while not ready.exists():
            assert time.monotonic() < deadline, (tmp_path / "sim.log").read_text()
            time.sleep(0.1)
        common = ["locust", "-f", "loadtests/locustfile.py", "--endpoint", f"http://{HOSTS['tym']}:9000/v1"]
        common += ["--model", "m", "--scenario", "reasoning"]
        leading = ["--out", str(out), "--master", "--master-bind-host", HOSTS["tym"], "--headless"]
        leading += ["-u", "8", "-r", "8", "-t", "12s", "--expect-workers", "2"]
        master = _start("tym", tmp_path / "master.log", *common, *leading)
        started.append(master)
        for worker in ("tyw1", "tyw2"):
            away = tmp_path / worker  # a disk of its own
            started.append(
                _start(
                    worker,
                    tmp_path / f"{worker}.log",
                    *common,
                    "--out",
                    str(away),
                    "--worker",
                    "--master-host",
                    HOSTS["tym"],
                )
            )
        assert master.wait(90) == 0, (tmp_path / "master.log").read_text()
    finally:
        for process in reversed(started):
            if process.poll() is None:
                process.terminate()
            process.wait(20)
    folder = only_run(out)
    manifest, run = load(folder, "manifest.json"), load(folder, "run.json")
    answered = [line for line in truth.read_text().splitlines() if '"aborted":false' in line.replace(" ", "")]
    delivered = run["requests"]["ok"]
    assert len(manifest["workers"]) == 2
    assert all(worker["final"] for worker in manifest["workers"].values())
    assert delivered > 20
    assert len(answered) - delivered in (0, 1)  # the preflight call may be the one more
