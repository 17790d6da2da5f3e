"""The peers: what is installed, how each is told to send the load, how its export is read."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import exports
from benchmarks.peers.exports import Seen

USERS = Path(__file__).parent / "users"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run: `requests` in a closed loop of `streams`, against a server that sends `deltas` a request."""

    url: str
    streams: int
    requests: int
    deltas: int
    folder: Path
    programs: Path
    tokenizer: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One client. `environment` names its requirements file; none means our own interpreter."""

    name: str
    package: str
    environment: str | None
    command: Callable[[Job], list[str]]
    read: Callable[[Path], list[Seen]]
    wheels: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


def _locust(file: str) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        streams = str(job.streams)
        start = [str(job.programs / "locust"), "-f", str(USERS / file), "--headless", "--only-summary"]
        start += ["--loglevel", "WARNING"]
        return [*start, "-u", streams, "-r", streams, "--host", job.url]

    return command


def _aiohttp(job: Job) -> list[str]:
    return [str(job.programs / "python"), str(USERS / "aiohttp_loop.py")]


def _trueyield(job: Job) -> list[str]:
    scenario = job.folder / "bench.yaml"
    scenario.write_text(
        "description: benchmark\nworkload: {families: [arithmetic], max_tokens: 100000}\n"
        f"users: {job.streams}\nrun_time_s: 300\nwarm_up_s: 0\n"
    )
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "--only-summary"]
    command += ["-u", str(job.streams), "-r", str(job.streams), "-t", "300s", "--endpoint", f"{job.url}/v1"]
    command += ["--model", "truth", "--scenario", str(scenario), "--out", str(job.folder / "out")]
    return [*command, "--max-requests", str(job.requests)]


def _evalscope(job: Job) -> list[str]:
    command = [str(job.programs / "evalscope"), "perf", "--url", f"{job.url}/v1/chat/completions", "--api", "openai"]
    command += ["--model", "truth", "--tokenizer-path", str(job.tokenizer), "--prompt", "Say word.", "--stream"]
    command += ["--number", str(job.requests), "--parallel", str(job.streams), "--max-tokens", str(job.deltas)]
    return [*command, "--no-test-connection", "--no-timestamp", "--outputs-dir", str(job.folder / "out")]


def _aiperf(job: Job) -> list[str]:
    command = [str(job.programs / "aiperf"), "profile", "--model", "truth", "--url", job.url]
    command += ["--endpoint-type", "chat", "--streaming", "--use-server-token-count", "--ui", "none"]
    command += ["--concurrency", str(job.streams), "--request-count", str(job.requests)]
    command += ["--isl", "16", "--osl", str(job.deltas), "--tokenizer", str(job.tokenizer)]
    command += ["--no-gpu-telemetry", "--no-server-metrics", "--export-level", "records"]
    return [*command, "--artifact-dir", str(job.folder / "out")]


def _guidellm(job: Job) -> list[str]:
    backend = f"kind=openai_http,target={job.url},model=truth,validate_backend=false"
    command = [str(job.programs / "guidellm"), "run", "--disable-console"]
    command += ["--backend", f"{backend},request_format=/v1/chat/completions"]
    command += ["--profile", f"kind=concurrent,streams={job.streams}"]
    command += ["--constraint", f"kind=max_requests,count={job.requests}"]
    command += ["--tokenizer", f"kind=huggingface_auto,model={job.tokenizer}"]
    command += ["--data", f"kind=synthetic_text,prompt_tokens=16,output_tokens={job.deltas}"]
    return [*command, "--output", f"kind=json,path={job.folder / 'out.json'}"]


def _genai_bench(job: Job) -> list[str]:
    command = [str(job.programs / "genai-bench"), "benchmark", "--api-backend", "openai", "--api-base", job.url]
    command += ["--api-key", "none", "--task", "text-to-text", "--api-model-name", "truth", "--model", "truth"]
    command += ["--model-tokenizer", str(job.tokenizer), "--num-concurrency", str(job.streams)]
    command += ["--traffic-scenario", f"D(16,{job.deltas})", "--max-requests-per-run", str(job.requests)]
    command += ["--max-time-per-run", "2", "--log-dir", str(job.folder)]
    return [*command, "--experiment-base-dir", str(job.folder), "--experiment-folder-name", "out"]


PEERS = (
    Peer(name="trueyield", package="", environment=None, command=_trueyield, read=exports.read_trueyield),
    Peer(
        name="locust-http",
        package="locust",
        environment="locust",
        command=_locust("locust_http.py"),
        read=exports.read_stamps,
    ),
    Peer(
        name="locust-fast",
        package="locust",
        environment="locust",
        command=_locust("locust_fast.py"),
        read=exports.read_stamps,
    ),
    Peer(
        name="openai",
        package="openai",
        environment="openai",
        command=_locust("locust_openai.py"),
        read=exports.read_stamps,
    ),
    Peer(
        name="vllm-loop",
        package="aiohttp",
        environment="aiohttp",
        command=_aiohttp,
        read=exports.read_stamps,
    ),
    Peer(
        name="evalscope",
        package="evalscope",
        environment="evalscope",
        command=_evalscope,
        read=exports.read_evalscope,
    ),
    Peer(
        name="aiperf",
        package="aiperf",
        environment="aiperf",
        command=_aiperf,
        read=exports.read_aiperf,
        variables={"HF_HUB_OFFLINE": ""},  # offline, it looks for the tokenizer in the hub's cache only
    ),
    Peer(
        name="guidellm",
        package="guidellm",
        environment="guidellm",
        command=_guidellm,
        read=exports.read_guidellm,
        wheels=("torch==2.13.0",),
        # one worker, as it has one core; its default of ten starts ten interpreters with PyTorch on it
        variables={"GUIDELLM__MAX_WORKER_PROCESSES": "1"},
    ),
    Peer(
        name="genai-bench",
        package="genai-bench",
        environment="genai-bench",
        command=_genai_bench,
        read=exports.read_genai_bench,
    ),
)
