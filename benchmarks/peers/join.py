"""A tool's figures beside the truth: who is who, how wrong each figure is, how fast the server could be read."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.errors import Truth
from benchmarks.peers.exports import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Absolute errors in ms of `count` figures."""

    mean: float
    p99: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Errors of one run. `joined` says how requests found their truth, `gaps` what the ITL errors are of."""

    joined: str
    gaps: str
    ttft: Error | None
    itl: Error | None
    cold_ttft: Error | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What the server saw: deltas sent, streams open at once, deltas/s reached against deltas/s of its own pace."""

    deltas: int
    requests: int
    streams_at_once: int
    reached_per_s: float | None
    offered_per_s: float


def read_truths(path: Path) -> list[Truth]:
    """Finished streams in the order in which they ended."""
    decoder = msgspec.json.Decoder(Truth)
    truths = [decoder.decode(line) for line in path.read_bytes().splitlines()]
    return [truth for truth in truths if not truth.aborted and truth.delta_ns]


def join(seen: Sequence[Seen], truths: Sequence[Truth]) -> tuple[str, list[tuple[Seen, Truth]]]:
    """(how, pairs). By id where the tool sent one; else by order of start or end, which needs as many of both."""
    by_id = {truth.request_id: truth for truth in truths if truth.request_id}
    if seen and all(one.request_id in by_id for one in seen):
        return "id", [(one, by_id[one.request_id]) for one in seen]
    if len(seen) != len(truths):
        return f"not joined: {len(seen)} reported, {len(truths)} sent", []
    if all(one.started is not None for one in seen):
        starts = sorted(seen, key=operator.attrgetter("started"))
        return "order of start", list(zip(starts, sorted(truths, key=lambda t: t.arrived_ns), strict=True))
    return "order of end", list(zip(seen, truths, strict=True))


def errors(seen: Sequence[Seen], truths: Sequence[Truth], streams: int) -> Errors:
    """Errors of the requests after each stream's first; those first ones (cold connections) apart."""
    joined, pairs = join(seen, truths)
    cold = {id(truth) for truth in sorted(truths, key=lambda truth: truth.arrived_ns)[:streams]}
    warm_pairs = [pair for pair in pairs if id(pair[1]) not in cold]
    gap_errors = [error for one, truth in warm_pairs for error in _gap_errors(one, truth)]
    whole = any(one.gaps_ms is not None for one, _ in warm_pairs)
    return Errors(
        joined=joined,
        gaps="each delta" if whole else "mean of a request",
        ttft=_error([_ttft_error(*pair) for pair in warm_pairs]),
        itl=_error(gap_errors),
        cold_ttft=_error([_ttft_error(*pair) for pair in pairs if id(pair[1]) in cold]),
    )


def _ttft_error(seen: Seen, truth: Truth) -> float:
    return seen.ttft_ms - (truth.delta_ns[0] - truth.arrived_ns) / 1e6


def _gap_errors(seen: Seen, truth: Truth) -> list[float]:
    true = np.diff(truth.delta_ns) / 1e6
    if seen.gaps_ms is not None:
        return list(np.asarray(seen.gaps_ms) - true) if len(seen.gaps_ms) == len(true) else []
    return [] if seen.mean_gap_ms is None or not len(true) else [seen.mean_gap_ms - float(true.mean())]


def _error(values: Sequence[float]) -> Error | None:
    if not len(values):
        return None
    size = np.abs(np.asarray(values))
    return Error(mean=float(size.mean()), p99=float(np.quantile(size, 0.99)), count=len(size))


def rate(truths: Sequence[Truth], streams: int) -> Rate:
    """Reached: deltas of one round over the mean time between a stream's starts in the first and in the last round.

    Offered: the same with the time that the server itself took from a request to its last delta. A client that keeps
    up starts its next request at once, so both agree; one that lags behind comes back later.
    """
    arrivals = np.sort([truth.arrived_ns for truth in truths]) / 1e9
    own_s = float(np.mean([truth.delta_ns[-1] - truth.arrived_ns for truth in truths])) / 1e9
    deltas = sum(len(truth.delta_ns) for truth in truths)
    per_round, rounds = streams * deltas / len(truths), len(truths) / streams
    cycle_s = (arrivals[-streams:].mean() - arrivals[:streams].mean()) / (rounds - 1) if rounds > 1 else 0
    return Rate(
        deltas=deltas,
        requests=len(truths),
        streams_at_once=_at_once(truths),
        reached_per_s=per_round / cycle_s if cycle_s > 0 else None,
        offered_per_s=per_round / own_s,
    )


def _at_once(truths: Sequence[Truth]) -> int:
    """Most streams open at one moment."""
    steps = sorted([(t.arrived_ns, 1) for t in truths] + [(t.delta_ns[-1], -1) for t in truths])
    return int(np.max(np.cumsum([step for _, step in steps])))
