"""Long fuzzing of the stream core: any damage, any cuts, any slices; the same record, and no crash."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import Outcome
from harness.records import decode_record, encode_record
from tests.soak.conftest import MINUTES

sys.path.append(str(Path(__file__).parents[1] / "load"))

from stream_corpus import CASES
from test_stream import substance
from test_stream_fuzz import cut_up, run

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

LONG = settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
_wires = st.sampled_from([case.wire for case in CASES if case.wire and len(case.wire) < 8000])
_reasons = st.sampled_from(["ended", "eof", "reset", "censored", "timeout_gap"])
_strange = [b"\r\n", b"0\r\n\r\n", b"data: ", b"data:[DONE]\n\n", b'"', b"\n\n", b"\r", b"{", b"}", b"\\u", b"\xff",
            b"ffffffffffffffff\r\n", b"-1\r\n", b"event: error\n", b"<think>", b"</think>", b"null", b"1e999",
            b"HTTP/1.1 100 Continue\r\n\r\n", b"Content-Length: 5\r\n", b": ping\n\n", b"\xef\xbb\xbf"]  # fmt: skip
_insert = st.sampled_from(_strange) | st.binary(max_size=6)
_edits = st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 12), _insert), min_size=1, max_size=8)


def until(rounds_of: Callable[[], None], share: float) -> int:
    """Repeat a property, each time with a new seed, for its share of the soak; how many rounds it was."""
    end, rounds = time.monotonic() + share * MINUTES * 60, 0
    while not rounds or time.monotonic() < end:
        rounds_of()
        rounds += 1
    return rounds


def damaged(wire: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The wire with pieces cut out and others put in."""
    answer = bytearray(wire)
    for at, cut, insert in edits:
        begin = at % (len(answer) + 1)
        answer[begin : begin + cut] = insert
    return bytes(answer)


@LONG
@given(_wires, _edits, st.integers(0, 2**32), st.integers(1, 400), _reasons)
def damage(wire: bytes, edits: list[tuple[int, int, bytes]], seed: int, slices: int, reason: str) -> None:
    broken = damaged(wire, edits)
    whole, stream = run([broken] if broken else [], reason)
    parts, other = run(cut_up(broken, seed), reason, slices)
    for record in (whole, parts):
        assert record.outcome in Outcome
        assert decode_record(encode_record(record)) == record
        assert record.deltas == len(record.delta_phase or "")
        assert record.output_tokens is None or record.output_tokens >= 0
    if whole.content_encoding or parts.content_encoding:
        return  # how much a damaged compression still yields depends on how much of it is there at once
    assert substance(parts) == substance(whole)
    assert (other.answer, other.reasoning) == (stream.answer, stream.reasoning)


@LONG
@given(_wires, _wires, st.integers(0, 8000), st.integers(0, 8000), _reasons)
def grafts(first: bytes, second: bytes, to: int, since: int, reason: str) -> None:
    """The beginning of one answer and the end of another."""
    record, _ = run([first[: to % (len(first) + 1)] + second[since % (len(second) + 1) :]], reason)
    assert record.outcome in Outcome
    assert decode_record(encode_record(record)) == record


@LONG
@given(_wires, st.integers(0, 8000), _reasons)
def cut_short(wire: bytes, at: int, reason: str) -> None:
    """An answer that stops anywhere is never taken for a whole one, unless only empty framing is missing."""
    whole, _ = run([wire])
    begin = wire[: at % (len(wire) + 1)]
    record, _ = run([begin] if begin else [], reason)
    assert record.deltas <= whole.deltas
    if record.outcome is Outcome.OK:
        assert record.finish_reason or record.done_seen


@pytest.mark.parametrize("body", [damage, grafts, cut_short], ids=lambda body: str(body.__name__))
def test_the_stream_core_for_long(body: Callable[[], None], outcome: Callable[[str, str], None]) -> None:
    rounds = until(body, 1 / 3)
    outcome(f"fuzzing of the stream core: {body.__name__}", f"{rounds * 2000:,} examples, no failure")
