"""Harm on the way to the server: every fault ends in its own outcome, and none in ok."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Question, Serve, make_plan, record_of
from raw_server import Visit, answer

from harness.load.calls import Call, Identity
from harness.load.client import Client
from harness.load.dialects import build_call, resolve_target
from harness.records import StreamRecord
from tests.endtoend.command import simulator
from tests.engines.faultproxy import Fault, faulty

FAULTS = {
    "cut in the head": (Fault(cut_after=20), {}, "cut"),
    "cut in the stream": (Fault(cut_after=600), {}, "cut"),
    "cut before any byte": (Fault(cut_after=0), {}, "cut"),
    "reset in the stream": (Fault(reset_after=600), {}, "cut"),
    "reset at once": (Fault(refuse_first=1), {}, "cut"),
    "stall in the head": (Fault(stall_after=20), {"ttft_s": 0.3}, "timeout_ttft"),
    "stall in the stream": (Fault(stall_after=600), {"gap_s": 0.3}, "timeout_gap"),
    "too slow to be whole": (Fault(bytes_per_s=2000), {"total_s": 0.6}, "timeout_total"),
    "too late to begin": (Fault(latency_s=2), {"ttft_s": 0.3}, "timeout_ttft"),
}


def through(port: int, client: Client, **deadlines: float) -> StreamRecord:
    return record_of(client.call(call_on(port, **deadlines)))


def call_on(port: int, **deadlines: float) -> Call:
    plan = make_plan(f"http://127.0.0.1:{port}/v1")
    plan = replace(plan, deadlines=deadlines)
    identity = Identity(
        run_id="run", request_id="req", worker="w", seq=0, endpoint="e", model="m", scenario="s", stage="measure",
        started_ns=time.monotonic_ns(),
    )  # fmt: skip

    return build_call(plan, Question(), identity, resolve_target(plan.endpoint), None)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_own_outcome(name: str, client: Client, serve: Serve) -> None:
    fault, deadlines, outcome = FAULTS[name]
    server = serve(lambda visit: answer(visit, deltas=30, gap_s=0.002))
    with faulty("127.0.0.1", server.port, fault) as proxy:
        record = through(proxy.port, client, **deadlines)
        assert (record.outcome, bool(record.error)) == (outcome, True)
        assert proxy.accepted == 1, "nothing is ever sent twice"


@pytest.mark.parametrize("fault", [Fault(split=1), Fault(split=7), Fault(latency_s=0.01), Fault()], ids=str)
def test_what_is_only_slow_or_torn_is_whole(fault: Fault, client: Client, serve: Serve) -> None:
    server = serve()
    with faulty("127.0.0.1", server.port, fault) as proxy:
        record = through(proxy.port, client)
    assert (record.outcome, record.deltas, record.output_tokens) == ("ok", 5, 5)


def test_a_buffering_proxy_shows(client: Client, serve: Serve) -> None:
    server = serve(lambda visit: answer(visit, deltas=20, gap_s=0.005))
    with faulty("127.0.0.1", server.port, Fault(buffer=True)) as proxy:
        record = through(proxy.port, client)
    assert (record.outcome, record.deltas, record.shared_reads) == ("ok", 20, 19)
    assert record.first_answer_ns == record.last_delta_ns


def test_a_refused_port(client: Client) -> None:
    with faulty("127.0.0.1", 1, Fault()) as proxy:
        port = proxy.port
    assert through(port, client).outcome == "connect_error"


@pytest.mark.parametrize("name", ["cut in the stream", "reset in the stream", "stall in the stream"])
def test_the_simulator_behind_the_proxy(name: str, client: Client, tmp_path: Path) -> None:
    fault, deadlines, outcome = FAULTS[name]
    with simulator(tmp_path, "--preset", "demo", "--model", "m") as server:
        port = int(server.url.split(":")[2].split("/")[0])
        with faulty("127.0.0.1", port, fault) as proxy:
            assert through(proxy.port, client, **deadlines).outcome == outcome


def test_rate_limit_headers_are_kept(client: Client, serve: Serve) -> None:
    def limited(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nX-RateLimit-Remaining-Tokens: 0\r\n"
                   b"x-ratelimit-reset-requests: 6m0s\r\nContent-Length: 4\r\n\r\nslow")  # fmt: skip

    record = through(serve(limited).port, client)
    assert (record.outcome, record.retry_after_s) == ("rate_limited", 3.0)
    assert record.rate_limits == {
        "retry-after": "3", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-requests": "6m0s"
    }  # fmt: skip
    assert through(serve().port, client).rate_limits is None
