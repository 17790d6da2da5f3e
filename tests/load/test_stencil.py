"""The short way through a stream says what the long way says: same record, same texts, whatever the events are."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_corpus import DONE, chunk, event, make_call, usage
from test_stream import substance

from harness.load import hot
from harness.load.calls import Call
from harness.load.hot import plain
from harness.load.stream import Stream, stencil, transcript
from harness.load.stream.stencil import cut_stencil
from harness.records import StreamRecord

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
Outcome = tuple[StreamRecord, str | None, str | None]

_texts = st.text(max_size=6) | st.sampled_from(
    ["", " word", "<think>", "</think>", "<", "th", "ink>", '"', "\\", "\n", "\u2028", "语", "◁/think▷", "[THINK]", "}"]
)
_fields = st.sampled_from(["content"] * 4 + ["reasoning_content", "reasoning", "refusal"])
_deltas = st.lists(st.tuples(_fields, _texts, st.integers(0, 3)), max_size=40)


def framed(payload: bytes, form: str = "%x") -> bytes:
    return b"%b\r\n%b\r\n" % ((form % len(payload)).encode(), payload)


@pytest.fixture(params=["plain", "compiled"], autouse=True, scope="module")
def form(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of this holds for both forms of the hot path."""
    if request.param == "compiled" and hot.FORM != "compiled":
        pytest.skip("the hot path is not compiled here: python hatch_build.py says why")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stencil, "Taken", plain.Taken if request.param == "plain" else hot.Taken)
        yield


def read(reads: list[bytes], decode_every: int = 7, call: Call | None = None) -> Outcome:
    stream = Stream(call or make_call())
    for at, data in enumerate([HEAD, *reads, b"0\r\n\r\n"]):
        if stream.feed(data, 1000 * at, 1000 * at + at):
            break
        if at % decode_every == 0:
            stream.decode(2000)
    record = stream.close(10**6, "eof")
    return record, stream.answer, stream.reasoning


def both_ways(reads: list[bytes], decode_every: int = 7) -> tuple[Outcome, Outcome]:
    short = read(reads, decode_every)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stencil, "TRIES", 0)
        return short, read(reads, decode_every)


def agree(reads: list[bytes], decode_every: int = 7) -> StreamRecord:
    (short, *texts), (long, *same_texts) = both_ways(reads, decode_every)
    assert short == long  # times, reads and lag included
    assert texts == same_texts
    return short


def merged(reads: list[bytes], sizes: list[int]) -> list[bytes]:
    """Some of these reads came as one, as a busy reader or a proxy makes them."""
    found, rest = [], list(reads)
    for size in [*sizes, *[1] * len(reads)]:
        found.append(b"".join(rest[:size]))
        rest = rest[size:]
    return [read for read in found if read]


_every = st.sampled_from([1, 1, 1, 2, 3, 7, 30])  # reads between two slices of decoding
_merges = st.lists(st.integers(1, 4), max_size=30)


@settings(max_examples=400, deadline=None)
@given(_deltas, st.booleans(), _every, st.sampled_from(["%x", "%x", "%X", "%04x"]), _merges)
def test_the_short_way_is_the_long_way(
    deltas: list[Any], ascii_only: bool, every: int, form: str, sizes: list[int]
) -> None:
    reads = []
    for field, text, created in deltas:
        data = json.dumps(chunk({field: text}, created=created), ensure_ascii=ascii_only)
        reads.append(framed(event(data.encode("utf-8", "replace").decode()), form))
    end = [event(chunk({}, "stop")), event(chunk(None, usage=usage(5, 6))), DONE]
    agree([*reads, framed(b"".join(end))], every)
    agree(merged([*reads, *map(framed, end)], sizes), every)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=5), min_size=3, max_size=30), st.integers(1, 9))
def test_raw_bytes_in_the_place_of_the_text(texts: list[bytes], every: int) -> None:
    """Quotes, control characters, broken UTF-8: what no honest server sends must not be read more kindly."""
    before, after = json.dumps(chunk({"content": "TEXT"})).encode().split(b"TEXT")
    reads = [framed(b"data: " + before + text + after + b"\n\n") for text in [b"a", b" b", *texts]]
    agree([*reads, framed(DONE)], every)


def test_texts_that_join_to_a_character_or_a_tag() -> None:
    before, after = json.dumps(chunk({"content": "TEXT"})).encode().split(b"TEXT")
    halves = ["语".encode()[:1], "语".encode()[1:]]
    for texts in (
        [b"a", b"b", *halves],
        [b"<th", b"ink>", b"so", b"</thi", b"nk>", b"yes"],
        [b"a", b"</th", b"ink>", b"b"],
    ):
        agree([framed(b"data: " + before + text + after + b"\n\n") for text in [b"x", *texts, b"y"]], 100)


def test_nearly_all_events_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    decode = transcript.decode_chunk
    monkeypatch.setattr(transcript, "decode_chunk", lambda data: (decoded.append(data), decode(data))[1])
    reads = [framed(event(chunk({"content": f" {at}"}))) for at in range(300)]
    record, answer, _ = read([*reads, framed(event(chunk({}, "stop")) + DONE)])
    assert record.deltas == 300
    assert answer == "".join(f" {at}" for at in range(300))
    assert len(decoded) < 10


def test_reads_that_were_merged_take_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    decode = transcript.decode_chunk
    monkeypatch.setattr(transcript, "decode_chunk", lambda data: (decoded.append(data), decode(data))[1])
    reads = merged([framed(event(chunk({"content": f" {at}"}))) for at in range(300)], [3] * 100)
    record, answer, _ = read([*reads, framed(event(chunk({}, "stop")) + DONE)], decode_every=1)
    assert (record.deltas, record.shared_reads) == (300, 200)
    assert answer == "".join(f" {at}" for at in range(300))
    assert len(decoded) < 16


def test_the_end_may_share_its_read_with_a_text() -> None:
    spoken = [framed(event(chunk({"content": f" {at}"}))) for at in range(3)]
    end = [event(chunk({}, "stop")), event(chunk(None, usage=usage(5, 6))), DONE]
    for last in ([DONE], end):
        agree([spoken[0], b"".join([spoken[1], *map(framed, last)])], 1)
        agree([*spoken, b"".join([spoken[1], *map(framed, last)])], 1)


def test_a_stencil_of_each_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = [framed(event(chunk({"reasoning_content": f" {at}"}))) for at in range(50)]
    reads += [framed(event(chunk({"content": f" {at}"}))) for at in range(50)]
    record = agree([*reads, framed(event(chunk({}, "stop")) + DONE)])
    assert record.delta_phase == "r" * 50 + "a" * 50


def test_events_that_never_look_alike_cost_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []
    monkeypatch.setattr(stencil, "cut_stencil", lambda data, event: (tried.append(event), cut_stencil(data, event))[1])
    reads = [framed(event(chunk({"content": " a"}, obfuscation=f"{at * 7919:x}"))) for at in range(500)]
    assert read(reads)[0].deltas == 500
    assert len(tried) <= 8


@pytest.mark.parametrize(
    "body",
    [
        chunk({"content": "a"}, "stop"),
        chunk({"content": "a"}, usage=usage(1, 2)),
        chunk({"content": "a", "reasoning": "b"}),
        chunk({"content": "a", "tool_calls": [{"function": {"name": "f"}}]}),
        chunk({"content": ""}),
        {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]},
        {"choices": [{"delta": {"content": "a"}}], "error": {"message": "no"}},
        {"choices": [{"text": "a"}]},
        {"choices": [{"delta": {"content": "a"}}], "again": {"content": "a"}},
    ],
    ids=str,
)
def test_what_says_more_than_one_text_gets_no_stencil(body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    assert cut_stencil(framed(b"data: " + data + b"\n\n"), data) is None


def test_of_two_keys_the_one_that_counts() -> None:
    """The last of two equal keys wins in JSON; a stencil around the first would say something else."""
    wrong = b'{"choices":[{"delta":{"content":"a","content":"b"}}]}'
    assert cut_stencil(framed(b"data: " + wrong + b"\n\n"), wrong) is not None  # around "b"
    reads = [
        framed(b'data: {"choices":[{"delta":{"content":"%s","content":"b"}}]}\n\n' % text) for text in (b"a", b"c")
    ]
    record = agree([*reads, *reads])
    assert substance(record)["deltas"] == 4


def test_a_size_that_lies_is_not_believed() -> None:
    good = framed(event(chunk({"content": " a"})))
    lying = b"%x\r\n" % (len(event(chunk({"content": " a"}))) + 1) + good.split(b"\r\n", 1)[1]
    record = agree([good, good, good, lying, good], 100)
    assert record.outcome == "protocol_error"


def primed() -> Stream:
    """A stream whose next event may go the short way."""
    stream = Stream(make_call())
    for at, data in enumerate([HEAD, *[framed(event(chunk({"content": " word"})))] * 3]):
        stream.feed(data, at, at)
    stream.decode(10_000)
    return stream


def test_a_read_is_taken_where_it_is_fed() -> None:
    stream = primed()
    assert stream.deltas == 3
    assert not stream.feed(framed(event(chunk({"content": " next"}))), 4, 5)
    assert (stream.short_way.count, stream.pending_bytes, stream.deltas) == (1, 0, 4)
    stream.feed(framed(event(chunk({"content": 'a "quote"'}))), 6, 7)
    stream.feed(framed(event(chunk({"content": " behind"}))), 8, 9)
    assert stream.short_way.count == 1  # what comes behind an undecoded read waits with it
    stream.decode(10_000)
    assert (stream.short_way.count, stream.deltas) == (0, 6)
    assert list(stream.transcript.arrivals) == [1, 2, 3, 4, 6, 8]


def test_new_texts_do_not_pile_up_undecoded() -> None:
    stream = primed()
    for at in range(2000):
        stream.feed(framed(event(chunk({"content": f"{at:0200}"}))), at, at)
    assert stream.short_way.count < 400
    assert stream.pending_bytes <= 256 * 1024
    stream.decode(1 << 40)
    assert stream.deltas == 2003
