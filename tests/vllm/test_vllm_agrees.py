"""A real vLLM on the CPU (`make test-vllm`): our token totals are its own, and so is our time to first token."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.load.client import Client
from harness.load.figures import ttft_ms
from harness.load.machine import awake_where_allowed
from harness.load.preflight import preflight
from harness.load.scenarios import Plan, Scenario, Workload
from harness.providers import Endpoint
from harness.records import read_records
from tests.conftest import ROOT, free_port
from tests.endtoend.command import load, only_run, trueyield
from tests.vllm.stamps import VARIABLE as STAMPS

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
#: Client and server watch the same first token; between them lie two sockets, the turn of the server's event loop and
#: its own HTTP work before its histogram begins and after it ends: `stamps` tells them apart (docs/performance.md).
MOST_TTFT_DIFFERENCE_MS = 3.0
PROVIDERS = """
endpoints:
  tiny: {{base_url: "{url}", model: tiny, dialect: vllm, request: {{form: {form}}}}}
"""
MOST_WAY_OUT_MS = 0.5
BEHIND = 5  # nice level
#: Answers of one length end in one step, and their users ask again in one moment: each would then wait for the HTTP
#: work of those before it, outside the server's own clock. Real users do not march in step.
SCENARIO = """
description: answers of different lengths
workload: {families: [arithmetic, countdown], difficulty: 1, max_tokens: 64, osl: "uniform(16,48)", fixed_length: true}
run_time_s: 15
warm_up_s: 0
stop_timeout_s: 15
"""


@dataclass(frozen=True)
class Server:
    """Its base URL, and the file into which `stamps.Stamps` writes inside it."""

    url: str
    stamps: Path

    def passages(self) -> dict[str, tuple[int, int]]:
        """By request id: the call of its web application, and just before its first event with text; monotonic ns."""
        lines = [json.loads(line) for line in self.stamps.read_text().splitlines()]
        return {line["request_id"]: (line["arrived_ns"], line["first_ns"]) for line in lines}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """vLLM with a tiny random llama called `tiny`."""
    folder = tmp_path_factory.mktemp("vllm")
    subprocess.run(
        [PYTHON, Path(__file__).with_name("tiny_model.py"), folder / "model"], env=_environment(), check=True
    )
    port = free_port()
    command = [
        PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", folder / "model", "--served-model-name", "tiny",
        "--host", "127.0.0.1", "--port", port, "--max-model-len", 2048, "--dtype", "float32", "--enforce-eager",
        "--max-num-seqs", 8, "--distributed-executor-backend", "uni", "--enable-prompt-tokens-details",
        "--disable-uvicorn-access-log", "--middleware", "stamps.Stamps",
    ]  # fmt: skip
    environment = _environment() | {"PYTHONPATH": str(Path(__file__).parent), STAMPS: str(folder / "stamps.jsonl")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in command], env=environment, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
            _behind_its_server(process.pid)
            yield Server(f"http://127.0.0.1:{port}/v1", folder / "stamps.jsonl")
        finally:
            process.terminate()
            process.wait(30)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"vLLM was not ready within 300 s:\n{log.read_text()[-3000:]}")


def _behind_its_server(pid: int) -> None:
    """The engine computes all the time and may not keep requests and answers waiting for one of two cores."""
    for thread in Path("/proc").glob("[0-9]*/task/[0-9]*"):
        try:
            parent = int((thread / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            os.setpriority(os.PRIO_PROCESS, int(thread.name), BEHIND)


def counters(url: str) -> dict[str, float]:
    """The server's own counts, by metric name, summed over labels."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if line.startswith("vllm:"):
            name = line[5:].partition("{")[0]
            found[name] = found.get(name, 0.0) + float(line.rpartition(" ")[2])
    return found


@dataclass(frozen=True)
class Both:
    """One run, as we and as the server counted it: its preflight call included."""

    form: str
    users: int
    requests: int
    output_tokens: int
    server_output_tokens: int
    input_tokens: int
    server_input_tokens: int
    ttft_ms: float
    way_in_ms: float  # our last request byte -> the server's web application: it lies in the server's socket
    app_ms: float  # the same wait, seen from inside the server but outside its own clock
    way_out_ms: float  # the server sends its first text -> our stamp of it: what our instrument adds
    server_ttft_ms: float
    server_first_tokens: int


@pytest.mark.parametrize("users", [1, 4])
@pytest.mark.parametrize("form", ["completions", "chat"])
def test_tokens_and_first_token_agree_with_the_server(form: str, users: int, server: Server, tmp_path: Path) -> None:
    trueyield("probe", server.url)  # the first requests after a start are slow: not ours to compare
    with awake_where_allowed():
        both = measured(form, users, server, tmp_path)
    keep(both)
    assert both.output_tokens == both.server_output_tokens
    assert both.input_tokens == both.server_input_tokens
    assert both.requests == both.server_first_tokens
    assert both.server_ttft_ms < both.app_ms < both.ttft_ms, "each of these waits contains the one before"
    assert both.ttft_ms - both.server_ttft_ms < MOST_TTFT_DIFFERENCE_MS
    assert 0 < both.way_out_ms < MOST_WAY_OUT_MS


def test_the_models_template_is_told_how_hard_to_think(server: Server) -> None:
    plan = Plan(
        run_id="r", seed=1, endpoint=Endpoint(name="e", base_url=server.url, model="tiny", dialect="vllm"),
        scenario=Scenario(name="s", description="", workload=Workload(families=(), max_tokens=8)),
    )  # fmt: skip
    with Client() as client:
        unasked, low, medium, none = [prompt_tokens(plan, client, effort) for effort in (None, "low", "medium", "none")]
    assert unasked < low < medium, "the tiny tokenizer knows neither word: letters count"
    assert unasked < none, "no level, but the words that close a thought"


def prompt_tokens(plan: Plan, client: Client, effort: Any) -> int:
    """Of the preflight's question, in the template as the server renders it."""
    workload = replace(plan.scenario.workload, reasoning_effort=effort)
    facts = preflight(replace(plan, scenario=replace(plan.scenario, workload=workload)), None, client)
    assert facts["token_source"] == "usage"
    return int(facts["input_tokens"])


def measured(form: str, users: int, server: Server, out: Path) -> Both:
    """One run of fifteen seconds between two readings of the server's counters."""
    scenario, providers = out / "apart.yaml", out / "providers.yaml"
    scenario.write_text(SCENARIO)
    providers.write_text(PROVIDERS.format(url=server.url, form=form))
    before = counters(server.url)
    ended = trueyield(
        "run", scenario, "--endpoint", "tiny", "--providers", providers, "--users", users,
        "--extra-body", '{"ignore_eos": true}', "--out", out / "runs",
    )  # fmt: skip
    assert ended.code in (0, 3), ended.err  # its answers are gibberish: a gate on usefulness may fail
    grown = {name: value - before.get(name, 0.0) for name, value in counters(server.url).items()}
    folder = only_run(out / "runs")
    with (folder / "records.jsonl").open("rb") as lines:
        records = list(read_records(lines))
    assert len(records) > 10
    assert {record.outcome.value for record in records} <= {"ok", "truncated"}
    assert {record.token_source for record in records} == {"usage"}
    first = load(folder, "manifest.json")["preflight"]
    waits = [ttft_ms(record) or 0.0 for record in records] + [first["ttft_s"] * 1e3]
    passages = server.passages()
    apps = [passages[record.request_id] for record in records] + [passages[first["request_id"]]]
    ways_in = [passages[each.request_id][0] - (each.sent_last_ns or 0) for each in records]
    ways_out = [(each.first_answer_ns or 0) - passages[each.request_id][1] for each in records]
    count = grown["time_to_first_token_seconds_count"]
    return Both(
        form=form,
        users=users,
        requests=len(waits),
        output_tokens=sum(record.output_tokens or 0 for record in records) + first["output_tokens"],
        server_output_tokens=int(grown["generation_tokens_total"]),
        input_tokens=sum(record.input_tokens or 0 for record in records) + first["input_tokens"],
        server_input_tokens=int(grown["prompt_tokens_total"]),
        ttft_ms=round(sum(waits) / len(waits), 3),
        way_in_ms=mean_ms(ways_in),
        app_ms=mean_ms([sent - arrived for arrived, sent in apps]),
        way_out_ms=mean_ms(ways_out),
        server_ttft_ms=round(grown["time_to_first_token_seconds_sum"] / count * 1e3, 3),
        server_first_tokens=int(count),
    )


def mean_ms(spans_ns: list[int]) -> float:
    """To the microsecond."""
    return round(sum(spans_ns) / len(spans_ns) / 1e6, 3)


def keep(both: Both) -> None:
    """A line for docs/performance.md, where the environment asks for it."""
    if target := os.environ.get("TRUEYIELD_VLLM_FIGURES"):
        with Path(target).open("a") as lines:
            lines.write(json.dumps(asdict(both)) + "\n")
