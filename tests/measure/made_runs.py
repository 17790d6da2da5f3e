"""Run folders and records made by hand, for tests of the measure stage."""

from pathlib import Path
from typing import Any

import msgspec

from harness.errors import Outcome
from harness.records import (
    Manifest,
    Stages,
    StreamRecord,
    Wall,
    WorkerEntry,
    encode_offsets,
    encode_record,
    write_manifest,
)

MS = 1_000_000
S = 1_000_000_000
#: wall time of worker w's monotonic zero
WALL = 1_700_000_000 * S


def record(**changes: Any) -> StreamRecord:
    """A hidden-nothing, all-clean request: sent at 1 s, thinks from 1.2 s, answers from 1.4 s, ends at 1.5 s.

    Deltas at 200, 300 (reasoning) 400, 450 ms (answer); 4 + 4 tokens, 2 a delta.
    """
    fields: dict[str, Any] = dict(
        run_id="run", request_id="r0", worker="w", seq=0, endpoint="e", model="m", scenario="s", stage="measure",
        started_ns=1 * S - MS, sent_first_ns=1 * S - MS // 2, sent_last_ns=1 * S,
        first_reasoning_ns=1 * S + 200 * MS, first_answer_ns=1 * S + 400 * MS,
        last_delta_ns=1 * S + 450 * MS, ended_ns=1 * S + 500 * MS, outcome=Outcome.OK, status=200,
        finish_reason="stop", done_seen=True, input_tokens=100, reasoning_tokens=4, answer_tokens=4, output_tokens=8,
        token_source="usage", connection="reused", clock="kernel", reads=4, deltas=4,
        delta_offsets=encode_offsets([200_000, 300_000, 400_000, 450_000]), delta_phase="rraa",
    )  # fmt: skip
    return StreamRecord(**(fields | changes))


def moved(base: StreamRecord, by_ns: int, **changes: Any) -> StreamRecord:
    """The same request `by_ns` later (all its monotonic times)."""
    times = {
        name: value + by_ns
        for name in base.__struct_fields__
        if name.endswith("_ns") and isinstance(value := getattr(base, name), int)
    }
    return msgspec.structs.replace(base, **(times | changes))


def manifest(**changes: Any) -> Manifest:
    """One worker whose monotonic 0 is WALL; the measure window is 10 s from monotonic 0."""
    fields: dict[str, Any] = dict(
        run_id="run", trueyield_version="0", created_at="2026-11-01T00:00:00Z", seed=1, scenario={"name": "s"},
        endpoint={"name": "e"}, workers={"w": worker()}, finished=True,
        stages=Stages(began_ns=WALL - S, measure_begin_ns=WALL, measure_end_ns=WALL + 10 * S, ended_ns=WALL + 11 * S),
    )  # fmt: skip
    return Manifest(**(fields | changes))


def worker(offset_ns: int = WALL, **changes: Any) -> WorkerEntry:
    wall = Wall(offset_ns=offset_ns, error_ns=1000, taken_at="2026-11-01T00:00:00Z")
    return WorkerEntry(**({"wall": wall, "host": "h", "pid": 1, "clock": "kernel", "final": True} | changes))


def folder(path: Path, records: list[StreamRecord], **changes: Any) -> Path:
    """Write manifest.json and records.jsonl."""
    write_manifest(path, manifest(**changes))
    (path / "records.jsonl").write_bytes(lines(records))
    return path


def lines(records: list[StreamRecord]) -> bytes:
    return b"".join(encode_record(record) + b"\n" for record in records)
