"""Calls that are handed in before their time: when they leave, from when they count, how they are taken back."""

import os
import signal
import time
from typing import Any

from conftest import Serve, call_for, collect, record_of
from msgspec.structs import replace
from raw_server import HEAD, RawServer, Visit, answer, frame
from stream_corpus import ROLE

from harness.load.calls import Call, Finished, Live, News, Withdrawn
from harness.load.client import Client
from harness.load.engine import Engine

MS = 1_000_000
#: Further ahead than any test lasts.
NEVER_NS = 3_600_000_000_000


def planned(server: RawServer, ahead_ns: int, number: int = 0, **deadlines: Any) -> Call:
    """A call that is to leave so long after now."""
    call, send_ns = call_for(server, number, **deadlines), time.monotonic_ns() + ahead_ns
    identity = replace(call.identity, planned_ns=send_ns, started_ns=send_ns)
    return replace(call, identity=identity, send_ns=send_ns)


def order_of(server: RawServer) -> list[str]:
    heads = [visit.request.partition(b"\r\n\r\n")[0].decode().lower() for visit in server.visits]
    return [next(line for line in head.split("\r\n") if "request-id" in line).split()[1] for head in heads]


def told(engine: Engine, count: int, timeout_s: float = 20) -> list[News]:
    """So many ends of calls."""
    found: list[News] = []
    stop = time.monotonic() + timeout_s
    while len(found) < count and time.monotonic() < stop:
        found += [news for news in engine.wait(0.2) if not isinstance(news, Live)]
    assert len(found) == count
    return found


def test_each_leaves_at_its_time_whatever_the_order_of_handing_in(engine: Engine, serve: Serve) -> None:
    server = serve(lambda visit: answer(visit, 1, 0))
    places = [3, 1, 4, 0, 2]
    sent = {}
    for place in places:
        call = planned(server, 200 * MS + place * 60 * MS, place)
        sent[engine.submit(call)] = call
    finished = collect(engine, 5)
    assert sorted(order_of(server)) == [f"req-{place}" for place in sorted(places)]
    by_place = sorted(finished, key=lambda each: sent[each.ticket].identity.seq)
    started_ns = [record_of(each).started_ns for each in by_place]
    assert started_ns == sorted(started_ns)  # their answers may overtake each other on a busy machine
    for each in finished:
        record, send_ns = record_of(each), sent[each.ticket].send_ns
        assert record.outcome == "ok" and record.planned_ns == send_ns and send_ns is not None
        assert record.sent_first_ns is not None and record.connection is not None
        assert send_ns <= record.started_ns <= record.sent_first_ns


def test_what_is_overdue_leaves_at_once_and_before_what_waits(engine: Engine, serve: Serve) -> None:
    server = serve(lambda visit: answer(visit, 1, 0))
    waits = engine.submit(planned(server, NEVER_NS, 0))
    late, none = engine.submit(planned(server, -500 * MS, 1)), engine.submit(call_for(server, 2))
    assert {each.ticket for each in collect(engine, 2)} == {late, none}
    engine.withdraw(waits)
    assert told(engine, 1) == [Withdrawn(waits)]


def test_deadlines_count_from_the_time_of_leaving(client: Client, serve: Serve) -> None:
    """A wait that is longer than the deadlines ends nothing; one that the server makes does."""
    server = serve(Visit.hang)
    record = record_of(client.call(planned(server, 400 * MS, total_s=0.2, connect_s=0.2)))
    assert record.outcome == "timeout_total" and record.sent_last_ns is not None and record.planned_ns is not None
    assert 200 * MS <= record.ended_ns - record.started_ns and record.started_ns >= record.planned_ns
    answered = record_of(client.call(planned(serve(), 900 * MS, total_s=0.8)))
    assert answered.outcome == "ok"


def test_a_call_that_is_taken_back_never_leaves_and_has_no_record(engine: Engine, serve: Serve) -> None:
    server = serve(lambda visit: answer(visit, 1, 0))
    tickets = [engine.submit(planned(server, ahead_ns, n)) for n, ahead_ns in enumerate([NEVER_NS, 300 * MS, NEVER_NS])]
    engine.withdraw(tickets[0])
    engine.withdraw(tickets[2])
    gone, other, left = told(engine, 3)
    assert [gone, other] == [Withdrawn(tickets[0]), Withdrawn(tickets[2])]
    assert isinstance(left, Finished) and left.ticket == tickets[1]
    assert order_of(server) == ["req-1"]


def test_a_call_that_has_left_cannot_be_taken_back(engine: Engine, serve: Serve) -> None:
    server = serve(lambda visit: answer(visit, 5, 0.05))
    ticket = engine.submit(planned(server, 20 * MS))
    while not server.visits:
        time.sleep(0.005)
    engine.withdraw(ticket)
    (finished,) = told(engine, 1)
    assert isinstance(finished, Finished) and record_of(finished).outcome == "ok"
    assert record_of(finished).deltas == 5
    engine.withdraw(ticket)  # of one that has ended nothing is said
    assert [news for news in engine.wait(0.05) if not isinstance(news, Live)] == []


def test_a_call_that_is_cancelled_while_it_waits_was_never_sent(engine: Engine, serve: Serve) -> None:
    server = serve()
    ticket = engine.submit(planned(server, NEVER_NS))
    engine.cancel(ticket)
    (finished,) = collect(engine, 1)
    record = record_of(finished)
    assert (finished.ticket, record.outcome) == (ticket, "censored")
    assert record.sent_first_ns is record.sent_last_ns is record.connect_begin_ns is record.connection is None
    assert record.ended_ns >= record.started_ns >= (record.planned_ns or 0)
    assert server.connections == 0


def test_waiting_calls_are_not_in_flight(engine: Engine, serve: Serve) -> None:
    def stall(visit: Visit) -> None:
        visit.send(HEAD + frame(ROLE))
        visit.hang()

    server = serve(stall)
    waiting = [engine.submit(planned(server, NEVER_NS, number)) for number in range(3)]
    running = engine.submit(call_for(server, 9))
    looks: list[Live] = []
    while len(looks) < 2:
        looks += [news for news in engine.wait(1) if isinstance(news, Live)]
    assert (looks[-1].in_flight, looks[-1].awaiting_first) == (1, 1)
    for ticket in (running, *waiting):
        engine.cancel(ticket)
    assert {each.ticket for each in collect(engine, 4)} == {running, *waiting}


def test_calls_leave_on_time_beside_streams_that_are_read_in_ticks(engine: Engine, serve: Serve) -> None:
    """With many streams running, reads are gathered: that must not hold a departure up until the streams end."""
    server = serve(lambda visit: answer(visit, 60, 0.02))
    running = {engine.submit(call_for(server, number)) for number in range(12)}
    quick = serve(lambda visit: answer(visit, 1, 0))
    sent = {engine.submit(planned(quick, 300 * MS + 50 * MS * number, number)) for number in range(5)}
    finished = collect(engine, 17)
    assert {each.ticket for each in finished[:5]} == sent and {each.ticket for each in finished[5:]} == running
    assert order_of(quick) == [f"req-{number}" for number in range(5)]
    assert all((r.sent_last_ns or 0) >= (r.planned_ns or 0) for r in map(record_of, finished))


def test_an_engine_that_is_killed_loses_what_waits(serve: Serve) -> None:
    engine = Engine()
    engine.start()
    tickets = {engine.submit(planned(serve(), NEVER_NS, number)) for number in range(3)}
    os.kill(engine.pid, signal.SIGKILL)
    finished = collect(engine, 3)
    assert {each.ticket for each in finished} == tickets
    for record in map(record_of, finished):
        assert record.outcome == "engine_lost" and record.sent_first_ns is None
        assert record.ended_ns >= record.started_ns
    engine.close()


def test_an_engine_that_is_closed_does_not_wait_for_what_waits(serve: Serve) -> None:
    engine = Engine()
    engine.start()
    server = serve()
    engine.submit(planned(server, NEVER_NS))
    engine.submit(planned(server, 300 * MS))
    begun = time.monotonic()
    engine.close()
    assert time.monotonic() - begun < 1.9, "it was told to quit, not killed"
    time.sleep(0.4)
    assert server.connections == 0
