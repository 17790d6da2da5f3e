"""Answers of real engines, as recorded, and of others in their documented shape: one record, however they are cut."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stream_corpus import make_call
from test_stream import substance

from harness.errors import DELIVERED
from harness.load.stream import Stream
from harness.load.stream.verdict import CloseReason
from harness.records import StreamRecord

CORPUS = Path(__file__).parent / "corpus"
_MOST_CUTS = 250


@dataclass(frozen=True)
class Recording:
    """One file: what its head says, and the bytes of the answer."""

    name: str
    facts: dict[str, str]
    wire: bytes

    @property
    def is_stream(self) -> bool:
        return '"stream": false' not in self.facts.get("request", "")


def _read(path: Path) -> Recording:
    head, _, wire = path.read_bytes().partition(b"\n\n")
    facts = dict(line.removeprefix("# ").split(": ", 1) for line in head.decode().splitlines())
    return Recording(f"{path.parent.name}/{path.stem}", facts, wire)


RECORDINGS = [_read(path) for path in sorted(CORPUS.glob("*/*.http"))]
BY_NAME = {each.name: each for each in RECORDINGS}

FULL = {"status": 200, "done_seen": True, "outcome": "truncated", "finish_reason": "length"}
SHORT = FULL | {"done_seen": False, "token_source": "usage"}
SAID = {"status": 200, "outcome": "ok", "finish_reason": "stop"}
EXPECTED: dict[str, dict[str, Any]] = {
    "vllm/plain": FULL | {"token_source": "estimate", "input_tokens": None},
    "vllm/usage": FULL | {"token_source": "usage", "output_tokens": 24, "response_model": "tiny"},
    "vllm/usage-each": FULL | {"token_source": "usage", "output_tokens": 24},
    "vllm/capped-at-one": FULL | {"output_tokens": 1, "deltas": 1},
    "vllm/free-to-stop": {"status": 200, "done_seen": True, "token_source": "usage"},
    "vllm/whole": {"status": 200, "outcome": "truncated", "output_tokens": 24, "deltas": 0},
    "vllm/completions": FULL | {"output_tokens": 16},
    "vllm/unknown-model": {"status": 404, "outcome": "http_error", "deltas": 0},
    "vllm/too-long": {"status": 400, "outcome": "http_error"},
    "vllm/bad-request": {"status": 400, "outcome": "http_error"},
    "vllm/engine-killed": {"status": 200, "outcome": "stream_error", "done_seen": True},
    "llamacpp/plain": FULL | {"token_source": "estimate"},
    "llamacpp/usage": FULL | {"token_source": "usage", "output_tokens": 24, "response_model": "tiny"},
    "llamacpp/usage-each": FULL | {"token_source": "usage", "output_tokens": 24},
    # the one token was half a character: counted, and nothing to show
    "llamacpp/capped-at-one": {"status": 200, "outcome": "empty", "output_tokens": 1, "deltas": 0},
    "llamacpp/free-to-stop": {"status": 200, "done_seen": True, "token_source": "usage"},
    "llamacpp/whole": {"status": 200, "outcome": "truncated", "output_tokens": 24},
    "llamacpp/completions": FULL | {"output_tokens": 16},
    "llamacpp/unknown-model": {"status": 200, "outcome": "empty"},  # any name is served
    "llamacpp/too-long": {"status": 400, "outcome": "http_error"},
    "llamacpp/bad-request": {"status": 400, "outcome": "http_error"},
    # usage rides on the finish chunk whether asked for or not, and no stream ends with [DONE]
    "transformers/plain": SHORT | {"output_tokens": 24, "deltas": 24, "input_tokens": 31},
    "transformers/usage": SHORT | {"output_tokens": 24, "response_model": "/models/tiny@main"},
    "transformers/usage-each": SHORT | {"output_tokens": 24, "first_delta_tokens": None},
    "transformers/capped-at-one": SHORT | {"output_tokens": 1, "deltas": 1},
    "transformers/free-to-stop": SHORT | {"output_tokens": 64},
    "transformers/whole": {"status": 200, "outcome": "truncated", "output_tokens": 24, "deltas": 0},
    "transformers/completions": SHORT | {"output_tokens": 16, "input_tokens": 8},
    "transformers/unknown-model": {"status": 400, "outcome": "http_error",
                                   "error": """{"detail":"Server is pinned to '/models/tiny'; requested """
                                            """'no-such-model'."}"""},
    "transformers/unknown-field": {"status": 422, "outcome": "http_error"},
    "transformers/bad-request": {"status": 500, "outcome": "http_error", "error": "Internal Server Error"},
    # a prompt beyond its memory: an error that is a mere string, behind status 200, and no finish_reason ...
    "transformers/too-long": {"status": 200, "outcome": "stream_error", "deltas": 0,
                              "error": "No requests can be scheduled and no requests can be offloaded."},
    # ... and from then on it answers nobody
    "transformers/after-too-long": {"status": 503, "outcome": "http_error"},
    "transformers/engine-killed": {"status": 200, "outcome": "cut", "token_source": "estimate"},
    "documented/deepseek": SAID | {"delta_phase": "rrraaaaa", "reasoning_tokens": 4, "cached_tokens": 8,
                                   "reasoning_field": "reasoning_content"},
    "documented/deepseek-gave-up": {"outcome": "stream_error", "status": 200},
    "documented/ollama": SAID | {"delta_phase": "rrraaaaa", "output_tokens": 9, "reasoning_field": "reasoning"},
    "documented/ollama-failed": {"outcome": "cut", "status": 200},
    "documented/openrouter": SAID | {"delta_phase": "rrraaaaa", "served_by": "Together", "usd_reported": 0.0000123},
    "documented/openrouter-error": {"outcome": "stream_error", "error": "Upstream died (502)"},
    "documented/groq": SAID | {"output_tokens": 5, "server_times": {"queue_time": 0.1, "prompt_time": 0.01,
                                                                    "completion_time": 0.02, "total_time": 0.03}},
    "documented/vllm-overload": {"outcome": "stream_error", "status": 200,
                                 "error": "Service Unavailable (ServiceUnavailableError, 503)"},
}  # fmt: skip


def play(recording: Recording, pieces: list[bytes], reason: CloseReason = "eof") -> tuple[StreamRecord, Stream]:
    stream = Stream(make_call(stream=recording.is_stream))
    stream.timeline.sent_last_ns = 0
    stream.timeline.clock = "kernel"
    for number, piece in enumerate(pieces, 1):
        if stream.feed(piece, number * 1000, number * 1000 + 10):
            break
    return stream.close(10**9, reason), stream


def test_every_file_is_expected_and_marked() -> None:
    assert set(BY_NAME) == set(EXPECTED)
    for recording in RECORDINGS:
        folder = recording.name.partition("/")[0]
        assert recording.facts["how"].startswith("documented" if folder == "documented" else "recorded")
        assert recording.facts["engine"] and (folder == "documented" or recording.facts["version"])


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_whole(recording: Recording) -> None:
    record, _ = play(recording, [recording.wire])
    fields = msgspec.structs.asdict(record)
    expected = EXPECTED[recording.name]
    assert {name: fields[name] for name in expected} == expected
    assert record.outcome in DELIVERED or record.outcome == "empty" or record.error


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_byte_by_byte_and_in_two(recording: Recording) -> None:
    wire = recording.wire
    whole, stream = play(recording, [wire])
    expected = substance(whole), stream.answer, stream.reasoning
    step = max(1, len(wire) // _MOST_CUTS)
    splits = [[wire[at : at + 1] for at in range(len(wire))]]
    splits += [[wire[:at], wire[at:]] for at in range(1, len(wire), step)]
    for pieces in splits:
        record, stream = play(recording, pieces)
        assert (substance(record), stream.answer, stream.reasoning) == expected, len(pieces[0])


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_an_answer_that_was_cut_is_never_delivered(recording: Recording) -> None:
    """Up to the last byte that matters: [DONE], or where a server sends none, the end of its body."""
    wire = recording.wire
    ends = wire.find(b"[DONE]")
    stop = ends if ends >= 0 else len(wire) - 1
    for at in range(0, stop, max(1, stop // _MOST_CUTS)):
        for reason in ("eof", "reset"):
            record, _ = play(recording, [wire[:at]], reason)
            assert record.outcome not in DELIVERED, (at, record.outcome)
