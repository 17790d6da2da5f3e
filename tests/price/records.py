"""Records that tests of money write by hand."""

from typing import Any

from harness.errors import Outcome
from harness.records import StreamRecord, Wall

SECOND = 1_000_000_000
#: 2026-11-20 02:00:00 UTC, a Friday
EPOCH_S = 1_795_140_000
WALL = Wall(offset_ns=EPOCH_S * SECOND, error_ns=1000, taken_at="2026-11-20T02:00:00Z")


def record(number: int = 0, **fields: Any) -> StreamRecord:
    """A finished request: 100 in (20 cached), 400 out (300 reasoning); begins `number` seconds into the run."""
    values: dict[str, Any] = {
        "run_id": "r",
        "request_id": f"q{number}",
        "worker": "w",
        "seq": number,
        "endpoint": "e",
        "model": "m",
        "scenario": "s",
        "stage": "measure",
        "started_ns": number * SECOND,
        "sent_first_ns": number * SECOND,
        "sent_last_ns": number * SECOND,
        "first_reasoning_ns": number * SECOND + SECOND // 10,
        "first_answer_ns": number * SECOND + SECOND,
        "last_delta_ns": number * SECOND + 2 * SECOND,
        "ended_ns": number * SECOND + 2 * SECOND,
        "outcome": Outcome.OK,
        "status": 200,
        "finish_reason": "stop",
        "done_seen": True,
        "input_tokens": 100,
        "cached_tokens": 20,
        "reasoning_tokens": 300,
        "answer_tokens": 100,
        "output_tokens": 400,
        "token_source": "usage",
        "cap_tokens": 1000,
        "deltas": 400,
    }
    return StreamRecord(**(values | fields))


def uncounted(number: int = 0, **fields: Any) -> StreamRecord:
    """A request whose tokens the server never told."""
    nothing = dict.fromkeys(
        ("input_tokens", "cached_tokens", "reasoning_tokens", "answer_tokens", "output_tokens", "token_source")
    )
    return record(number, **(nothing | fields))
