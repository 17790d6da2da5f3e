"""Locust's web UI in a real browser: start a run with its own button, watch our tab, stop, find the folder."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import free_port
from tests.endtoend.command import ROOT, load, only_run, simulator

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


def test_start_watch_stop(chromium: Browser, tmp_path: Path) -> None:
    out, port = tmp_path / "out", free_port()
    with simulator(tmp_path, "--preset", "demo", "--model", "m") as server:
        command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--web-port", str(port)]
        command += ["--endpoint", server.url, "--model", "m", "--scenario", "reasoning", "--out", str(out)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (tmp_path / "locust.log").open("wb") as log:
            locust = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            page, errors = chromium.new_page(), []
            page.on("pageerror", lambda error: errors.append(str(error)))
            _open(page, f"http://127.0.0.1:{port}/")
            page.get_by_label("Number of users").fill("6")
            page.get_by_label("Ramp up").fill("6")
            page.get_by_role("button", name="Start").click()
            page.get_by_role("tab", name="trueyield").click()
            expect(page.get_by_text("TTFT p50 (last calls)")).to_be_visible(timeout=15_000)
            page.wait_for_timeout(8_000)
            page.get_by_role("button", name="Stop").click()
            _wait_for(lambda: any(out.glob("2*/report.html")), 60)
            assert errors == []
            page.close()
        finally:
            locust.terminate()
            locust.wait(60)
        server.stop()
    run = load(only_run(out), "run.json")
    assert run["requests"]["ok"] > 10


def _open(page, url: str) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 20
    while True:
        try:
            page.goto(url)
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _wait_for(holds, seconds: float) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.2)
