"""Whatever the bytes are and however they are cut: no crash, one record, the same substance."""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_corpus import CASES, DONE, chunk, chunked, event, make_call, usage
from test_stream import substance

from harness.errors import Outcome
from harness.load.stream import Stream
from harness.records import StreamRecord, decode_record, encode_record

_WIRES = [case.wire for case in CASES if case.wire and len(case.wire) < 8000]
_reasons = st.sampled_from(["ended", "eof", "reset", "censored", "timeout_gap"])


def run(pieces: list[bytes], reason: str = "eof", slices: int = 1 << 40) -> tuple[StreamRecord, Stream]:
    stream = Stream(make_call())
    for at, piece in enumerate(pieces):
        if stream.feed(piece, at, at):
            break
        stream.decode(slices)
    return stream.close(len(pieces), reason), stream  # type: ignore[arg-type]


def cut_up(wire: bytes, seed: int) -> list[bytes]:
    """Anywhere, or, every other time, only where a chunk ends, as servers send them."""
    draw = random.Random(seed)
    ends = [at + 2 for at in range(len(wire)) if wire.startswith(b"\r\n", at)]
    if seed % 2 and ends:
        places = sorted(draw.sample(ends, draw.randrange(len(ends) + 1)))
    else:
        places = sorted(draw.randrange(len(wire) + 1) for _ in range(draw.randrange(12)))
    return [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True) if a < b]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_WIRES), st.integers(0, 2**32), st.integers(1, 400))
def test_cuts_and_slices_change_nothing(wire: bytes, seed: int, slices: int) -> None:
    whole, stream = run([wire])
    parts, other = run(cut_up(wire, seed), slices=slices)
    assert substance(parts) == substance(whole)
    assert (other.answer, other.reasoning) == (stream.answer, stream.reasoning)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(_WIRES), st.data(), _reasons)
def test_damaged_answers(wire: bytes, data: st.DataObject, reason: str) -> None:
    damaged = bytearray(wire)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged)))
        insert = data.draw(st.binary(max_size=6) | st.sampled_from([b"\r\n", b"0\r\n\r\n", b"data: ", b'"', b"\n\n"]))
        damaged[at : at + data.draw(st.integers(0, 8))] = insert
    pieces = cut_up(bytes(damaged), len(damaged)) if damaged else []
    record, _ = run(pieces, reason)
    assert record.outcome in Outcome
    assert decode_record(encode_record(record)) == record
    assert record.deltas == len(record.delta_phase or "")
    assert record.output_tokens is None or record.output_tokens >= 0


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([b"", b"\r\n\r\n"]))
def test_any_bytes(body: bytes, gap: bytes) -> None:
    for head in (b"", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", b"HTTP/1.1 500 X"):
        record, _ = run([head + gap + body])
        assert record.outcome is not Outcome.OK or record.finish_reason or record.done_seen


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=12),
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="<[◁"), min_size=1, max_size=12), max_size=12),
    st.sampled_from(["reasoning", "reasoning_content", "<think>", "<thinking>", "opened"]),
    st.integers(0, 2**32),
)
def test_text_comes_out_as_it_went_in(answer: list[str], thought: list[str], form: str, seed: int) -> None:
    """Reasoning and answer are told apart in every form, and no character is lost."""
    said, shown = "".join(answer), "".join(thought)
    if form.startswith("<"):
        text = f"{form}{shown}{form.replace('<', '</')}{said}"
    else:
        text = f"{shown}</think>{said}" if form == "opened" else said
    draw = random.Random(seed)
    places = sorted({draw.randrange(1, max(2, len(text))) for _ in range(8)} & set(range(1, len(text))))
    deltas = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    parts = [] if form.startswith("<") or form == "opened" else [event(chunk({form: each})) for each in thought]
    parts += [event(chunk({"content": each})) for each in deltas]
    _, stream = run([chunked([*parts, event(chunk({}, "stop")), event(chunk(usage=usage(1, 9))), DONE])])
    if parts and not thought and form in {"reasoning", "reasoning_content"} and _tagged(said):
        return  # an answer that is itself written like a thought
    assert stream.answer == said
    assert shown in (stream.reasoning or "")


def _tagged(text: str) -> bool:
    return any(tag in text for tag in ("think", "THINK", "channel"))


def test_substance_covers_the_record() -> None:
    """A new field of the record is compared unless it is named as one that depends on the reads."""
    record, _ = run([_WIRES[0]])
    assert len(msgspec.structs.asdict(record)) - len(substance(record)) == 9
