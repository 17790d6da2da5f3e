"""`trueyield simulate` as a process: it serves, ends cleanly, and says clearly what is wrong."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from harness.config import load_catalog, load_providers
from harness.simulator.building import deployment_of
from harness.simulator.model import StepLoad
from harness.simulator.presets import PRESETS
from harness.simulator.steptimes import TheorySteps
from harness.theory import kv_capacity_tokens

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "TRUEYIELD_SIM_KEY"}


def started(tmp_path, *options, **environment):
    """A running process and its URL."""
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "simulate", "--preset", "fast", "--ready-file", str(ready), *options],
        cwd=ROOT,
        env={**ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(process.communicate())
        time.sleep(0.02)
    return process, ready.read_text().strip()


def stopped(process, number=signal.SIGTERM):
    """(exit code, stdout, stderr)."""
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def post(url, key=None, **fields):
    body = {"model": "fast-8b", "messages": [{"role": "user", "content": "What is 2 + 2?"}], **fields}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal(tmp_path, number):
    truth, answers = tmp_path / "new" / "truth.jsonl", tmp_path / "answers.jsonl"
    answers.write_text('{"contains": "What is 2 + 2?", "answer": "The answer is 4."}\n')
    process, url = started(tmp_path, "--truth", str(truth), "--answers", str(answers), "--seed", "5")
    answer = json.loads(post(url))["choices"][0]["message"]["content"]
    post(url, stream=True)
    code, out, err = stopped(process, number)
    assert code == 0 and answer.endswith("The answer is 4.")
    assert out.startswith(url) and f"trueyield run reasoning --endpoint {url} --model fast-8b" in out
    assert len(truth.read_bytes().splitlines()) == 2
    assert err.startswith("simulate: 2 requests, ") and "; late by p50 " in err and "overruns (> 20 ms)" in err
    assert len(err.splitlines()) == 1


def test_open_requests_are_told_as_aborted_when_it_stops(tmp_path):
    truth = tmp_path / "truth.jsonl"
    process, url = started(tmp_path, "--truth", str(truth))
    body = {"model": "fast-8b", "stream": True, "ignore_eos": True, "max_tokens": 100_000}
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps({**body, "messages": [{"role": "user", "content": "Count."}]}).encode()
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        response.readline()
        code, _, err = stopped(process)
    entry = json.loads(truth.read_text())
    assert code == 0 and "Traceback" not in err
    assert entry["aborted"] and entry["output_tokens"] == sum(entry["delta_tokens"]) > 0


def test_a_key_from_the_environment_is_asked_for_and_written_nowhere(tmp_path):
    process, url = started(tmp_path, TRUEYIELD_SIM_KEY="sk-canary-123")
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        post(url)
    caught.value.close()
    assert "fast-8b" in post(url, key="sk-canary-123")
    code, out, err = stopped(process)
    assert code == 0 and "canary" not in out + err + " ".join(map(str, process.args))


def failed(*options):
    """stderr of a command that must end with exit code 2."""
    command = [sys.executable, "-m", "harness", "simulate", *options]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stdout == ""
    return done.stderr


def test_all_mistakes_are_told_at_once(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        options = ["--port", port, "--preset", "no-such", "--truth", str(tmp_path), "--api-key-env", "NO_SUCH_KEY"]
        says = failed(*options, "--answers", str(tmp_path / "none"))
    for part in (f"127.0.0.1:{port} (Address already in use)", "no-such", "Is a directory", "NO_SUCH_KEY", "none"):
        assert part in says
    assert len(says.splitlines()) == 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "192.0.2.1"], "192.0.2.1"),
        (["--dialect", "klingon"], "klingon"),
        (["--right-share", "1.5"], "1.5"),
        (["--truth", "/proc/truth"], "/proc/truth"),
    ],
)
def test_bad_options(options, says):
    assert says in failed(*options)


def test_another_address_than_loopback_warns(tmp_path):
    process, url = started(tmp_path, "--host", "0.0.0.0")
    code, _, err = stopped(process)
    assert code == 0 and "warning: listening on 0.0.0.0" in err and url.startswith("http://0.0.0.0:")


def test_it_ends_with_its_parent(tmp_path):
    ready = tmp_path / "ready"
    options = ["simulate", "--preset", "fast", "--die-with-parent", "--ready-file", str(ready)]
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; child = subprocess.Popen([sys.executable, '-m', 'harness', *sys.argv[1:]]);"
            "print(child.pid, flush=True); child.wait()",
            *options,
        ],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + 30
    try:
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ready.exists() and alive(child)
        parent.kill()
        while alive(child) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not alive(child)
    finally:
        parent.kill()
        parent.communicate()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def alive(pid):
    """Whether a process runs (a zombie, which nobody here may reap, does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_built_from_the_catalog(name):
    catalog, preset = load_catalog(), PRESETS[name]
    deployment = deployment_of(preset, catalog.accelerators, catalog.models)
    assert kv_capacity_tokens(deployment) > 20_000
    assert preset.name == name and 0 < preset.efficiency <= 1


def test_demo_is_what_the_shipped_entry_declares_and_is_quick_at_a_knee():
    catalog, preset = load_catalog(), PRESETS["demo"]
    deployment = deployment_of(preset, catalog.accelerators, catalog.models)
    entry = load_providers(ROOT / "providers.yaml").endpoints["simulator"]
    declared = entry.deployment
    assert (entry.embedded, entry.model, entry.dialect) == ("demo", preset.served_as, "vllm")
    for field in ("accelerator", "count", "model", "precision", "kv_precision", "max_batch", "memory_share"):
        assert getattr(declared, field) == getattr(deployment, field), field
    steps = TheorySteps(deployment=deployment, efficiency=preset.efficiency)
    alone, full = steps.step_s(StepLoad(1, 300, ())), steps.step_s(StepLoad(preset.max_batch, 300, ()))
    assert 60 <= 1 / alone <= 100 and preset.max_batch / full <= 4000
