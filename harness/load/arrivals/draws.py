"""Arrivals at unit rate (mean gap 1), from a seed: evenly spaced, gamma gaps, and the gaps of one Poisson source."""

import random
from collections.abc import Iterator

#: Gaps are drawn in blocks with a generator of their own, so that any block can be made again by itself.
_BLOCK = 1024


def even() -> Iterator[float]:
    """0, 1, 2, ..."""
    number = 0
    while True:
        yield float(number)
        number += 1


def gamma(seed: int, cv: float) -> Iterator[float]:
    """Sums of gamma gaps with mean 1 and coefficient of variation `cv`: 1 is Poisson, above 1 it comes in bursts."""
    shape = 1 / cv**2
    total, block = 0.0, 0
    while True:
        draw = random.Random(f"arrivals:gamma:{seed}:{block}").gammavariate
        for _ in range(_BLOCK):
            total += draw(shape, 1 / shape)
            yield total
        block += 1


def exponential_gaps(seed: int, source: str) -> Iterator[float]:
    """Gaps of one Poisson source, mean 1. `source` names it: no two of a run may share a name."""
    block = 0
    while True:
        draw = random.Random(f"arrivals:poisson:{seed}:{source}:{block}").expovariate
        for _ in range(_BLOCK):
            yield draw(1.0)
        block += 1
