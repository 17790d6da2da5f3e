"""Real runs in which things fail: an engine that is killed, and a server that fails 30 of 100 requests."""

import csv
import json
import os
import re
import signal
import urllib.request
from collections import Counter
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from failing_server import ANSWERED, FAILURES, FailingServer
from locust_processes import (
    MODEL,
    Folder,
    Simulator,
    free_port,
    locust,
    process,
    run_folder,
    started,
    trueyield,
    wait_for,
)
from prometheus_client.parser import text_string_to_metric_families

from harness.errors import FAILED, UNFINISHED, Outcome

PLAIN = {"NO_COLOR": "1", "COLUMNS": "80"}


def load(folder: Folder, name: str) -> Any:
    return json.loads((folder.path / name).read_text())


def words(folder: Folder) -> str:
    """The report's own text, without styles and scripts."""
    page = (folder.path / "report.html").read_text()
    return unescape(re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.S))


def engines_below(pid: int) -> list[int]:
    """Engine processes among the descendants of a process."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        line = Path(f"/proc/{child}/cmdline").read_bytes()
        found += [int(child)] if b"reader_process" in line else engines_below(int(child))
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_engine_ends_its_calls_as_lost_and_the_run_as_invalid(
    simulator: Simulator, tmp_path: Path, processes: int
) -> None:
    out = tmp_path / "out"
    command = trueyield(
        "run", "quick", "--endpoint", simulator.url, "--model", MODEL, "--users", "6", "--run-time", "6s",
        "--processes", str(processes), "--out", str(out),
    )  # fmt: skip
    with process(command, tmp_path, **PLAIN) as child:
        folder = started(out, 8)
        engines = engines_below(child.pid)
        assert len(engines) == processes
        os.kill(engines[0], signal.SIGKILL)
        assert child.wait(60) == 4, child.output.read_text()
        said = child.output.read_text()
    lost = [record for record in folder.records if record.outcome is Outcome.ENGINE_LOST]
    assert lost and len({record.worker for record in lost}) == 1
    asked = {line["request_id"] for line in simulator.truth(folder.manifest.run_id)}
    assert asked & {record.request_id for record in lost}, "they were open, not refused"
    run = load(folder, "run.json")
    reason = f"{len(lost)} requests ended as engine_lost: our own engine died"
    assert run["valid"] is False
    assert run["invalid_reasons"][0] == reason
    assert run["outcomes"]["engine_lost"] == run["requests"]["failed"] == len(lost)
    assert said.index("INVALID") < said.index(reason) < said.index("useful answers")
    page = words(folder)
    assert 0 < page.index(reason) < page.index("<table")


def test_thirty_percent_failed_are_thirty_percent_everywhere(tmp_path: Path) -> None:
    """Locust's table, records, run.json, gate, closing table, report and Prometheus page, of one run."""
    out, port, table = tmp_path / "out", free_port(), tmp_path / "table"
    with FailingServer() as server:
        command = locust(
            "--headless", "-u", "4", "-r", "4", "-t", "8s", "--stop-timeout", "0", "--endpoint", server.url,
            "--model", "m", "--scenario", "quick", "--out", str(out), "--metrics-port", str(port), "--csv", str(table),
        )  # fmt: skip
        with process(command, tmp_path, **PLAIN) as child:
            scraped = wait_for(lambda: _requests_on_the_page(port))
            assert child.wait(60) == 3, child.output.read_text()
            said = child.output.read_text()
    folder = run_folder(out)
    outcomes = Counter(record.outcome for record in folder.records if record.outcome not in UNFINISHED)
    expected = {"ok": ANSWERED - FAILURES, "http_error": 10, "stream_error": 10, "cut": 10}
    assert outcomes == expected
    assert sum(count for outcome, count in outcomes.items() if outcome in FAILED) == FAILURES
    run = load(folder, "run.json")
    assert {name: count for name, count in run["outcomes"].items() if name != "censored"} == expected
    assert (run["requests"]["ok"], run["requests"]["failed"]) == (ANSWERED - FAILURES, FAILURES)
    assert scraped == expected
    with Path(f"{table}_stats.csv").open() as file:
        rows = {(row["Type"], row["Name"]): row for row in csv.DictReader(file)}
    total = rows["", "Aggregated"]
    assert (int(total["Request Count"]), int(total["Failure Count"])) == (ANSWERED, FAILURES)
    (verdict,) = [each for each in load(folder, "verdicts.json")["verdicts"] if "failed" in each["gate"]]
    assert verdict["found"] == 0.3 and not verdict["passed"]
    sentence = f"0.3 is not < 0.05 ({FAILURES} of {ANSWERED} finished requests)"
    assert sentence in said
    page = words(folder)
    assert f"{ANSWERED - FAILURES} delivered, {FAILURES} failed" in page
    assert sentence in page


def _requests_on_the_page(port: int) -> dict[str, int] | None:
    """Requests by outcome, once the page counts all that the server answered; those that it left open come last."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    found = {
        sample.labels["outcome"]: int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "trueyield_requests_total" and sample.labels["outcome"] != "censored"
    }
    return found if sum(found.values()) >= ANSWERED else None
