"""A real Prometheus scrapes a run's /metrics, and promtool finds nothing to complain about."""

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.endtoend.command import ROOT, load, only_run, simulator

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


def test_prometheus_reads_what_the_records_say(tmp_path: Path) -> None:
    metrics, scraper, out = free_port(), free_port(), tmp_path / "out"
    with simulator(tmp_path, "--preset", "demo", "--model", "m") as server:
        prometheus = _prometheus(tmp_path, scraper, metrics)
        run = subprocess.Popen(
            [sys.executable, "-m", "harness", "run", "reasoning", "--endpoint", server.url, "--model", "m"]
            + ["--users", "8", "--run-time", "12s", "--metrics-port", str(metrics), "--out", str(out)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            page = _page(f"http://127.0.0.1:{metrics}/metrics", seconds=20)
            time.sleep(8)
            page = _page(f"http://127.0.0.1:{metrics}/metrics", seconds=5)
            assert run.wait(60) == 0
            scraped = _query(scraper, 'max_over_time(sum(trueyield_requests_total{outcome="ok"})[60s:1s])')
        finally:
            prometheus.terminate()
            prometheus.wait(20)
            if run.poll() is None:
                run.terminate()
                run.wait(30)
        server.stop()
    lint = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    assert lint.returncode == 0, lint.stdout + lint.stderr
    ok = load(only_run(out), "run.json")["outcomes"]["ok"]
    assert 0 < scraped <= ok


def _prometheus(folder: Path, port: int, target: int) -> "subprocess.Popen[bytes]":
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"- job_name: trueyield\n  static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n"
    )
    return subprocess.Popen(
        ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        + [f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _page(url: str, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _query(port: int, expression: str) -> float:
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    result = json.loads(_page(url, 5))["data"]["result"]
    return float(result[0]["value"][1])
