"""The web UI: start and stop make a run folder, the guard holds, /metrics and the report are served."""

import http.client
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from locust_processes import MODEL, Folder, Simulator, free_port, locust, process, started, stop, wait_for

from loadtests.guard import foreign


class Page:
    """A browser's side of the web UI."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __call__(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=40)
        try:
            body = None if form is None else urlencode(form)
            kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
            connection.request(method, path, body, {**kind, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def up(self) -> bool:
        try:
            return self("GET", "/stats/requests")[0] == 200
        except OSError:
            return False


START = {"user_count": "4", "spawn_rate": "4", "scenario": "quick", "max_tokens": "64", "host": ""}


def test_start_and_stop_make_a_folder_each(simulator: Simulator, tmp_path: Path) -> None:
    port = free_port()
    target = ["--endpoint", simulator.url, "--model", MODEL, "--scenario", "quick", "--out", str(tmp_path / "runs")]
    with process(locust("--web-port", str(port), *target), tmp_path) as child:
        page = Page(port)
        wait_for(page.up)
        _refuse(page, tmp_path / "runs")
        names = []
        for _ in range(2):
            assert json.loads(page("POST", "/swarm", START)[1])["success"]
            folder = started(tmp_path / "runs", 6, but=names)
            names.append(folder.manifest.run_id)
            assert page("POST", "/stop", {})[0] == 200
            finished = Folder(folder.path)
            assert finished.manifest.finished
            assert finished.manifest.notes == []
            assert len(simulator.truth(names[-1])) == len(finished.records)
            assert finished.manifest.scenario["workload"]["max_tokens"] == 64
        assert len(set(names)) == 2
        _pages(page, names[-1])
        stop(child)


def _refuse(page: Page, out: Path) -> None:
    """Nothing of this starts a run."""
    for form, word in (
        ({**START, "endpoint": "http://127.0.0.1:1/v1"}, "endpoint"),
        ({**START, "out": "/tmp"}, "out"),
        ({**START, "csv_prefix": "/tmp/x"}, "csv_prefix"),
        ({**START, "scenario": "../../etc/passwd"}, "scenario"),
        ({**START, "max_tokens": "many"}, "max_tokens"),
        ({**START, "model": "not-there"}, "not-there"),
    ):
        answer = json.loads(page("POST", "/swarm", form)[1])
        assert not answer["success"]
        assert word in answer["message"]
    assert page("POST", "/swarm", START, Origin="http://evil.example")[0] == 403
    assert page("POST", "/swarm", START, Host="evil.example")[0] == 403
    assert page("POST", "/stop", {}, Origin="null")[0] == 403
    assert not out.exists()


def _pages(page: Page, run_id: str) -> None:
    status, metrics = page("GET", "/metrics")
    assert status == 200
    assert "trueyield_requests_total" in metrics
    rows = json.loads(page("GET", "/stats/requests")[1])["extended_stats"][0]["data"]
    assert {"name": "run", "value": run_id} in rows
    status, html = page("GET", "/")
    assert status == 200
    assert "trueyield" in html
    wait_for(lambda: page("GET", f"/trueyield/reports/{run_id}/report.html")[0] == 200, 30)
    assert page("GET", "/trueyield/reports/..%2f..%2fetc/report.html")[0] == 404


@pytest.mark.parametrize(
    ("host", "origin", "bound_to", "refused"),
    [
        ("127.0.0.1:8089", None, "127.0.0.1", False),
        ("localhost:8089", "http://localhost:8089", "127.0.0.1", False),
        ("[::1]:8089", "http://[::1]:8089", "127.0.0.1", False),
        ("localhost:8089", "http://localhost:9999", "127.0.0.1", True),
        ("rebound.example:8089", "http://rebound.example:8089", "127.0.0.1", True),
        ("proxy.example", "https://proxy.example", "127.0.0.1", False),
        ("load.example", "https://load.example", "0.0.0.0", False),
        ("load.example", "https://evil.example", "0.0.0.0", True),
        ("load.example", "null", "0.0.0.0", True),
        ("", None, "127.0.0.1", True),
    ],
)
def test_posts_come_from_our_own_page(host: str, origin: str | None, bound_to: str, refused: bool) -> None:
    assert bool(foreign(host, origin, bound_to, {"proxy.example"})) is refused
