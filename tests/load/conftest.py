"""One engine for all tests of this folder, and servers that say whatever a test wants."""

import importlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from raw_server import RawServer, Visit, answer
from wires import Bench

from harness.load import hot
from harness.load.calls import Call, Deadlines, Finished, Identity
from harness.load.client import Client
from harness.load.dialects import build_call, resolve_target
from harness.load.engine import Engine
from harness.load.hot import plain
from harness.load.scenarios import Plan, Scenario, Workload
from harness.providers import Endpoint
from harness.records import StreamRecord, decode_record
from hatch_build import BUILT

Serve = Callable[..., RawServer]


class Question:
    messages = ({"role": "user", "content": "What is 6 x 7?"},)


def make_plan(url: str, **endpoint: Any) -> Plan:
    workload = Workload(families=("f",), max_tokens=64)
    scenario = Scenario(name="s", description="", workload=workload)
    return Plan(
        run_id="run", seed=1, endpoint=Endpoint(name="e", base_url=url, model="m", **endpoint), scenario=scenario
    )


def call_for(server: RawServer, number: int = 0, key: str | None = None, **deadlines: float) -> Call:
    plan = make_plan(server.url)
    identity = Identity(
        run_id="run", request_id=f"req-{number}", worker="w", seq=number, endpoint="e", model="m", scenario="s",
        stage="measure", started_ns=time.monotonic_ns(),
    )  # fmt: skip
    call = build_call(plan, Question(), identity, resolve_target(plan.endpoint), key)
    return Call(call.identity, call.target, call.payload, deadlines=Deadlines(**deadlines), keep_text=True)


def record_of(finished: Finished) -> StreamRecord:
    return decode_record(finished.line)


def collect(engine: Engine, count: int, timeout_s: float = 20) -> list[Finished]:
    """Wait for so many finished calls."""
    found: list[Finished] = []
    stop = time.monotonic() + timeout_s
    while len(found) < count and time.monotonic() < stop:
        found += [news for news in engine.wait(0.2) if isinstance(news, Finished)]
    assert len(found) == count
    return found


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        if getattr(request, "param", "") == "plain":
            patch.setenv(hot.VARIABLE, "plain")
        engine = Engine()
        engine.start()
    assert engine.hot_path == getattr(request, "param", engine.hot_path)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def compiled() -> ModuleType:
    if not BUILT.exists():
        pytest.skip("the hot path is not compiled here: python hatch_build.py says why")
    return importlib.import_module("harness.load.hot.compiled")


@pytest.fixture(scope="session", params=["plain", "compiled"])
def form(request: pytest.FixtureRequest) -> ModuleType:
    return plain if request.param == "plain" else request.getfixturevalue("compiled")


@pytest.fixture
def bench(form: ModuleType) -> Iterator[Bench]:
    bench = Bench(form)
    yield bench
    bench.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is about reading holds for both forms of the hot path."""
    about_reading = metafunc.module.__name__.startswith(("test_engine", "test_faults"))
    if "engine" in metafunc.fixturenames and about_reading:
        metafunc.parametrize("engine", sorted({"plain", hot.FORM}), indirect=True, scope="session")


@pytest.fixture
def client(engine: Engine) -> Client:
    return Client(engine)


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[RawServer] = []

    def start(script: Callable[[Visit], None] = answer, **more: Any) -> RawServer:
        servers.append(RawServer(script, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    steps = [
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem",
        "openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 2 -extfile san -out server.pem",
    ]
    (folder / "san").write_text("subjectAltName=DNS:localhost\n")
    for step in steps:
        subprocess.run(step.split(), cwd=folder, check=True, capture_output=True)
    return folder
