"""Every command that the documents show is run: each console block as one bash session in a copy of the repository."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.endtoend.command import ROOT, simulator

#: What a shown command is not run with, and what stands in for it; {server} and {port} are ours. Nothing else differs.
SUBSTITUTES = {
    r"http://127\.0\.0\.1:8000/v1": "{server}",  # a simulator that this test starts
    r"--run-time (75|60|15)s": "--run-time 6s",
    r"--run-time 20s": "--run-time 16s",  # long enough for its longest answers, and a p90 needs 29 of them
    r"-t 20s": "-t 6s",
    r"--port 8000": "--port {port}",
    r"(export [A-Z_]+_API_KEY=)\.\.\.": r"\1sk-only-a-test-0123456789",
    r"--web\b": "--web --web-port {port}",
    r"--open\b": "",  # there is no screen
}
#: make and what prepares a shell for it: CI runs these targets themselves, here they only must exist.
MAKE = re.compile(r"make ([a-z-]+)(?: && source \.venv/bin/activate)?")
#: Commands that run until they are stopped: they must answer on their port, and end well by SIGTERM.
SERVES = re.compile(r"trueyield (simulate|run .*--web)\b")
#: What else may be run as it stands.
RUNS = re.compile(r"(trueyield|locust|export) ")
#: Nothing that takes long or leaves the machine may remain after the substitutes; a dry run sends nothing.
FORBIDDEN = re.compile(r"--run-time (?!6s|16s)|-t (?!6s)|https?://(?!127\.0\.0\.1:)")

PRELUDE = r"""
set -euo pipefail
serve() {  # serve PORT COMMAND...: starts it, waits for an answer on its port, ends it
    local port=$1; shift
    "$@" & local pid=$!
    python - "$port" "$pid" <<'END'
import http.client, os, sys, time
port, pid = map(int, sys.argv[1:])
for _ in range(300):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        connection.getresponse().read()
        break
    except OSError:
        os.kill(pid, 0)
        time.sleep(0.1)
else:
    sys.exit(f"nothing answered on port {port}")
END
    kill -TERM "$pid"
    wait "$pid"
}
"""


@dataclass(frozen=True, slots=True)
class Block:
    """The commands of one console block."""

    page: str
    line: int
    commands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks() -> list[Block]:
    found = []
    for page in [ROOT / "README.md", ROOT / "results/README.md", *sorted(ROOT.glob("docs/**/*.md"))]:
        text = page.read_text()
        for block in re.finditer(r"^```console\n(.*?)^```", text, re.M | re.S):
            joined = block[1].replace("\\\n", " ")
            commands = tuple(line[2:] for line in joined.splitlines() if line.startswith("$ "))
            found.append(Block(str(page.relative_to(ROOT)), text.count("\n", 0, block.start()) + 1, commands))
    return found


BLOCKS = _blocks()


def as_run(command: str, server: str, port: int) -> str | None:
    """The command with its substitutes; None for one that is only looked up; AssertionError where no rule knows it."""
    if MAKE.fullmatch(command):
        return None
    plain = command.removesuffix(" &").partition(" # ")[0].strip()
    assert RUNS.match(plain), f"no rule for this command of the documents: {command}"
    for shown, instead in SUBSTITUTES.items():
        plain = re.sub(shown, instead.format(server=server, port=port), plain)
    assert not FORBIDDEN.search(plain), f"it would take long or leave the machine; add a substitute: {command}"
    return f"serve {port} {plain}" if SERVES.match(plain) else plain


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_there_is_a_rule_for_every_command(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert block.commands, "a console block shows its commands behind `$ `"
    for command in block.commands:
        if as_run(command, "http://127.0.0.1:1/v1", 1) is None:
            made = MAKE.fullmatch(command)
            assert made and made[1] in targets, f"no such target: {command}"


@pytest.mark.parametrize(
    "command",
    [
        "pip install trueyield",
        "trueyield run reasoning --run-time 45s",
        "make test && rm -rf results",
        "locust -f loadtests/locustfile.py -t 5m",
        "trueyield run reasoning --endpoint http://10.0.0.7:8000/v1",
    ],
)
def test_a_command_without_a_rule_is_told(command: str) -> None:
    with pytest.raises(AssertionError, match=r"no rule|substitute"):
        as_run(command, "http://127.0.0.1:1/v1", 1)


@pytest.mark.parametrize("page", sorted({"README.md", *(block.page for block in BLOCKS)}))
def test_commands_are_shown_in_console_blocks_only(page: str) -> None:
    assert not re.findall(r"^```(?:sh|bash|shell|zsh)\b", (ROOT / page).read_text(), re.M)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of everything that git tracks, as it is now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    copy = tmp_path / "trueyield"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.mark.system
@pytest.mark.timeout(240)
@pytest.mark.parametrize("block", [block for block in BLOCKS if not all(map(MAKE.fullmatch, block.commands))], ids=str)
def test_every_shown_command_ends_with_0(block: Block, clone: Path, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        url = ""
        if any("127.0.0.1:8000/v1" in command for command in block.commands):
            url = stack.enter_context(simulator(tmp_path, "--preset", "demo", "--model", "my-model")).url
        commands = [line for line in (as_run(each, url, free_port()) for each in block.commands) if line]
        code, said = _bash(PRELUDE + "set -x\n" + "\n".join(commands), clone)
    assert code == 0, said
    assert "Traceback" not in said, said


def _commands(folder: Path) -> Path:
    """A folder for PATH: empty where `trueyield` is installed, else with the same command for a bare checkout."""
    (folder / "bin").mkdir(exist_ok=True)
    if not (Path(sys.executable).parent / "trueyield").exists():
        stand_in = folder / "bin" / "trueyield"
        stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness "$@"\n')
        stand_in.chmod(0o755)
    return folder / "bin"


def _bash(script: str, cwd: Path) -> tuple[int, str]:
    """Exit code and output of one session; whatever it started is gone afterwards."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRUEYIELD_", "LOCUST_"))}
    path = os.pathsep.join([str(_commands(cwd.parent)), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**kept, "PATH": path, "PYTHONPATH": str(cwd), "NO_COLOR": "1"}
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as session:
        try:
            said, _ = session.communicate(timeout=230)
        finally:
            if session.poll() is None:
                os.killpg(session.pid, signal.SIGKILL)
    return session.returncode, said
