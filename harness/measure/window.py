"""Window: manifest and records in, the measure window on the wall clock and each worker's place on it out."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.measure.metrics import NS_PER_S
from harness.records import Manifest, StreamRecord

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """[begin, end) in wall-clock ns: what happens exactly at the end belongs to the next window."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.begin_ns) / NS_PER_S

    def holds(self, at_ns: Ints) -> NDArray[np.bool_]:
        """Which moments lie inside."""
        return (at_ns >= self.begin_ns) & (at_ns < self.end_ns)

    def overlap_s(self, begin_ns: Ints, end_ns: Ints) -> Floats:
        """Seconds that each interval spends inside."""
        inside = np.minimum(end_ns, self.end_ns) - np.maximum(begin_ns, self.begin_ns)
        return np.asarray(np.maximum(inside, 0) / NS_PER_S, np.float64)

    def busy_s(self, begin_ns: Ints, end_ns: Ints) -> float:
        """Seconds of the window in which at least one interval is open."""
        begins, ends = np.maximum(begin_ns, self.begin_ns), np.minimum(end_ns, self.end_ns)
        order = np.argsort(begins, kind="stable")
        order = order[ends[order] > begins[order]]
        if not len(order):
            return 0.0
        begins, reached = begins[order], np.maximum.accumulate(ends[order])
        gaps = begins[1:] - reached[:-1]
        return float(reached[-1] - begins[0] - gaps[gaps > 0].sum()) / NS_PER_S


@dataclass(frozen=True, slots=True)
class Clocks:
    """Offsets from each worker's monotonic clock to the wall clock, ns."""

    offsets: dict[str, int]
    default: int
    anchored: bool  # False: no anchor at all, times stay monotonic
    notes: tuple[str, ...] = ()

    def offset_of(self, worker: str) -> int:
        return self.offsets.get(worker, self.default)


def clocks_of(manifest: Manifest, records: Sequence[StreamRecord]) -> Clocks:
    """Anchors of the manifest. A worker without one borrows the others' median: on one host it is the same clock."""
    offsets = {worker: entry.wall.offset_ns for worker, entry in manifest.workers.items()}
    if not offsets:
        return Clocks({}, 0, False)
    strangers = sorted({record.worker for record in records} - offsets.keys())
    notes = [f"worker {name} has no clock anchor in the manifest; another worker's is used" for name in strangers]
    return Clocks(offsets, statistics.median_low(offsets.values()), True, tuple(notes))


def window_of(manifest: Manifest, records: Sequence[StreamRecord], clocks: Clocks) -> tuple[Window | None, list[str]]:
    """The manifest's measure window; without its ends, what the records of stage measure span (and a note)."""
    stages = manifest.stages if clocks.anchored else None
    if stages and stages.measure_end_ns is not None:
        return _window(stages.measure_begin_ns, stages.measure_end_ns), []
    measured = [record for record in records if record.stage == "measure"]
    if not measured:
        return None, []
    end = max(record.ended_ns + clocks.offset_of(record.worker) for record in measured)
    if stages:
        note = "the run did not write the end of its measure window; it is taken to end with the last record"
        return _window(stages.measure_begin_ns, min(end, stages.ended_ns or end)), [note]
    begin = min(record.started_ns + clocks.offset_of(record.worker) for record in measured)
    return _window(begin, end), ["the manifest gives no measure window; it is taken from the records of that stage"]


def _window(begin_ns: int, end_ns: int) -> Window | None:
    return Window(begin_ns, end_ns) if end_ns > begin_ns else None
