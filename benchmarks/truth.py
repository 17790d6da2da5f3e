"""The truth server for benchmarks: built on demand with the C compiler, run in a process of its own on one core."""

import json
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "truth_server.c"
BUILD = Path(__file__).parent.parent / "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One row of the table: streams at once, ms between deltas, deltas a stream, rounds of all streams."""

    streams: int
    interval_ms: float
    deltas: int = 200
    rounds: int = 3
    phase: str = "in_phase"
    ttft_ms: float = 100
    tls: bool = False


def build(tls: bool = False) -> Path:
    """The truth server, compiled once; returns the program."""
    program = BUILD / ("truth_server_tls" if tls else "truth_server")
    return compiled(SOURCE, program, ("-DTLS", "-lssl", "-lcrypto") if tls else ())


def compiled(source: Path, program: Path, options: tuple[str, ...] = ()) -> Path:
    """The program, made from its source where that is newer."""
    BUILD.mkdir(exist_ok=True)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("the benchmarks need a C compiler: install gcc")
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        made = subprocess.run([compiler, "-O2", "-Wall", "-o", program, source, *options], check=False)
        if made.returncode:
            raise SystemExit(f"{source.name} did not compile" + (": install libssl-dev" if "-lssl" in options else ""))
    return program


def certificate() -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key, made once with the openssl program."""
    chain, key = BUILD / "localhost.pem", BUILD / "localhost.key"
    if not key.exists():
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "3650"]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command = ["openssl", "req", "-x509", *curve, *subject, "-out", chain, "-keyout", key]
        subprocess.run(command, check=True, capture_output=True)
    return chain, key


class TruthServer:
    """Context manager: serves on a free loopback port; `summary` is there after it ended."""

    def __init__(self, load: Load, truth_file: Path, core: int = 0) -> None:
        self.load, self.truth_file, self.core = load, truth_file, core
        self.summary: dict[str, object] = {}

    def __enter__(self) -> "TruthServer":
        load = self.load
        program = build(load.tls)
        arguments = [load.ttft_ms, load.interval_ms, load.deltas, load.phase, self.truth_file]
        arguments += certificate() if load.tls else ()
        self._process = subprocess.Popen(
            ["nice", "-n", "-10", "taskset", "-c", str(self.core), program, "0", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    @property
    def url(self) -> str:
        """Base URL of its API."""
        return f"{'https' if self.load.tls else 'http'}://127.0.0.1:{self.port}/v1"

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        _, told = self._process.communicate(timeout=20)
        self.summary = json.loads(told.splitlines()[-1])
