"""Lengths: a short text such as "512" or "lognormal(1000,0.4)" -> token counts, each fixed by (seed, ordinal)."""

import math
import random
import re
from dataclasses import dataclass
from statistics import NormalDist

#: longer than any context window; a tail beyond it is cut
MOST_TOKENS = 10_000_000
FORMS = (
    "512, uniform(100,200), normal(mean,deviation), lognormal(mean,sigma) or empirical(100,250,4000), each value as "
    "often as it is written"
)
_SHAPE = re.compile(r"\s{0,9}(?:(uniform|normal|lognormal|empirical|fixed)\s?\()?([\d.,\s]{1,4000})(\))?\s{0,9}")
_MOST_DEVIATIONS = 3.0  # of a normal or a sigma: beyond, one draw would outweigh a run


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of token counts. `kind`: fixed, uniform, normal, lognormal or empirical; `values`: its numbers.

    normal: mean and standard deviation; lognormal: mean of the lengths (not of their logarithm) and sigma of the
    logarithm; uniform: both ends included.
    """

    kind: str
    values: tuple[float, ...]

    def at(self, share: float) -> int:
        """The quantile `share` (0 < share < 1), at least one token."""
        first, last = self.values[0], self.values[-1]
        if self.kind == "uniform":
            found = first - 0.5 + share * (last - first + 1)
        elif self.kind == "normal":
            found = first + last * NormalDist().inv_cdf(share)
        elif self.kind == "lognormal":
            found = math.exp(math.log(first) - last**2 / 2 + last * NormalDist().inv_cdf(share))
        else:
            found = sorted(self.values)[int(share * len(self.values))]
        return min(MOST_TOKENS, max(1, round(found)))

    def draw(self, seed: int, ordinal: int, name: str) -> int:
        """The length of one request; `name` separates the draws of input and output."""
        if self.kind == "fixed":
            return max(1, round(self.values[0]))
        share = random.Random(f"{name}:{seed}:{ordinal}").random()
        return self.at(min(max(share, 1e-12), 1 - 1e-12))

    @property
    def mean(self) -> float:
        """Mean length before rounding and before the least of one token."""
        if self.kind in ("uniform", "empirical"):
            return sum(self.values) / len(self.values)
        return self.values[0]


def read_lengths(text: str) -> Lengths:
    """Raises ValueError with the forms that can be read."""
    found = _SHAPE.fullmatch(text)
    if found is None or bool(found[1]) != bool(found[3]):
        raise ValueError(FORMS)
    try:
        values = tuple(float(part) for part in found[2].split(","))
    except ValueError:
        raise ValueError(FORMS) from None
    kind = found[1] or "fixed"
    if not _has_meaning(kind, values):
        raise ValueError(FORMS)
    return Lengths(kind, values)


def _has_meaning(kind: str, values: tuple[float, ...]) -> bool:
    if not all(0 <= value <= MOST_TOKENS for value in values) or values[0] < 1:
        return False
    if kind == "empirical":
        return all(value >= 1 for value in values)
    if kind == "fixed":
        return len(values) == 1
    if len(values) != 2:
        return False
    if kind == "uniform":
        return values[0] <= values[1]
    if kind == "normal":
        return values[1] * _MOST_DEVIATIONS <= values[0]  # hardly any draw is cut at one token: the mean stands
    return values[1] <= _MOST_DEVIATIONS
