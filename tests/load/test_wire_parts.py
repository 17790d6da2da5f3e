"""Head, framing, events, tags, usage and verdict, each on its own: tables of cases."""

from array import array

import pytest

from harness.errors import Outcome
from harness.load.hot.plain import LATER, SHARED
from harness.load.stream.body import ChunkedBody, LengthBody
from harness.load.stream.head import HeadReader, ProtocolError, parse_head
from harness.load.stream.lag import Lag
from harness.load.stream.scrub import scrub, scrub_cut, secrets_in
from harness.load.stream.sse import EventSplitter
from harness.load.stream.stencil import Run
from harness.load.stream.thought import Thought
from harness.load.stream.usage import Heard, Usage, count_tokens, read_usage
from harness.load.stream.verdict import Ending, decide

HEADS = {
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked": ("chunked", 0, True),
    b"HTTP/1.1 200\r\nContent-Length: 5": ("length", 5, True),
    b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5": ("length", 5, True),
    b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 5": ("length", 5, False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 5": ("length", 5, False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive": ("length", 5, True),
    b"HTTP/1.1 200 OK": ("eof", 0, False),
    b"HTTP/1.1 204 No": ("length", 0, True),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5": ("chunked", 0, False),
}


@pytest.mark.parametrize("block", HEADS)
def test_head(block: bytes) -> None:
    head = parse_head(block)
    assert (head.framing, head.length, head.keep_alive) == HEADS[block]


@pytest.mark.parametrize(
    "block",
    [b"HTTP/2 200 OK", b"HTTP/1.1 99 Low", b"HTTP/1.1 2000 Long", b"HTTP/1.1 200 OK\r\nno colon",
     b"HTTP/1.1 200 OK\r\n folded: x", b"HTTP/1.1 200 OK\r\nContent-Length: -1",
     b"HTTP/1.1 200 OK\r\nContent-Length: 1e3", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked"],
)  # fmt: skip
def test_bad_head(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_head(block)


def test_retry_after() -> None:
    for text, expected in {b"7": 7.0, b"0.5": 0.5, b"Fri, 31 Dec": None, b"nan": None, b"-1": None}.items():
        assert parse_head(b"HTTP/1.1 429 X\r\nRetry-After: " + text).retry_after_s == expected


def test_interim_heads_count_in_the_limit() -> None:
    reader = HeadReader()
    with pytest.raises(ProtocolError):
        for _ in range(10_000):
            reader.feed(b"HTTP/1.1 102 Processing\r\n\r\n")


CHUNKED = [
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello", True, None),
    (b"5;a=b\r\nhello\r\n1 \r\n!\r\n0\r\n\r\n", b"hello!", True, None),
    (b"A\r\n0\r\n\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\nhello", True, None),
    (b"5\r\nhello\r\n", b"hello", False, None),
    (b"5\r\nhelloXX", b"hello", False, "CRLF"),
    (b"5\r\nhello\r\n-1\r\n", b"hello", False, "chunk size"),
    (b"0x5\r\nhello\r\n", b"", False, "chunk size"),
    (b"1_0\r\n", b"", False, "chunk size"),
    (b"1" * 5000, b"", False, "too long"),
    (b"0\r\nA: b\r\nC: d\r\n\r\n", b"", True, None),
]


@pytest.mark.parametrize("case", CHUNKED, ids=lambda case: case[0][:24])
def test_chunked(case: tuple[bytes, bytes, bool, str | None]) -> None:
    wire, payload, ended, error = case
    for size in (len(wire), 1, 2, 3, 7):
        body = ChunkedBody()
        got = b"".join(body.feed(wire[at : at + size]) for at in range(0, len(wire), size) if body.error is None)
        assert (got, body.ended) == (payload, ended)
        assert (error is None) if body.error is None else (error or "?") in body.error


def test_surplus_behind_the_end() -> None:
    chunked = ChunkedBody()
    chunked.feed(b"0\r\n\r\nHTTP/1.1")
    length = LengthBody(2)
    length.feed(b"abc")
    assert chunked.surplus and length.surplus


EVENTS = {
    b"data: a\n\ndata: b\n\n": [b"a", b"b"],
    b"data:a\r\n\r\n": [b"a"],
    b"data: a\r\rdata: b\r\r": [b"a", b"b"],
    b"data:  two spaces\n\n": [b" two spaces"],
    b": comment\n\n:\n\n": [],
    b"data\n\ndata: x\n\n": [b"x"],
    b"event: m\nid: 7\nretry: 10\ndata: x\n\n": [b"x"],
    b"data: a\ndata: b\n\n": [b"a\nb"],
    b"\xef\xbb\xbfdata: a\n\n": [b"a"],
    b"data: a\n": [],
    b"\n\n\n\n": [],
}


@pytest.mark.parametrize("wire", EVENTS)
def test_events(wire: bytes) -> None:
    for size in (len(wire), 1, 2, 3, 5):
        splitter = EventSplitter()
        assert [e for at in range(0, len(wire), size) for e in splitter.feed(wire[at : at + size])] == EVENTS[wire]


THOUGHTS = [
    # deltas, length of the reasoning part of each as finally known, all text
    (["<think>a", "b</think>", "c"], "<think>ab</think>", "c"),
    (["  \n<thi", "nk>a</th", "ink>c"], "  \n<think>a</think>", "c"),
    (["<thinking>a</think>b", "</thinking>c"], "<thinking>a</think>b</thinking>", "c"),
    (["a", "b</think>c</think>d"], "ab</think>", "c</think>d"),
    (["<", "b>bold</b>"], "", "<b>bold</b>"),
    (["1 < 2 </thin", "g>"], "", "1 < 2 </thing>"),
    (["[THINK]x[/THINK]y"], "[THINK]x[/THINK]", "y"),
    (["x [/THINK] y"], "", "x [/THINK] y"),
    (["<|channel|>ana", "lysis<|message|>hm<|end|><|start|>assistant<|channel|>fin", "al<|message|>yes"],
     "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>", "yes"),
    (["<|channel|>analysis<|message|>which tool?<|end|><|start|>assistant<|channel|>comm",
      "entary to=functions.f <|constrain|>json<|message|>{}"],
     "<|channel|>analysis<|message|>which tool?<|end|><|start|>assistant<|channel|>commentary",
     " to=functions.f <|constrain|>json<|message|>{}"),
    (["<|start|>assistant<|channel|>analysis to=browser.search code<|message|>x<|channel|>final <|constrain|>json",
      "<|message|>{}"],
     "<|start|>assistant<|channel|>analysis to=browser.search code<|message|>x"
     "<|channel|>final <|constrain|>json<|message|>", "{}"),
    (["<|channel|>fin", "al<|message|>yes"], "", "<|channel|>final<|message|>yes"),
    (["<|channel|>", "commentary to=f<|message|>{}"], "", "<|channel|>commentary to=f<|message|>{}"),
    (["the prompt had opened it<|end|><|start|>assistant<|channel|>final<|message|>yes"],
     "the prompt had opened it<|end|><|start|>assistant<|channel|>final<|message|>", "yes"),
    (["<|channel|>analysis<|message|>the final channel <|channel|>fin is not it"],
     "<|channel|>analysis<|message|>the final channel <|channel|>fin is not it", ""),
    (["<think>never closed"], "<think>never closed", ""),
]  # fmt: skip


@pytest.mark.parametrize("case", THOUGHTS, ids=lambda case: case[0][0])
def test_thoughts(case: tuple[list[str], str, str]) -> None:
    deltas, reasoning, answer = case
    text = "".join(deltas)
    for pieces in (deltas, [text], list(text), *([text[:at], text[at:]] for at in range(1, len(text)))):
        thought, parts = Thought(), ["", ""]
        for text in pieces:
            cut = thought.feed(text)
            if thought.takes_back:
                parts = ["".join(parts), ""]
            parts = [parts[0] + text[:cut], parts[1] + text[cut:]]
        assert parts == [reasoning, answer]


def test_a_field_of_its_own_ends_the_search_for_tags() -> None:
    thought = Thought()
    thought.apart()
    assert thought.feed("<think>") == 0 and not thought.takes_back


COUNTS = [
    # usage, heard, continuous -> output, reasoning, source, split
    (Usage(completion_tokens=9), Heard(deltas=3, answer_chars=9), False, (9, 0, "usage", "estimate")),
    (Usage(completion_tokens=9), Heard(deltas=3, reasoning_chars=6, answer_chars=3), True,
     (9, 6, "continuous_usage", "estimate")),
    (Usage(completion_tokens=9, reasoning_tokens=4), Heard(deltas=3, answer_chars=3), False, (9, 4, "usage", "usage")),
    (Usage(completion_tokens=9, reasoning_tokens=0), Heard(deltas=3, answer_chars=3), False, (9, 0, "usage", "usage")),
    (Usage(completion_tokens=9, reasoning_tokens=99), Heard(deltas=1, answer_chars=3), False, (9, 9, "usage", "usage")),
    (None, Heard(deltas=5, answer_chars=20), False, (5, 0, "estimate", "estimate")),
    (None, Heard(deltas=5, reasoning_chars=100, answer_chars=101), False, (51, 25, "estimate", "estimate")),
    (None, Heard(), False, (None, None, None, None)),
    (Usage(completion_tokens=0), Heard(), False, (0, 0, "usage", "estimate")),
]  # fmt: skip


@pytest.mark.parametrize("case", COUNTS)
def test_counts(case: tuple[Usage | None, Heard, bool, tuple[object, ...]]) -> None:
    counts = count_tokens(*case[:3])
    assert (counts.output_tokens, counts.reasoning_tokens, counts.source, counts.split_source) == case[3]
    if counts.output_tokens is not None and counts.reasoning_tokens is not None:
        assert counts.answer_tokens == counts.output_tokens - counts.reasoning_tokens


def test_usage_that_is_no_object() -> None:
    assert read_usage(b"[1]") is None
    assert read_usage(b'{"prompt_tokens":"x","completion_tokens":true}') == Usage()


VERDICTS = [
    (Ending(reason="ended", whole=True, status=200, finish_reason="stop", spoke=True, answered=True), Outcome.OK),
    (Ending(reason="censored", whole=True, status=200, finish_reason="stop", spoke=True), Outcome.OK),
    (Ending(reason="censored", whole=False, status=200, spoke=True), Outcome.CENSORED),
    (Ending(reason="censored", whole=False, status=429), Outcome.RATE_LIMITED),
    (Ending(reason="eof", whole=False, status=200, finish_reason="stop", spoke=True), Outcome.CUT),
    (Ending(reason="reset", whole=False, status=200, finish_reason="stop", done_seen=True, spoke=True), Outcome.OK),
    (Ending(reason="timeout_gap", whole=False, status=200, error=True), Outcome.STREAM_ERROR),
    (Ending(reason="ended", whole=True, status=200, finish_reason="error", spoke=True), Outcome.STREAM_ERROR),
    (Ending(reason="ended", whole=True, status=302), Outcome.HTTP_ERROR),
    (Ending(reason="connect_error", whole=False), Outcome.CONNECT_ERROR),
    (Ending(reason="ended", whole=True, status=200, done_seen=True), Outcome.EMPTY),
    (Ending(reason="ended", whole=True, status=200, finish_reason="length", done_seen=True), Outcome.EMPTY),
    (Ending(reason="ended", whole=True, status=200, streamed=False, spoke=True), Outcome.OK),
]


@pytest.mark.parametrize("case", VERDICTS)
def test_verdict(case: tuple[Ending, Outcome]) -> None:
    assert decide(case[0]) is case[1]


def test_lag_of_a_very_long_stream() -> None:
    lag = Lag()
    for number in range(100_000):
        lag.add(number % 1000)
    summary = lag.summary()
    assert summary is not None and summary.max == 999 and summary.mean == pytest.approx(499.5)
    assert 980 <= summary.p99 <= 999
    assert len(lag._sample) <= 8192


def test_a_read_of_several_segments_is_late_once() -> None:
    lag = Lag()
    for lag_ns in (300, LATER, LATER, 5):
        lag.add(lag_ns)
    arrivals, lags = array("q", [1, 2, 3, 4]), array("q", [200, LATER, SHARED, 7])
    run = Run("content", b"abcd", array("I", [1, 2, 3, 4]), arrivals, lags)
    lag.add_all(run.reads_ns())
    summary = lag.summary()
    assert lag.reads == 4 and run.shared == 1
    assert summary is not None and (summary.max, summary.mean) == (300, 128)
    assert [text for text, _, shared in run.pieces() if shared] == ["c"]


def test_secrets() -> None:
    secrets = secrets_in(
        b"POST / HTTP/1.1\r\nAuthorization: Bearer sk-abcdef\r\nX-Api-Key: key-123456\r\nA: b\r\n\r\nbody"
    )
    assert secrets == ("sk-abcdef", "key-123456")
    assert scrub("it was sk-abcdef!", secrets) == "it was [key]!"
    assert scrub_cut("it was sk-abc", secrets) == "it was [key]"
