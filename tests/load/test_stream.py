"""The stream core against hand-made answers: whole, byte by byte, cut in two at every place."""

import msgspec
import pytest
from stream_corpus import CASES, DONE, KEY, ROLE, Case, chunk, chunked, event, make_call, replay, said, usage

from harness.errors import Outcome
from harness.load.stream import MAX_PENDING_BYTES, Stream
from harness.records import StreamRecord, decode_offsets, decode_record, encode_record

_BY_NAME = {case.name: case for case in CASES}
#: What depends on how the bytes were cut, and only that.
_OF_THE_READS = (
    "reads", "shared_reads", "delta_offsets", "client_lag_ns", "headers_ns", "first_reasoning_ns", "first_answer_ns",
    "last_delta_ns", "ended_ns",
)  # fmt: skip


def substance(record: StreamRecord) -> dict[str, object]:
    fields = msgspec.structs.asdict(record)
    return {name: value for name, value in fields.items() if name not in _OF_THE_READS}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_record(case: Case) -> None:
    record, stream = replay(case, [case.wire] if case.wire else [])
    fields = msgspec.structs.asdict(record)
    assert {name: fields[name] for name in case.expected} == case.expected
    if case.answer is not None:
        assert stream.answer == case.answer
    if case.reasoning is not None:
        assert stream.reasoning == case.reasoning
    assert decode_record(encode_record(record)) == record
    assert KEY not in encode_record(record).decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_split_gives_the_same_record(case: Case) -> None:
    whole, stream = replay(case, [case.wire])
    expected = substance(whole), stream.answer, stream.reasoning
    wire = case.wire if len(case.wire) < 6000 else case.wire[:3000] + case.wire[3000:]
    step = 1 if len(wire) < 6000 else len(wire) // 600
    splits = [[wire[at : at + 1] for at in range(len(wire))]] if len(wire) < 6000 else []
    splits += [[wire[:at], wire[at:]] for at in range(1, len(wire), step)]
    for pieces in splits:
        if case.expected["outcome"] == "protocol_error" and "head" in case.name:
            continue  # how much of an endless head is quoted depends on the reads
        record, stream = replay(case, pieces)
        assert (substance(record), stream.answer, stream.reasoning) == expected, len(pieces[0])


def test_split_does_not_move_the_ok_stamps() -> None:
    """A delta's time is that of the read which completed its event; the end's that of the last body byte."""
    parts = [ROLE, *said("a", "b"), event(chunk({}, "stop")), DONE]
    head, body = chunked(parts).split(b"\r\n\r\n", 1)
    stream = Stream(make_call())
    stream.timeline.sent_last_ns = 0
    pieces = [head + b"\r\n\r\n"] + [b"%x\r\n%s\r\n" % (len(part), part) for part in parts] + [b"0\r\n\r\n"]
    assert b"".join(pieces) == chunked(parts) and body
    ended = [stream.feed(piece, at * 1_000_000, at * 1_000_000 + 7) for at, piece in enumerate(pieces)]
    record = stream.close(99, "ended")
    assert ended == [False] * 6 + [True]
    assert record.headers_ns == 0 and record.ended_ns == 6_000_000
    assert record.first_answer_ns == 2_000_000 and record.last_delta_ns == 3_000_000
    assert record.delta_offsets is not None and list(decode_offsets(record.delta_offsets)) == [2000, 3000]
    assert record.shared_reads == 0


def test_deltas_of_one_read_share_it() -> None:
    stream = Stream(make_call())
    stream.feed(chunked([]).removesuffix(b"0\r\n\r\n"), 1, 1)
    two = b"".join(said("a", "b"))
    stream.feed(b"%x\r\n%s\r\n" % (len(two), two), 5, 5)
    stream.feed(b"%x\r\n%s\r\n" % (len(two), two), 6, 6)
    record = stream.close(9, "censored")
    assert (record.deltas, record.shared_reads, record.outcome) == (4, 2, Outcome.CENSORED)


def test_lag_needs_the_kernels_clock() -> None:
    for clock, present in (("kernel", True), ("user", False)):
        stream = Stream(make_call())
        stream.timeline.clock = clock  # type: ignore[assignment]
        stream.feed(_BY_NAME["vllm"].wire, 1000, 1400)
        lag = stream.close(9, "ended").client_lag_ns
        assert (lag is not None) is present
        if lag is not None:
            assert (lag.mean, lag.p99, lag.max) == (400, 400, 400)


def test_reusable_only_after_a_whole_and_clean_answer() -> None:
    whole = chunked([*said("a"), event(chunk({}, "stop")), DONE])
    cases = {
        whole: True,
        whole.replace(b"Content-Type", b"Connection: close\r\nContent-Type"): False,
        whole.replace(b"HTTP/1.1", b"HTTP/1.0"): False,
        whole + b"x": False,
        whole[:-1]: False,
    }
    for wire, expected in cases.items():
        stream = Stream(make_call())
        stream.feed(wire, 1, 1)
        assert stream.reusable is expected, wire[-8:]


def test_memory_of_an_undecoded_stream_is_bounded() -> None:
    stream = Stream(make_call())
    stream.feed(chunked([]).removesuffix(b"0\r\n\r\n"), 1, 1)
    part = said("word ")[0]
    frame = b"%x\r\n%s\r\n" % (len(part), part)
    for at in range(20_000):
        stream.feed(frame, at, at)
        assert stream.pending_bytes <= MAX_PENDING_BYTES + len(frame)
    assert stream.close(1, "censored").deltas == 20_000


def test_text_is_kept_only_on_request_and_up_to_a_limit() -> None:
    case = _BY_NAME["vllm"]
    stream = Stream(make_call(keep_text=False))
    stream.feed(case.wire, 1, 1)
    record = stream.close(1, "ended")
    assert stream.answer is None and record.deltas == 4
    long = chunked([*said(*["y" * 60_000] * 30), event(chunk({}, "stop")), DONE])
    stream = Stream(make_call())
    stream.feed(long, 1, 1)
    stream.close(1, "ended")
    assert stream.answer is not None and len(stream.answer) == 1024 * 1024


def test_keep_deltas_off() -> None:
    stream = Stream(make_call(keep_deltas=False))
    stream.timeline.sent_last_ns = 0
    stream.feed(_BY_NAME["vllm"].wire, 1, 1)
    record = stream.close(1, "ended")
    assert record.delta_offsets is None and record.delta_phase is None and record.deltas == 4


@pytest.mark.parametrize(
    ("piece", "blocks"),
    [
        *((each, 160) for each in (b"\n", b"data: ", b"data:\n", b": x\n", b"\r")),
        *((each, 160) for each in (b'data: {"a":"', b"[" * 64, b"\xef\xbb\xbf")),
        (b"data: {}\n\n", 40),  # each is an event
    ],
)
def test_megabytes_of_anything_in_bounded_time(piece: bytes, blocks: int) -> None:
    """Quadratic handling of 10 MB, or of 2.6 MB of events, would take minutes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    stream = Stream(make_call())
    stream.feed(head, 1, 1)
    block = piece * (65_536 // len(piece))
    for _ in range(blocks):
        if stream.feed(block, 2, 2):
            break
    stream.decode(1 << 40)
    assert stream.pending_bytes == 0
    stream.close(3, "eof")


def test_small_reads_of_a_huge_event_in_bounded_time() -> None:
    stream = Stream(make_call())
    stream.feed(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ", 1, 1)
    for _ in range(300_000):
        stream.feed(b"abc", 2, 2)
    assert stream.close(3, "reset").outcome is Outcome.CUT


def test_an_event_beyond_the_limit_is_refused() -> None:
    stream = Stream(make_call())
    stream.feed(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ", 1, 1)
    for _ in range(20):
        stream.feed(b"x" * 65_536, 2, 2)
    record = stream.close(3, "reset")
    assert record.outcome is Outcome.PROTOCOL_ERROR and "event larger" in (record.error or "")


def test_usage_of_unknown_shapes() -> None:
    odd = usage(
        3.0, 4.0, cost={"total": 1}, prompt_tokens_details=[], completion_tokens_details={"reasoning_tokens": "x"}
    )  # type: ignore[arg-type]
    stream = Stream(make_call())
    stream.feed(chunked([*said("a"), event(chunk({}, "stop", usage=odd)), DONE]), 1, 1)
    record = stream.close(1, "ended")
    assert (record.input_tokens, record.output_tokens, record.usd_reported) == (3, 4, None)
