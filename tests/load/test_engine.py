"""The engine against a real server on raw sockets: stamps, faults, the pool, its own death."""

import socket
import ssl
import time
from pathlib import Path

import pytest
from conftest import Serve, call_for, collect, make_plan, record_of
from raw_server import HEAD, LAST, RawServer, Visit, answer, frame
from stream_corpus import DONE, ROLE, chunk, event, said

from harness.load.calls import Call, Finished, Live
from harness.load.client import Client
from harness.load.dialects import resolve_target
from harness.load.engine import Engine
from harness.load.engine.pool import PROBATION_NS
from harness.records import decode_offsets

#: A connection is used again only after one has been idle for longer than the pool's probation.
PAST_PROBATION_S = 3 * PROBATION_NS / 1e9


def test_stamps_agree_with_the_server(client: Client, serve: Serve) -> None:
    server = serve()
    records = [record_of(client.call(call_for(server, number))) for number in range(1)]
    time.sleep(PAST_PROBATION_S)
    records += [record_of(client.call(call_for(server, number))) for number in range(1, 3)]
    for record, visit in zip(records, server.visits, strict=True):
        assert (record.outcome, record.status, record.deltas, record.output_tokens) == ("ok", 200, 5, 5)
        assert record.first_answer_ns is not None and record.sent_last_ns is not None
        ttft_error_ns = (record.first_answer_ns - record.sent_last_ns) - (visit.delta_ns[0] - visit.arrived_ns)
        assert -5e6 < ttft_error_ns < 50e6
        assert record.delta_offsets is not None
        arrivals = [record.sent_last_ns + us * 1000 for us in decode_offsets(record.delta_offsets)]
        errors = sorted(ours - truth for ours, truth in zip(arrivals, visit.delta_ns, strict=True))
        assert -2e6 < errors[len(errors) // 2] < 5e6
        assert record.sent_first_ns is not None and record.headers_ns is not None
        assert record.started_ns <= record.sent_first_ns <= record.sent_last_ns <= record.headers_ns <= record.ended_ns
    assert [record.connection for record in records] == ["fresh", "reused", "reused"]
    assert server.connections == 1
    assert records[0].connect_begin_ns and records[0].connect_end_ns and records[1].connect_begin_ns is None


def test_kernel_clock_and_lag(engine: Engine, client: Client, serve: Serve) -> None:
    if not engine.kernel_clock:
        pytest.skip("this kernel stamps no arrivals")
    record = record_of(client.call(call_for(serve())))
    assert record.clock == "kernel"
    assert record.client_lag_ns is not None and 0 <= record.client_lag_ns.mean <= record.client_lag_ns.max


def test_many_at_once(engine: Engine, serve: Serve) -> None:
    server = serve(lambda visit: answer(visit, 20))
    begun = time.monotonic()
    tickets = {engine.submit(call_for(server, number)) for number in range(100)}
    finished = collect(engine, 100)
    assert {each.ticket for each in finished} == tickets
    records = [record_of(each) for each in finished]
    assert {record.outcome for record in records} == {"ok"}
    assert {record.deltas for record in records} == {20}
    assert time.monotonic() - begun < 15


def test_body_larger_than_the_socket_buffer(client: Client, serve: Serve) -> None:
    server = serve()
    plan_call = call_for(server)
    head, _, _ = plan_call.payload.partition(b"\r\n\r\n")
    body = b"x" * 8_000_000
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    payload = b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body
    record = record_of(client.call(Call(plan_call.identity, plan_call.target, payload)))
    assert record.outcome == "ok"
    assert len(server.visits[0].request) == len(payload)
    assert record.sent_first_ns is not None and record.sent_last_ns is not None
    assert record.sent_first_ns < record.sent_last_ns


def cut(visit: Visit) -> None:
    visit.send(HEAD + frame(ROLE))
    visit.delta("a")
    time.sleep(0.02)
    visit.sock.shutdown(socket.SHUT_RDWR)


def reset(visit: Visit) -> None:
    visit.send(HEAD + frame(ROLE))
    visit.delta("a")
    time.sleep(0.02)
    visit.reset()


def stall(visit: Visit) -> None:
    visit.send(HEAD + frame(ROLE))
    visit.delta("a")
    visit.hang()


def comments(visit: Visit) -> None:
    visit.send(HEAD)
    for _ in range(100):
        visit.send(frame(b": keep-alive\n\n"))
        time.sleep(0.02)


def comments_between(visit: Visit) -> None:
    visit.send(HEAD)
    visit.delta("a")
    for _ in range(100):
        visit.send(frame(b": keep-alive\n\n"))
        time.sleep(0.02)


def drip(visit: Visit) -> None:
    visit.send(HEAD)
    for _ in range(200):
        visit.delta("a")
        time.sleep(0.02)


def split(visit: Visit) -> None:
    whole = HEAD + frame(ROLE) + b"".join(frame(part) for part in said("a", "b", "c"))
    whole += frame(event(chunk({}, "stop"))) + frame(DONE) + LAST
    for at in range(len(whole)):
        visit.send(whole[at : at + 1])


def done_without_end(visit: Visit) -> None:
    visit.send(HEAD + frame(said("a")[0]) + frame(event(chunk({}, "stop"))) + frame(DONE))
    visit.hang()


FAULTS = {
    "cut": (cut, {}, "cut"),
    "reset": (reset, {}, "cut"),
    "cut before any byte": (lambda visit: visit.sock.shutdown(socket.SHUT_RDWR), {}, "cut"),
    "stall": (stall, {"gap_s": 0.1}, "timeout_gap"),
    "no answer": (Visit.hang, {"ttft_s": 0.1}, "timeout_ttft"),
    "keep-alive comments only": (comments, {"ttft_s": 0.1}, "timeout_ttft"),
    "keep-alive comments later": (comments_between, {"gap_s": 0.1}, "timeout_gap"),
    "slow": (drip, {"total_s": 0.2}, "timeout_total"),
    "split": (split, {}, "ok"),
    "[DONE] without an end": (done_without_end, {}, "ok"),
    "garbage": (lambda visit: visit.send(b"\x00\x01\x02 nothing like HTTP"), {}, "protocol_error"),
    "garbage in the stream": (lambda visit: visit.send(HEAD + frame(ROLE) + b"zz\r\n"), {}, "protocol_error"),
    "endless head": (lambda visit: visit.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000), {}, "protocol_error"),
    "error in the stream": (lambda visit: visit.send(HEAD + frame(event({"error": {"message": "no"}})) + frame(DONE)
                                                     + LAST), {}, "stream_error"),
    "503": (lambda visit: visit.send(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"), {}, "http_error"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_outcome(name: str, client: Client, serve: Serve) -> None:
    script, deadlines, outcome = FAULTS[name]
    record = record_of(client.call(call_for(serve(script), **deadlines)))
    assert record.outcome == outcome, record
    assert outcome == "ok" or record.error
    if outcome.startswith("timeout") or outcome == "cut":
        assert record.connection == "fresh"


def test_refused(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = RawServer()
    call = call_for(server)
    server.close()
    target = resolve_target(make_plan(f"http://127.0.0.1:{port}").endpoint)
    record = record_of(client.call(Call(call.identity, target, call.payload)))
    assert record.outcome == "connect_error" and "refused" in (record.error or "")


def test_connect_timeout(client: Client, serve: Serve) -> None:
    """A listener whose backlog is full answers no SYN."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        target = resolve_target(make_plan(f"http://127.0.0.1:{listener.getsockname()[1]}").endpoint)
        call = call_for(serve(), connect_s=0.2)
        record = record_of(client.call(Call(call.identity, target, call.payload, deadlines=call.deadlines)))
        for filler in fillers:
            filler.close()
    assert record.outcome == "timeout_connect"


def test_second_address_is_tried(client: Client, serve: Serve) -> None:
    server = serve()
    call = call_for(server)
    addresses = ((socket.AF_INET, "127.0.0.1", 1), (socket.AF_INET, "127.0.0.1", server.port))
    target = type(call.target)("localhost", server.port, addresses=addresses)
    assert record_of(client.call(Call(call.identity, target, call.payload))).outcome == "ok"


def test_cancel_closes_the_connection(engine: Engine, serve: Serve) -> None:
    server = serve(stall)
    ticket = engine.submit(call_for(server))
    while not server.visits or not server.visits[0].delta_ns:
        time.sleep(0.005)
    time.sleep(0.05)
    engine.cancel(ticket, "censored")
    (finished,) = collect(engine, 1)
    record = record_of(finished)
    assert (finished.ticket, record.outcome, record.deltas, finished.answer) == (ticket, "censored", 1, "a")
    assert server.client_closed.wait(2)
    engine.cancel(ticket)  # a second wish is no mistake
    assert [news for news in engine.wait(0.05) if isinstance(news, Finished)] == []


def test_client_gives_up(client: Client, serve: Serve) -> None:
    assert record_of(client.call(call_for(serve(stall)), timeout_s=0.2)).outcome == "censored"


def test_closed_idle_connection_is_not_reused(client: Client, serve: Serve) -> None:
    def once(visit: Visit) -> None:
        answer(visit, 1)
        visit.sock.shutdown(socket.SHUT_RDWR)

    server = serve(once)
    first = record_of(client.call(call_for(server)))
    time.sleep(0.05)
    second = record_of(client.call(call_for(server)))
    assert [(r.outcome, r.connection) for r in (first, second)] == [("ok", "fresh")] * 2


def test_reset_on_a_reused_connection_is_cut_and_never_resent(client: Client, serve: Serve) -> None:
    def second_time_reset(visit: Visit) -> None:
        if len(visit.server.visits) == 1:
            answer(visit, 1)
        else:
            visit.reset()

    server = serve(second_time_reset)
    assert record_of(client.call(call_for(server))).outcome == "ok"
    time.sleep(PAST_PROBATION_S)
    record = record_of(client.call(call_for(server)))
    assert (record.outcome, record.connection, record.status) == ("cut", "reused", None)
    assert len(server.visits) == 2


def test_a_server_that_promises_keep_alive_and_closes_is_never_met_closing(client: Client, serve: Serve) -> None:
    def answer_and_close(visit: Visit) -> None:
        answer(visit, 1)  # keep-alive, says its head
        time.sleep(0.002)
        visit.sock.shutdown(socket.SHUT_RDWR)

    server = serve(answer_and_close)
    records = [record_of(client.call(call_for(server, number))) for number in range(20)]
    assert [(r.outcome, r.connection) for r in records] == [("ok", "fresh")] * 20


def test_live_counts(engine: Engine, serve: Serve) -> None:
    server = serve(stall)
    tickets = [engine.submit(call_for(server, number)) for number in range(3)]
    stop = time.monotonic() + 5
    seen = Live(0, 0, 0, 0)
    while time.monotonic() < stop and (seen.in_flight, seen.awaiting_first) != (3, 0):
        for news in engine.wait(1):
            seen = news if isinstance(news, Live) else seen
    assert (seen.in_flight, seen.awaiting_first) == (3, 0) and seen.deltas >= 3
    for ticket in tickets:
        engine.cancel(ticket)
    collect(engine, 3)


def test_tls(client: Client, serve: Serve, certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = serve(context=context)
    call = call_for(server)
    trusted = resolve_target(make_plan(server.url, ca_file=str(certificates / "ca.pem")).endpoint)
    records = [record_of(client.call(Call(call.identity, trusted, call.payload)))]
    time.sleep(PAST_PROBATION_S)
    records += [record_of(client.call(Call(call.identity, trusted, call.payload))) for _ in range(2)]
    assert [(r.outcome, r.connection, r.deltas) for r in records] == [
        ("ok", "fresh", 5), ("ok", "reused", 5), ("ok", "reused", 5)
    ]  # fmt: skip
    untrusted = record_of(client.call(Call(call.identity, call.target, call.payload)))
    assert untrusted.outcome == "connect_error" and "certificate verify failed" in (untrusted.error or "")
    wrong_name = type(trusted)("127.0.0.1", server.port, True, trusted.ca_file, trusted.addresses)
    mismatch = record_of(client.call(Call(call.identity, wrong_name, call.payload)))
    assert mismatch.outcome == "connect_error" and "TLS" in (mismatch.error or "")


def test_tls_against_a_server_without_it(client: Client, serve: Serve) -> None:
    server = serve(lambda visit: None)
    plain = call_for(server)
    target = type(plain.target)("localhost", server.port, True, None, plain.target.addresses)
    record = record_of(
        client.call(Call(plain.identity, target, plain.payload, deadlines=call_for(server, connect_s=1).deadlines))
    )
    assert record.outcome in {"connect_error", "timeout_connect"}
