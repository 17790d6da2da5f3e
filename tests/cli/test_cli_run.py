"""`trueyield run`: what is wrong is said on one screen, before anything is sent; and the key is found nowhere."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from locust_processes import (
    KEY,
    MODEL,
    ROOT,
    Folder,
    Simulator,
    environment,
    free_port,
    locust,
    process,
    run_folder,
    started,
    trueyield,
)

PROVIDERS = """
endpoints:
  locked:
    base_url: {url}
    model: {model}
    dialect: vllm
    api_key_env: LOCKED_KEY
  locked-other-model:
    base_url: {url}
    model: not-there
    dialect: vllm
    api_key_env: LOCKED_KEY
  dead:
    base_url: http://127.0.0.1:{dead}/v1
    model: m
"""


@pytest.fixture
def providers(tmp_path: Path, locked_simulator: Simulator) -> Path:
    file = tmp_path / "providers.yaml"
    file.write_text(PROVIDERS.format(url=locked_simulator.url, model=MODEL, dead=free_port()))
    return file


def call(command: list[str], cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=environment(**extra), capture_output=True, text=True, timeout=60)


def both(providers: Path, *arguments: str) -> list[list[str]]:
    """The same request to `trueyield run` and to plain locust."""
    shared = ["--providers", str(providers), *arguments]
    return [
        trueyield("run", "quick", "--users", "2", "--run-time", "3s", *shared),
        locust("--headless", "-u", "2", "-r", "2", "-t", "3s", "--scenario", "quick", *shared),
    ]


@pytest.mark.parametrize("way", [0, 1], ids=["trueyield", "locust"])
@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        (["--endpoint", "dead"], KEY, ["refused"]),
        (["--endpoint", "locked"], "sk-wrong-0123456789", ["key"]),
        (["--endpoint", "locked"], None, ["LOCKED_KEY", "not set"]),
        (["--endpoint", "locked-other-model"], KEY, ["not-there"]),
        (["--endpoint", "lokced"], KEY, ["lokced", "locked"]),
        (["--endpoint", "locked", "--out", "/proc/nowhere"], KEY, ["--out"]),
        (
            ["--endpoint", "locked", "--extra-body", "[1]", "--header", "Authorization=x"],
            KEY,
            ["--extra-body", "--header"],
        ),
    ],
    ids=["unreachable", "wrong-key", "no-key", "wrong-model", "wrong-name", "unwritable", "all-at-once"],
)
def test_bad_input(
    providers: Path, tmp_path: Path, arguments: list[str], key: str | None, words: list[str], way: int
) -> None:
    extra = {} if key is None else {"LOCKED_KEY": key}
    done = call(both(providers, *arguments)[way], tmp_path, **extra)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 24, "one screen"
    for word in words:
        assert word in said
    assert key is None or key not in said
    assert not (tmp_path / "results").exists(), "nothing was begun"


def test_a_malformed_file_tells_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "providers.yaml"
    file.write_text("endpoints:\n  a: {base_url: 7, model: m}\n  b: {base_url: http://x/v1, modle: m}\n")
    for command in both(file, "--endpoint", "a"):
        done = call(command, tmp_path)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "base_url" in done.stderr
        assert "modle" in done.stderr


def test_a_port_that_is_taken(providers: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for command in both(providers, "--endpoint", "dead", "--metrics-port", port):
            done = call(command, tmp_path)
            assert done.returncode == 2, done.stderr
            assert "--metrics-port" in done.stderr
            assert "Traceback" not in done.stderr


def test_a_dry_run_sends_nothing(providers: Path, tmp_path: Path, locked_simulator: Simulator) -> None:
    before = locked_simulator.truth_file.read_bytes() if locked_simulator.truth_file.exists() else b""
    done = call(trueyield("run", "quick", "--endpoint", "locked", "--providers", str(providers), "--dry-run"), tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("worst case", "tokens", "cost", "4 users"):
        assert word in done.stdout
    assert not (tmp_path / "results").exists()
    after = locked_simulator.truth_file.read_bytes() if locked_simulator.truth_file.exists() else b""
    assert before == after


def test_a_priced_remote_endpoint_wants_a_cap_or_a_yes(tmp_path: Path) -> None:
    command = trueyield("run", "quick", "--endpoint", "deepseek-flash", "--providers", str(ROOT / "providers.yaml"))
    done = call(command, tmp_path, DEEPSEEK_API_KEY=KEY)
    assert done.returncode == 2
    assert "--max-usd" in done.stderr
    assert "at most $" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_a_key_is_found_nowhere(providers: Path, tmp_path: Path) -> None:
    port = str(free_port())
    command = both(providers, "--endpoint", "locked", "--processes", "2", "--out", str(tmp_path / "results"))[0]
    command[command.index("3s")] = "4s"
    command += ["--metrics-port", port]
    with process(command, tmp_path, LOCKED_KEY=KEY) as child:
        started(tmp_path / "results", 5)
        for pid in [child.pid, *_children(child.pid)]:
            assert KEY not in Path(f"/proc/{pid}/cmdline").read_text()
        metrics = call([sys.executable, "-c", _GET.format(port=port)], tmp_path)
        assert "trueyield_requests_total" in metrics.stdout
        assert KEY not in metrics.stdout
        code = child.wait(60)
    folder: Folder = run_folder(tmp_path / "results")
    assert code == 0, child.output.read_text()
    assert folder.records
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.name != "report.html":
            assert KEY.encode() not in file.read_bytes(), file
    assert KEY.encode() not in (folder.path / "report.html").read_bytes()


def test_the_list(tmp_path: Path) -> None:
    done = call(trueyield("run", "--list"), tmp_path)
    assert done.returncode == 0
    assert "reasoning" in done.stdout


_GET = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/metrics', timeout=5).read().decode())"


def _children(pid: int) -> list[int]:
    """All descendants of a process."""
    found: list[int] = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found += [int(entry), *_children(int(entry))]
    return found
