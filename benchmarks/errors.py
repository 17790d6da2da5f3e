"""Records against truth: TTFT and ITL errors, delta by delta."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from harness.records import StreamRecord, decode_offsets, decode_record


class Truth(msgspec.Struct):
    request_id: str
    arrived_ns: int
    delta_ns: list[int]
    output_tokens: int
    aborted: bool


def read_truth(path: Path) -> dict[str, Truth]:
    """Truth lines by request id."""
    decoder = msgspec.json.Decoder(Truth)
    return {truth.request_id: truth for truth in map(decoder.decode, path.read_bytes().splitlines())}


@dataclass(frozen=True, slots=True)
class Errors:
    """Ours minus the truth, ms; requests that completed and whose every delta was seen."""

    ttft: np.ndarray  # of all requests
    ttft_points: np.ndarray  # of requests whose first delta has an arrival that the record gives as a point
    itl: np.ndarray  # of all gaps
    itl_points: np.ndarray  # of gaps between two such deltas
    interval_share: float  # of deltas that the record gives as an interval: they shared a read with a later one


def stamp_errors(records: Iterable[StreamRecord], truths: dict[str, Truth]) -> Errors:
    """Delta by delta. The kernel keeps the newest stamp of what one read takes: equal offsets are one read."""
    ttft: list[float] = []
    first_is_point: list[bool] = []
    itl: list[np.ndarray] = [np.empty(0)]
    between: list[np.ndarray] = [np.empty(0, bool)]
    shared = deltas = 0
    for record in records:
        truth = truths.get(record.request_id)
        if truth is None or truth.aborted or record.delta_offsets is None or record.sent_last_ns is None:
            continue
        seen = np.asarray(decode_offsets(record.delta_offsets), dtype=np.float64) / 1e3
        true = (np.asarray(truth.delta_ns, dtype=np.float64) - truth.arrived_ns) / 1e6
        if len(seen) != len(true):
            raise SystemExit(f"{record.request_id}: {len(seen)} deltas recorded, {len(true)} sent")
        ttft.append(float(seen[0] - true[0]))
        itl.append(np.diff(seen) - np.diff(true))
        point = np.append(seen[1:] != seen[:-1], True)
        first_is_point.append(bool(point[0]))
        between.append(point[1:] & point[:-1])
        shared, deltas = shared + int((~point).sum()), deltas + len(point)
    firsts, gaps = np.asarray(ttft), np.concatenate(itl)
    return Errors(
        ttft=firsts,
        ttft_points=firsts[np.asarray(first_is_point, bool)],
        itl=gaps,
        itl_points=gaps[np.concatenate(between)],
        interval_share=shared / max(deltas, 1),
    )


def split_by_connection(folder: Path) -> tuple[list[StreamRecord], list[StreamRecord]]:
    """(warmed, cold) records of a run folder."""
    records = [decode_record(line) for line in (folder / "records.jsonl").read_bytes().splitlines()]
    return [r for r in records if r.connection == "reused"], [r for r in records if r.connection == "fresh"]


def spread(errors: np.ndarray) -> str:
    """mean / p99 of absolute errors, ms."""
    if not len(errors):
        return "-"
    size = np.abs(errors)
    return f"{size.mean():.4f} / {np.quantile(size, 0.99):.4f}"
