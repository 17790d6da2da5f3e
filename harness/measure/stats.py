"""Statistics: values in, Distribution, quantiles and intervals out.

Quantiles are nearest-rank (the inverse of the empirical distribution, Hyndman and Fan's type 1): a printed p99 is a
value that some request really had, never a mixture of two. An upper quantile is given only where n is large enough
that the largest value lies above the true quantile with 95 % confidence: q^n <= 0.05.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.measure.results import Distribution

Floats = NDArray[np.float64]

#: smallest n for each quantile: ceil(ln 0.05 / ln q); the median needs none
NEEDED = {0.5: 1, 0.9: 29, 0.95: 59, 0.99: 299, 0.999: 2_995}

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def distribution(values: Floats, failed: int = 0, censored: int = 0) -> Distribution:
    """Spread of `values`; `failed` and `censored` say how many requests could not give one."""
    if not len(values):
        return Distribution(n=0, failed=failed, censored=censored)
    p50, p90, p95, p99, p999 = quantiles(values, tuple(NEEDED))
    return Distribution(
        n=len(values),
        failed=failed,
        censored=censored,
        mean=float(values.mean()),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        p999=p999,
        max=float(values.max()),
    )


def quantiles(values: Floats, wanted: Sequence[float]) -> list[float | None]:
    """Nearest-rank quantiles; None where n does not allow one (or there is no value at all)."""
    n = len(values)
    ranks = {q: rank_of(q, n) for q in wanted if n >= needed(q)}
    if not ranks:
        return [None] * len(wanted)
    ordered = np.partition(values, sorted(set(ranks.values())))
    return [float(ordered[ranks[q]]) if q in ranks else None for q in wanted]


def needed(q: float) -> int:
    """How many values a quantile needs before it is printed."""
    return NEEDED.get(q) or (1 if q <= 0.5 else math.ceil(math.log(0.05) / math.log(q)))


def rank_of(q: float, n: int) -> int:
    """0-based nearest rank: the smallest value with at least a share q of all values at or below it."""
    # the tiny slack keeps 0.9 x 30 = 27.000000000000004 from becoming rank 28
    return min(n - 1, max(0, math.ceil(q * n - 1e-9) - 1))


def highest_quantile(values: Floats) -> tuple[float, float] | None:
    """(q, value) of the highest of p50, p90, p95, p99 that n allows: what a limit on "the p99" can honestly test."""
    for q in (0.99, 0.95, 0.9, 0.5):
        value = quantiles(values, (q,))[0]
        if value is not None:
            return q, value
    return None


def merge(parts: Iterable[Floats]) -> Floats:
    """Pool samples of several workers or folders: distributions merge by their values, never by their quantiles."""
    parts = [np.asarray(part, dtype=np.float64) for part in parts]
    return np.concatenate(parts) if parts else np.empty(0)


def wilson(successes: int, n: int, z: float = Z_95) -> Interval | None:
    """Wilson's score interval of a share (Wilson 1927); None without trials. 124 of 200 -> [0.5511, 0.6844]."""
    if n <= 0:
        return None
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else max(0.0, (centre - half) / scale)  # the ends are exact, rounding is not
    high = 1.0 if successes == n else min(1.0, (centre + half) / scale)
    return Interval(low, high)
