"""StreamRecord and Manifest: what a run leaves behind, as JSON lines in and out.

Everything else in a run folder can be rebuilt from these two. Times are monotonic nanoseconds of the worker
that took them; `Manifest.workers[id]` anchors them to the wall clock. Missing is None, never 0.
"""

import base64
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import Outcome

RECORD_SCHEMA = 1
MANIFEST_SCHEMA = 1

Stage = Literal["warmup", "measure", "drain"]
Phase = Literal["r", "a", "t"]  # one delta: reasoning, answer, tool call

#: `reasoning_field` where a server shows a summary of the thoughts in their place (OpenRouter names it so).
SUMMARY_FIELD = "reasoning_details.summary"


class ClientLag(msgspec.Struct, frozen=True):
    """Our own lateness over the reads of one stream, ns: user clock right after the read minus kernel arrival."""

    mean: float
    p99: float
    max: int


class StreamRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request, from plan to end. One line of records.jsonl."""

    schema: int = RECORD_SCHEMA
    # who
    run_id: str
    request_id: str
    worker: str
    seq: int
    endpoint: str
    model: str
    response_model: str | None = None
    system_fingerprint: str | None = None
    served_by: str | None = None
    scenario: str
    stage: Stage
    prompt_id: str | None = None
    family: str | None = None
    conversation: int | None = None  # number within the run; its turns count from 1
    turn: int | None = None
    # when, monotonic ns
    planned_ns: int | None = None
    started_ns: int
    connect_begin_ns: int | None = None
    connect_end_ns: int | None = None
    sent_first_ns: int | None = None
    sent_last_ns: int | None = None
    headers_ns: int | None = None
    first_reasoning_ns: int | None = None
    first_answer_ns: int | None = None  # answer or tool-call delta
    last_delta_ns: int | None = None
    ended_ns: int
    # how it ended
    outcome: Outcome
    status: int | None = None
    error: str | None = None
    finish_reason: str | None = None
    done_seen: bool = False
    retry_after_s: float | None = None
    rate_limits: dict[str, str] | None = None  # retry-after and (x-)ratelimit-* headers, as they came
    # what was counted
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None  # inside input_tokens, like the cached ones
    reasoning_tokens: int | None = None
    answer_tokens: int | None = None
    output_tokens: int | None = None
    token_source: Literal["usage", "continuous_usage", "estimate"] | None = None
    split_source: Literal["usage", "estimate"] | None = None  # of reasoning and answer within output_tokens
    cap_tokens: int | None = None
    first_delta_tokens: int | None = None  # tokens in the first delta, where continuous usage tells
    first_answer_delta_tokens: int | None = None
    usd_reported: float | None = None
    server_times: dict[str, float] | None = None
    reasoning_field: str | None = None  # where reasoning came: a delta's field, or the tag inside content
    content_encoding: str | None = None  # a compression that nobody asked for: arrivals are those of its blocks
    # how well we looked
    connection: Literal["fresh", "reused"] | None = None
    clock: Literal["kernel", "user"] | None = None
    client_lag_ns: ClientLag | None = None
    reads: int = 0
    deltas: int = 0
    shared_reads: int = 0  # deltas without an arrival of their own: intervals, not points
    delta_offsets: str | None = None  # see encode_offsets; microseconds after sent_last_ns
    delta_phase: str | None = None  # one Phase letter a delta


class Wall(msgspec.Struct, frozen=True, kw_only=True):
    """Where one worker's monotonic clock stood on the wall clock: wall_ns = mono_ns + offset_ns, +- error_ns."""

    offset_ns: int
    error_ns: int
    taken_at: str  # ISO 8601 UTC


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """Garbage collections of an engine process: each one stopped it."""

    count: int
    total_ns: int
    max_ns: int


class QueueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's part of a queue that is kept in front of the endpoint; `looks` and `short` since it first stood."""

    ahead: int
    open_calls: int  # at the end; never lowered
    stood_s: float | None
    looks: int
    short: int


#: see `worrying_steal`
MOST_STOLEN_SHARE = 0.02


class WorkerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest knows of one worker process."""

    wall: Wall
    wall_end: Wall | None = None  # taken again at the end: the difference is drift or a clock that was set
    host: str
    pid: int
    clock: Literal["kernel", "user"] | None = None
    records: int | None = None  # lines that worker wrote to its own spool, told in its last message
    final: bool = False  # its last message arrived
    engine_lost: bool = False
    not_sent: int = 0
    broken_off: int = 0  # conversations of an open loop or a queue that ended before their last turn
    gc_pauses: Pauses | None = None  # of its engine, as last told
    hot_path: Literal["compiled", "plain"] | None = None  # how its engine read
    tap: bool | None = None  # its engine heard of every segment; false: of the newest in each read
    stolen_share: float | None = None  # of the CPU time of its machine since the start: its host ran something else
    queue: QueueEntry | None = None


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """Boundaries of the run's windows, wall-clock ns."""

    began_ns: int
    measure_begin_ns: int
    measure_end_ns: int | None = None
    ended_ns: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a reader needs to understand, price again and repeat a run. Never holds a key."""

    schema: int = MANIFEST_SCHEMA
    run_id: str
    trueyield_version: str
    created_at: str
    seed: int
    scenario: dict[str, Any]
    endpoint: dict[str, Any]  # providers.Endpoint with price card, deployment, model and accelerator rows
    hashes: dict[str, str] = {}  # sha256 of the canonical JSON of each embedded row
    options: dict[str, Any] = {}
    environment: dict[str, Any] = {}  # versions, kernel, CPU, clock source
    preflight: dict[str, Any] | None = None
    stages: Stages | None = None
    workers: dict[str, WorkerEntry] = {}
    workers_expected: int = 1
    finished: bool = False
    notes: list[str] = []  # what the run itself noticed: lost workers, users off plan, ...


def queue_stood_s(workers: Iterable[WorkerEntry]) -> float | None:
    """When the queue stood on every worker that kept a part of it, s since the start of the run.

    None where nobody kept one, where it never stood, or where it was short in more than half of the looks since.
    """
    queues = [entry.queue for entry in workers if entry.queue is not None and entry.queue.ahead]
    stood = [queue.stood_s for queue in queues if queue.stood_s is not None]
    short, looks = sum(queue.short for queue in queues), sum(queue.looks for queue in queues)
    return None if not stood or len(stood) < len(queues) or short > looks / 2 else max(stood)


def worrying_steal(workers: Iterable[WorkerEntry]) -> float | None:
    """The largest share of a load-making machine's CPU time that its host took; None up to a fiftieth, or unknown.

    Below that less than one time in a hundred or so can be late by it.
    """
    share = max((entry.stolen_share or 0.0 for entry in workers), default=0.0)
    return share if share > MOST_STOLEN_SHARE else None


def encode_offsets(offsets_us: Sequence[int]) -> str:
    """Fixed-width text of delta offsets: numpy dtype, colon, base64. 4 bytes a delta, 8 beyond 71 minutes."""
    try:
        packed, dtype = array("I", offsets_us), "<u4"
    except OverflowError:
        packed, dtype = array("Q", offsets_us), "<u8"
    if sys.byteorder == "big":
        packed.byteswap()
    return f"{dtype}:{base64.b64encode(packed.tobytes()).decode()}"


def decode_offsets(text: str) -> Sequence[int]:
    """The inverse of `encode_offsets`, without numpy; microseconds after sent_last_ns."""
    dtype, _, payload = text.partition(":")
    offsets = array({"<u4": "I", "<u8": "Q"}[dtype])
    offsets.frombytes(base64.b64decode(payload))
    if sys.byteorder == "big":
        offsets.byteswap()
    return offsets


_encoder = msgspec.json.Encoder()
_record_decoder = msgspec.json.Decoder(StreamRecord)
_manifest_decoder = msgspec.json.Decoder(Manifest)


def encode_record(record: StreamRecord) -> bytes:
    """One line of records.jsonl, without its newline."""
    return _encoder.encode(record)


def decode_record(line: bytes | str) -> StreamRecord:
    """Parse one line; raises msgspec.DecodeError / ValidationError on anything else."""
    return _record_decoder.decode(line)


def read_records(lines: Iterable[bytes]) -> Iterator[StreamRecord]:
    """Records of an open file. A torn last line (a killed writer) is skipped; a torn line elsewhere raises."""
    pending: bytes | None = None
    for line in lines:
        if pending is not None:
            yield decode_record(pending)
        pending = line if line.strip() else None
    if pending is not None and pending.endswith(b"\n"):
        yield decode_record(pending)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json whole or not at all (a reader never sees half of it)."""
    text = msgspec.json.format(_encoder.encode(manifest), indent=2)
    draft = folder / "manifest.json.part"
    draft.write_bytes(text + b"\n")
    draft.replace(folder / "manifest.json")


def read_manifest(folder: Path) -> Manifest:
    """Read manifest.json of a run folder."""
    return _manifest_decoder.decode((folder / "manifest.json").read_bytes())
