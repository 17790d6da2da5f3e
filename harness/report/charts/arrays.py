"""The records of a run folder in, small arrays for charts out: one pass, bounded memory, any number of records."""

import base64
import heapq
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from harness.records import ClientLag, Manifest

Floats = npt.NDArray[np.float64]

SLOWEST = 20
MOST_GAPS = 200_000
MOST_FAILURES = 200
_MISSING = float("nan")


class ChartRecord(msgspec.Struct, frozen=True):
    """The fields of a record that a chart or the table of slow requests needs."""

    request_id: str
    worker: str
    outcome: str
    stage: str
    started_ns: int
    ended_ns: int
    planned_ns: int | None = None
    prompt_id: str | None = None
    status: int | None = None
    error: str | None = None
    finish_reason: str | None = None
    sent_last_ns: int | None = None
    first_reasoning_ns: int | None = None
    first_answer_ns: int | None = None
    last_delta_ns: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    client_lag_ns: ClientLag | None = None
    delta_offsets: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """One row of the table of slow requests."""

    request_id: str
    prompt_id: str | None
    outcome: str
    e2e_s: float
    ttft_s: float | None
    ttfat_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """Arrays of equal length, one value a request, seconds; nan is missing. Times count from the run's start.

    `gaps_s`: inter-token gaps of every `gap_stride`-th request that was measured. `window_s`: what the figures stand
    for, begin and end; `cut_s`: so much of the planned window before it was left out, because it still moved.
    """

    count: int
    measured: npt.NDArray[np.bool_]
    sent_s: Floats
    first_s: Floats
    last_s: Floats
    ended_s: Floats
    ttft_s: Floats
    ttfat_s: Floats
    e2e_s: Floats
    tpot_s: Floats
    output_tokens: Floats
    lag_max_s: Floats
    gaps_s: Floats
    gap_stride: int
    slowest: tuple[Slow, ...]
    failures: tuple[tuple[str, str, str, int], ...]  # outcome, status, error, how many
    window_s: tuple[float, float] | None
    cut_s: float


_NUMBERS = (
    "measured", "sent_s", "first_s", "last_s", "ended_s", "ttft_s", "ttfat_s", "e2e_s", "tpot_s", "output_tokens",
    "lag_max_s",
)  # fmt: skip
_decoder = msgspec.json.Decoder(ChartRecord)


@dataclass(slots=True)
class _Pass:
    """What grows while the records go by."""

    origin_ns: int | None
    cut_ns: int | None  # on the wall clock: what began before it was not measured after all
    offsets: dict[str, int]
    columns: dict[str, "array[float]"] = field(default_factory=lambda: {name: array("d") for name in _NUMBERS})
    gaps: "_Gaps" = field(default_factory=lambda: _Gaps())
    slowest: list[tuple[float, int, Slow]] = field(default_factory=list)
    failures: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    count: int = 0


@dataclass(slots=True)
class _Gaps:
    """Gaps of every `stride`-th request; when there are too many, every second kept request is dropped."""

    stride: int = 1
    seen: int = 0
    total: int = 0
    kept: list[Floats] = field(default_factory=list)

    def add(self, record: ChartRecord) -> None:
        self.seen += 1
        if (self.seen - 1) % self.stride or not record.delta_offsets:
            return
        # deltas that arrived in one read share an offset: no gap lies between them
        gaps = np.diff(_offsets_s(record.delta_offsets))
        self.kept.append(gaps[gaps > 0])
        self.total += len(self.kept[-1])
        while self.total > MOST_GAPS and len(self.kept) > 1:
            self.kept, self.stride = self.kept[::2], self.stride * 2
            self.total = sum(map(len, self.kept))

    def values(self) -> Floats:
        return np.concatenate(self.kept)[:MOST_GAPS] if self.kept else np.empty(0)


def read_arrays(folder: Path, manifest: Manifest, cut_s: float = 0.0) -> Arrays:
    """One pass over the folder's records. A torn or foreign line is skipped: a chart is no place to stop.

    `cut_s`: of run.json, what was cut off the window's beginning.
    """
    begun = manifest.stages
    offsets = {name: entry.wall.offset_ns for name, entry in manifest.workers.items()}
    cut_ns = begun.measure_begin_ns + round(cut_s * 1e9) if begun and cut_s else None
    state = _Pass(origin_ns=begun.began_ns if begun else None, cut_ns=cut_ns, offsets=offsets)
    for record in _records(folder):
        _add(state, record)
    window = None
    if begun is not None and begun.measure_end_ns is not None:
        begin_ns = begun.measure_begin_ns if cut_ns is None else cut_ns
        window = ((begin_ns - begun.began_ns) / 1e9, (begun.measure_end_ns - begun.began_ns) / 1e9)
    columns = {name: np.frombuffer(values, dtype=np.float64) for name, values in state.columns.items()}
    measured = columns.pop("measured").astype(np.bool_)
    ranked = sorted(state.slowest, key=lambda row: -row[0])
    return Arrays(
        count=state.count,
        measured=measured,
        gaps_s=state.gaps.values(),
        gap_stride=state.gaps.stride,
        slowest=tuple(row for _, _, row in ranked),
        failures=tuple((*key, number) for key, number in state.failures.most_common(12)),
        window_s=window,
        cut_s=cut_s,
        **columns,
    )


def _records(folder: Path) -> Iterator[ChartRecord]:
    """Records of records.jsonl and of the spools of a run that was never finished, each request once."""
    spools = sorted((folder / "spool").glob("*.jsonl"))
    seen: set[str] = set()
    for path in (folder / "records.jsonl", *spools):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            for line in file:
                try:
                    record = _decoder.decode(line)
                except msgspec.DecodeError:
                    continue
                if spools and record.request_id in seen:
                    continue
                seen.update((record.request_id,) if spools else ())
                yield record


def _add(state: _Pass, record: ChartRecord) -> None:
    offset = state.offsets.get(record.worker, 0)
    if state.origin_ns is None:
        state.origin_ns = record.started_ns + offset
    shift = offset - state.origin_ns
    sent = record.sent_last_ns if record.sent_last_ns is not None else record.started_ns
    starts = [at for at in (record.first_reasoning_ns, record.first_answer_ns) if at is not None]
    first = min(starts, default=None)
    delivered = record.last_delta_ns is not None and first is not None
    row = {
        "measured": float(_is_measured(state, record, offset)),
        "sent_s": (sent + shift) / 1e9,
        "first_s": _MISSING if first is None else (first + shift) / 1e9,
        "last_s": (record.last_delta_ns + shift) / 1e9 if record.last_delta_ns is not None else _MISSING,
        "ended_s": (record.ended_ns + shift) / 1e9,
        "ttft_s": _span(sent, first),
        "ttfat_s": _span(sent, record.first_answer_ns),
        "e2e_s": _span(sent, record.ended_ns) if delivered else _MISSING,
        "tpot_s": _tpot(record, first),
        "output_tokens": _MISSING if record.output_tokens is None else float(record.output_tokens),
        "lag_max_s": _MISSING if record.client_lag_ns is None else record.client_lag_ns.max / 1e9,
    }
    for name, value in row.items():
        state.columns[name].append(value)
    if row["measured"]:
        state.gaps.add(record)
    _remember(state, record, row)
    state.count += 1


def _is_measured(state: _Pass, record: ChartRecord, offset: int) -> bool:
    """Requests count where they were planned, else where they began."""
    if record.stage != "measure" or record.outcome == "censored":
        return False
    counted = record.started_ns if record.planned_ns is None else record.planned_ns
    return state.cut_ns is None or counted + offset >= state.cut_ns


def _remember(state: _Pass, record: ChartRecord, row: dict[str, float]) -> None:
    """Keep the slowest requests, and count the ways in which others failed."""
    took = (record.ended_ns - record.started_ns) / 1e9
    if len(state.slowest) < SLOWEST or took > state.slowest[0][0]:
        slow = Slow(
            request_id=record.request_id, prompt_id=record.prompt_id, outcome=record.outcome, e2e_s=took,
            ttft_s=_known(row["ttft_s"]), ttfat_s=_known(row["ttfat_s"]), input_tokens=record.input_tokens,
            output_tokens=record.output_tokens, at_s=row["sent_s"],
        )  # fmt: skip
        push = heapq.heappush if len(state.slowest) < SLOWEST else heapq.heapreplace
        push(state.slowest, (took, state.count, slow))
    if record.error and record.outcome not in ("ok", "censored"):
        key = (record.outcome, str(record.status or ""), record.error[:200])
        if key in state.failures or len(state.failures) < MOST_FAILURES:
            state.failures[key] += 1


def _offsets_s(text: str) -> Floats:
    """Delta offsets (see records.encode_offsets) as seconds; an unreadable text has none."""
    dtype, _, payload = text.partition(":")
    if dtype not in ("<u4", "<u8"):
        return np.empty(0)
    try:
        return np.frombuffer(base64.b64decode(payload), dtype=dtype).astype(np.float64) / 1e6
    except ValueError:
        return np.empty(0)


def _span(begin: int, end: int | None) -> float:
    return _MISSING if end is None else (end - begin) / 1e9


def _tpot(record: ChartRecord, first: int | None) -> float:
    """(last delta - first delta) / (tokens - 1): the shape of the spread; run.json holds the exact metric."""
    if first is None or record.last_delta_ns is None or record.output_tokens is None or record.output_tokens < 2:
        return _MISSING
    return (record.last_delta_ns - first) / 1e9 / (record.output_tokens - 1)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
