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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Moments of pairs (cost, success 0 or 1), one a request; variances with n - 1, except that of a share."""

    n: int
    mean_cost: float
    sd_cost: float
    share: float
    covariance: float

    @property
    def ratio(self) -> float | None:
        """Cost of one success; None where there was none."""
        return self.mean_cost / self.share if self.share > 0 else None


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


def falling(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The weighted least-squares fit that never rises (isotonic regression; Barlow and others 1972)."""
    from scipy.optimize import isotonic_regression  # slow to load, and few need it

    if not values:
        return []
    return [float(value) for value in isotonic_regression(values, weights=weights, increasing=False).x]


def pairs_of(costs: Floats, successes: NDArray[np.bool_]) -> Pairs | None:
    """Moments of one cost and one success a request; None below two requests."""
    n = len(costs)
    if n < 2:
        return None
    covariance = np.cov(costs, successes.astype(np.float64), ddof=1)
    return Pairs(
        n=n,
        mean_cost=float(costs.mean()),
        sd_cost=float(costs.std(ddof=1)),
        share=float(successes.mean()),
        covariance=float(covariance[0, 1]),
    )


def fieller(pairs: Pairs, z: float = Z_95) -> Interval | None:
    """Fieller's interval of mean cost / share, the cost per success (1954). None where the share is not told from 0.

    Roots of (p^2 - z^2 v_p) R^2 - 2 (c p - z^2 cov) R + (c^2 - z^2 v_c) = 0 with variances of the means. Requests are
    taken as independent, which holds for what they cost and whether they were right, and never for a rate.
    c = 0.012, s = 0.009, p = 0.62, cov = -0.0004, n = 200 -> [0.016539, 0.022672].
    """
    cost, share, n = pairs.mean_cost, pairs.share, pairs.n
    leading = share**2 - z * z * share * (1 - share) / n
    if leading <= 0:
        return None
    middle = cost * share - z * z * pairs.covariance / n
    last = cost**2 - z * z * pairs.sd_cost**2 / n
    root = math.sqrt(max(0.0, middle**2 - leading * last))
    return Interval(max(0.0, (middle - root) / leading), (middle + root) / leading)


def delta(pairs: Pairs, z: float = Z_95) -> Interval | None:
    """The symmetric interval of the same ratio by the delta method; Fieller's is preferred. None without a success."""
    cost, share, n = pairs.mean_cost, pairs.share, pairs.n
    if share <= 0:
        return None
    variance = pairs.sd_cost**2 / share**2 + cost**2 * (1 - share) / share**3 - 2 * cost * pairs.covariance / share**3
    half = z * math.sqrt(max(0.0, variance) / n)
    return Interval(cost / share - half, cost / share + half)


def least_cost_per_success(total_cost: float, n: int) -> float | None:
    """With no success in n, the least that one can cost at 95 % confidence: n c / 3 (rule of three: p <= 3 / n)."""
    return total_cost / 3 if n > 0 else None
