"""Records against truth: TTFT and ITL errors, delta by delta."""

from collections.abc import Iterable
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


def stamp_errors(records: Iterable[StreamRecord], truths: dict[str, Truth]) -> tuple[np.ndarray, np.ndarray]:
    """(TTFT errors, ITL errors) in ms, over completed requests whose every delta was seen."""
    ttft: list[float] = []
    itl: list[np.ndarray] = []
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
    return np.asarray(ttft), np.concatenate(itl) if itl else np.empty(0)


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
