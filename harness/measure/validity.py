"""Validity: manifest, records and window in, the reasons why a measurement must not be used out.

A run is invalid when the instrument failed, not when the endpoint did: failed requests are data.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from harness.errors import DELIVERED, Outcome
from harness.measure.folder import RunFolder
from harness.measure.metrics import NS_PER_S, client_lag_s
from harness.measure.stats import highest_quantile
from harness.records import Manifest, StreamRecord

#: a late reader falsifies user-clock stamps directly; half a gap of a 100 tok/s stream is 5 ms
MAX_LAG_USER_CLOCK_S = 0.005
#: kernel stamps stay true while the reader is late; beyond this our own deadlines and restarts are late too
MAX_LAG_KERNEL_CLOCK_S = 0.250
#: a call that our own generator starts this late was not the planned load
MAX_START_LATENESS_S = 0.100


def invalid_reasons(folder: RunFolder) -> tuple[str, ...]:
    """Every reason, the gravest first; empty for a valid measurement."""
    return tuple(
        [
            *_missing_report(folder.manifest),
            *_lost_workers(folder.manifest, folder.records),
            *_lost_engines(folder.manifest, folder.records),
            *folder.damage,
            *_no_answer(folder.records),
            *_late_client(folder.records),
        ]
    )


def _missing_report(manifest: Manifest) -> Iterator[str]:
    if not manifest.finished:
        yield "the final report is missing: the run did not close its books"


def _lost_workers(manifest: Manifest, records: Sequence[StreamRecord]) -> Iterator[str]:
    missing = manifest.workers_expected - len(manifest.workers)
    if missing > 0:
        yield f"{missing} of {manifest.workers_expected} workers never reported"
    found = Counter(record.worker for record in records)
    for name, entry in manifest.workers.items():
        if manifest.finished and not entry.final:
            yield f"worker {name} was lost: its last message never came"
        if entry.records is not None and found[name] < entry.records:
            yield f"worker {name} wrote {entry.records} records, {found[name]} are here"


def _lost_engines(manifest: Manifest, records: Sequence[StreamRecord]) -> Iterator[str]:
    lost = sum(record.outcome is Outcome.ENGINE_LOST for record in records)
    if lost:
        yield f"{lost} requests ended as engine_lost: our own engine died"
    for name, entry in manifest.workers.items():
        if entry.engine_lost and not lost:
            yield f"the engine of worker {name} died"


def _no_answer(records: Sequence[StreamRecord]) -> Iterator[str]:
    measured = [record for record in records if record.stage == "measure"]
    if not any(record.outcome in DELIVERED for record in measured):
        common = Counter(record.outcome.value for record in measured).most_common(1)
        seen = f"{len(measured)} requests, mostly {common[0][0]}" if common else "no request began in it"
        yield f"no request was delivered in the measure window ({seen})"


def _late_client(records: Sequence[StreamRecord]) -> Iterator[str]:
    for clock, limit_s in (("user", MAX_LAG_USER_CLOCK_S), ("kernel", MAX_LAG_KERNEL_CLOCK_S)):
        lags = [lag for record in records if record.clock == clock and (lag := client_lag_s(record)) is not None]
        if late := _beyond(lags, limit_s):
            yield f"the client read late: {late} on the {clock} clock"
    starts = [(record.started_ns - record.planned_ns) / NS_PER_S for record in records if record.planned_ns is not None]
    if late := _beyond(starts, MAX_START_LATENESS_S):
        yield f"the client started calls late: {late} after their planned time"


def _beyond(values: Sequence[float], limit_s: float) -> str | None:
    """Words for the highest quantile that n allows, where it lies above the limit."""
    top = highest_quantile(np.asarray(values, np.float64))
    if top is None or top[1] <= limit_s:
        return None
    return f"p{top[0] * 100:.0f} {top[1] * 1e3:.1f} ms > {limit_s * 1e3:.0f} ms (n={len(values)})"
