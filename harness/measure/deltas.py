"""Deltas: the arrival offsets of many records, decoded in bulk; gaps and shares of a window out."""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.measure.metrics import US_PER_S
from harness.records import StreamRecord

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

REASONING, ANSWER = ord("r"), ord("a")
#: pooled metrics and the phase that both ends of their gaps must have (None: any)
GAP_PHASES = {"itl_s": None, "itl_reasoning_s": REASONING, "itl_answer_s": ANSWER}


@dataclass(frozen=True, slots=True)
class Deltas:
    """Deltas of all records end to end. `counts[i]`: how many belong to record i (0: none were kept)."""

    counts: Ints
    offsets_us: NDArray[Any]
    phases: NDArray[np.uint8]

    def rows(self) -> Ints:
        """For each delta the record it belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def gaps_s(self, name: str, chosen: Flags) -> NDArray[np.float64]:
        """The pooled gaps of a metric of GAP_PHASES over the chosen records; same definition as metrics.gaps_s."""
        if len(self.offsets_us) < 2:
            return np.empty(0)
        later, earlier = self.offsets_us[1:], self.offsets_us[:-1]
        keep = (later > earlier) & np.repeat(chosen, self.counts)[1:]
        ends = np.cumsum(self.counts)[:-1]
        keep[ends[(ends > 0) & (ends < len(self.offsets_us))] - 1] = False  # from one record to the next is no gap
        if (phase := GAP_PHASES[name]) is not None:
            keep &= (self.phases[1:] == phase) & (self.phases[:-1] == phase)
        gaps: NDArray[np.float64] = (later[keep] - earlier[keep]) / US_PER_S
        return gaps

    def per_record(self, kept: Flags) -> Ints:
        """How many of each record's deltas are flagged in `kept` (one flag a delta)."""
        sums = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
        ends = np.cumsum(self.counts)
        counted: Ints = sums[ends] - sums[ends - self.counts]
        return counted


def decode_deltas(records: Sequence[StreamRecord]) -> Deltas:
    """Base64 to one array: one numpy call for all records instead of one a delta."""
    packed = [_offset_bytes(record.delta_offsets) for record in records]
    counts = np.fromiter((len(part) // 8 for part in packed), np.int64, len(packed))
    phases = "".join(_phase_text(record, int(n)) for record, n in zip(records, counts, strict=True))
    return Deltas(
        counts=counts,
        offsets_us=np.frombuffer(b"".join(packed), "<i8").astype(np.int64, copy=False),
        phases=np.frombuffer(phases.encode("ascii", "replace"), np.uint8),
    )


def _offset_bytes(text: str | None) -> bytes:
    """Little-endian 8-byte offsets of one record; see records.encode_offsets."""
    if text is None:
        return b""
    dtype, _, payload = text.partition(":")
    data = binascii.a2b_base64(payload)
    return data if dtype == "<u8" else np.frombuffer(data, "<u4").astype("<i8").tobytes()


def _phase_text(record: StreamRecord, count: int) -> str:
    phases = record.delta_phase or ""
    return phases if len(phases) == count else "?" * count
