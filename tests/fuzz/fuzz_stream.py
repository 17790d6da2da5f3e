"""`make fuzz`: a coverage-guided fuzzer on the stream core, seeded with the conformance corpus.

An input is a response as it came over the wire, with a tail of eight bytes that says how it is cut. Whatever it is:
one record, that survives its own encoding; the same substance whole and cut; and the short way through a stream, in
Python and compiled, says what the long way says. Stops at the first input that breaks this, and writes it down.
"""

import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "load")]

with atheris.instrument_imports(include=["harness.load.stream", "harness.load.hot", "harness.records"]):
    from harness.load import hot
    from harness.load.hot import plain
    from harness.load.stream import Stream, stencil
    from harness.records import StreamRecord, decode_record, encode_record

from stream_corpus import CASES, make_call  # noqa: E402
from test_stream import substance  # noqa: E402
from test_stream_fuzz import cut_up  # noqa: E402

SEEDS = ROOT / "build" / "fuzz" / "stream"
_TAIL = 8
_REASONS = ("ended", "eof", "reset", "censored", "timeout_gap")


def read(pieces: list[bytes], reason: str, slices: int, taken: type | None) -> tuple[StreamRecord, Stream]:
    stencil.TRIES = 8 if taken else 0
    stencil.Taken = taken or plain.Taken  # type: ignore[misc,assignment]
    stream = Stream(make_call())
    for at, piece in enumerate(pieces):
        if stream.feed(piece, at, at):
            break
        stream.decode(slices)
    return stream.close(len(pieces), reason), stream  # type: ignore[arg-type]


def one_input(data: bytes) -> None:
    wire, tail = data[:-_TAIL], data[-_TAIL:]
    seed = int.from_bytes(tail, "little")
    reason, slices = _REASONS[seed % 5], 1 + seed % 4001
    pieces = cut_up(wire, seed) if wire else []
    short, told = read(pieces, reason, slices, plain.Taken)
    assert decode_record(encode_record(short)) == short
    assert short.deltas == len(short.delta_phase or "")
    assert short.output_tokens is None or short.output_tokens >= 0
    assert read(pieces, reason, slices, hot.Taken)[0] == short
    long, retold = read(pieces, reason, slices, None)
    assert long == short
    assert (told.answer, told.reasoning) == (retold.answer, retold.reasoning)
    whole, once = read([wire] if wire else [], reason, 1 << 40, hot.Taken)
    if whole.content_encoding or short.content_encoding or whole.outcome == "protocol_error":
        return  # how much of a broken head or compression is quoted or read depends on how much is there at once
    assert substance(whole) == substance(short)
    assert (once.answer, once.reasoning) == (told.answer, told.reasoning)


def main() -> None:
    """Seeds first, then what libFuzzer makes of them; its options come from the command line."""
    SEEDS.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(CASES):
        if case.wire and len(case.wire) < 20_000:
            (SEEDS / f"case-{number}").write_bytes(case.wire + number.to_bytes(_TAIL, "little"))
            one_input(case.wire + number.to_bytes(_TAIL, "little"))
    atheris.Setup(
        [sys.argv[0], str(SEEDS), f"-artifact_prefix={SEEDS.parent}/", "-max_len=6000", *sys.argv[1:]], one_input
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
