"""Lengths and pauses: a short text such as "512" or "lognormal(1000,0.4)" -> counts (of tokens, of turns) or seconds.

Every draw is fixed by (seed, ordinal, name): the same on every machine, whoever draws it, in whatever order.
"""

import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

#: longer than any context window; a tail beyond it is cut
MOST_TOKENS = 10_000_000
#: a user who is silent for longer than an hour has left
MOST_PAUSE_S = 3_600.0
FORMS = (
    "512, uniform(100,200), normal(mean,deviation), lognormal(mean,sigma) or empirical(100,250,4000), each value as "
    "often as it is written"
)
PAUSE_FORMS = (
    "seconds, at most an hour: 8, 0.5, uniform(2,10), normal(mean,deviation), lognormal(mean,sigma) or "
    "empirical(1,1,30)"
)
_SHAPE = re.compile(r"\s{0,9}(?:(uniform|normal|lognormal|empirical|fixed)\s?\()?([\d.,\s]{1,4000})(\))?\s{0,9}")
_MOST_DEVIATIONS = 3.0  # of a normal or a sigma: beyond, one draw would outweigh a run


@dataclass(frozen=True, slots=True)
class _Spread:
    """A distribution. `kind`: fixed, uniform, normal, lognormal or empirical; `values`: its numbers.

    normal: mean and standard deviation; lognormal: mean of the values (not of their logarithm) and sigma of the
    logarithm; uniform: both ends included.
    """

    kind: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean before rounding and before any least or most."""
        if self.kind in ("uniform", "empirical"):
            return sum(self.values) / len(self.values)
        return self.values[0]

    def _quantile(self, share: float) -> float:
        first, last = self.values[0], self.values[-1]
        if self.kind == "uniform":
            return first + share * (last - first)
        if self.kind == "normal":
            return first + last * NormalDist().inv_cdf(share)
        if self.kind == "lognormal":
            return math.exp(math.log(first) - last**2 / 2 + last * NormalDist().inv_cdf(share))
        return sorted(self.values)[int(share * len(self.values))]

    def _drawn(self, seed: int, ordinal: int, name: str) -> float:
        """A share that is never 0 or 1."""
        return min(max(random.Random(f"{name}:{seed}:{ordinal}").random(), 1e-12), 1 - 1e-12)


@dataclass(frozen=True, slots=True)
class Lengths(_Spread):
    """Counts: whole, at least one."""

    def at(self, share: float) -> int:
        """The quantile `share` (0 < share < 1)."""
        found = self._quantile(share)
        if self.kind == "uniform":  # both ends are as likely as what lies between them
            found += share - 0.5
        return min(MOST_TOKENS, max(1, round(found)))

    def draw(self, seed: int, ordinal: int, name: str) -> int:
        """The length of one request; `name` separates the draws of input and output."""
        return max(1, round(self.values[0])) if self.kind == "fixed" else self.at(self._drawn(seed, ordinal, name))


@dataclass(frozen=True, slots=True)
class Pauses(_Spread):
    """Seconds: not rounded, at least none."""

    def at_s(self, share: float) -> float:
        """The quantile `share` (0 < share < 1)."""
        return min(MOST_PAUSE_S, max(0.0, self._quantile(share)))

    def draw_s(self, seed: int, ordinal: int, name: str) -> float:
        """The pause behind one request."""
        return self.values[0] if self.kind == "fixed" else self.at_s(self._drawn(seed, ordinal, name))


def read_lengths(text: str) -> Lengths:
    """Raises ValueError with the forms that can be read."""
    return Lengths(*_read(text, FORMS, _are_lengths))


def read_pauses(text: str) -> Pauses:
    """Raises ValueError with the forms that can be read."""
    return Pauses(*_read(text, PAUSE_FORMS, _are_pauses))


def _read(
    text: str, forms: str, have_meaning: Callable[[str, tuple[float, ...]], bool]
) -> tuple[str, tuple[float, ...]]:
    found = _SHAPE.fullmatch(text)
    if found is None or bool(found[1]) != bool(found[3]):
        raise ValueError(forms)
    try:
        values = tuple(float(part) for part in found[2].split(","))
    except ValueError:
        raise ValueError(forms) from None
    kind = found[1] or "fixed"
    if not have_meaning(kind, values) or not _fit(kind, values):
        raise ValueError(forms)
    return kind, values


def _are_lengths(kind: str, values: tuple[float, ...]) -> bool:
    least = values if kind == "empirical" else values[:1]
    return all(value >= 1 for value in least) and all(value <= MOST_TOKENS for value in values)


def _are_pauses(kind: str, values: tuple[float, ...]) -> bool:
    return all(value <= MOST_PAUSE_S for value in values) and (kind != "lognormal" or values[0] > 0)


def _fit(kind: str, values: tuple[float, ...]) -> bool:
    """As many numbers as the kind has, in order and not too far apart."""
    if kind in ("empirical", "fixed"):
        return kind == "empirical" or len(values) == 1
    if len(values) != 2:
        return False
    if kind == "uniform":
        return values[0] <= values[1]
    if kind == "normal":
        return values[1] * _MOST_DEVIATIONS <= values[0]  # hardly any draw is cut at the least: the mean stands
    return values[1] <= _MOST_DEVIATIONS
