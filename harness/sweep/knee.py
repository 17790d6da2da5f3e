"""Knee: how many requests met their SLOs at each of several loads in, those shares smoothed out.

More load cannot meet SLOs better: where it seems to, levels are averaged (isotonic regression). Near the load where
nine in ten meet them, the knee, that is not enough: requests that queue together miss together, so that one run there
says little, and the search has made most of its runs there. A line through the log-odds of all levels near the knee
lets each of them speak for its neighbours: on the simulator it halves the variance of the load that is found.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.measure.load_state import MISSING_SHARE
from harness.measure.stats import falling

#: SLOs hold while this share of the requests meets them
HOLDING_SHARE = 1 - MISSING_SHARE
#: levels this near to the knee, in ln(load), are fitted by one line: log-odds are straight over so short a way
SPAN = 0.15
#: requests that meet the SLOs as often as at the knee, added to each level, keep a line finite that would be upright
_ADDED = 0.5
_ODDS = math.log(HOLDING_SHARE / MISSING_SHARE)
_STEPS = 100  # of Newton's method; it needs about ten
_STEEP = -10.0  # where it begins
_LARGEST_STEP, _NEAR_ENOUGH = 2.0, 1e-9


class Met(NamedTuple):
    """`met` of `judged` requests, above 0, at one load. `size`: see Level."""

    size: float
    met: int
    judged: int


class Line(NamedTuple):
    """ln(share / (1 - share)) = at_middle + slope * ln(size / middle), near the middle."""

    middle: float
    at_middle: float
    slope: float

    def share_at(self, size: float) -> float | None:
        """None where the line says nothing."""
        return _share(self.at_middle + self.slope * math.log(size / self.middle)) if _near(size, self.middle) else None


def smoothed(levels: Sequence[Met]) -> list[float]:
    """Share that met the SLOs at each level, loads and so shares one after the other: they never rise."""
    weights = [one.judged for one in levels]
    shares = falling([one.met / one.judged for one in levels], weights)
    line = line_at_knee(levels, shares)
    if line is None:
        return shares
    fitted = [line.share_at(one.size) for one in levels]
    joined = [share if said is None else said for share, said in zip(shares, fitted, strict=True)]
    return falling(joined, weights)  # where the line begins, it may stand above the level below it


def line_at_knee(levels: Sequence[Met], shares: Sequence[float]) -> Line | None:
    """The line of most likelihood; None where fewer than two levels are near the knee, or where it would not fall."""
    holding = [one.size for one, share in zip(levels, shares, strict=True) if share >= HOLDING_SHARE]
    breaking = [one.size for one, share in zip(levels, shares, strict=True) if share < HOLDING_SHARE]
    if not holding or not breaking:
        return None
    middle = math.sqrt(holding[-1] * breaking[0])
    near = [one for one in levels if _near(one.size, middle)]
    return _fitted(near, middle) if len(near) > 1 else None


def _near(size: float, middle: float) -> bool:
    return abs(math.log(size / middle)) <= SPAN


def _share(odds: float) -> float:
    return 1 / (1 + math.exp(-max(min(odds, 30.0), -30.0)))


def _fitted(near: Sequence[Met], middle: float) -> Line | None:
    """Logistic regression by Newton's method."""
    points = [(math.log(one.size / middle), one.met + _ADDED * HOLDING_SHARE, one.judged + _ADDED) for one in near]
    level, slope = _ODDS, _STEEP
    for _ in range(_STEPS):
        risen, tilted = _step(points, level, slope)
        short = min(1.0, _LARGEST_STEP / max(abs(risen), SPAN * abs(tilted), _NEAR_ENOUGH))
        level, slope = level + short * risen, slope + short * tilted
        if abs(risen) + abs(tilted) < _NEAR_ENOUGH:
            break
    return Line(middle, level, slope) if slope < 0 else None


def _step(points: Sequence[tuple[float, float, float]], level: float, slope: float) -> tuple[float, float]:
    """Gradient over curvature of the likelihood: how far to go in level and slope."""
    up = tilt = flat = crossed = steep = 0.0
    for place, met, judged in points:
        share = _share(level + slope * place)
        weight, missing = judged * share * (1 - share), met - judged * share
        up, tilt = up + missing, tilt + missing * place
        flat, crossed, steep = flat + weight, crossed + weight * place, steep + weight * place**2
    sharpness = flat * steep - crossed**2
    if sharpness <= 0:
        return 0.0, 0.0
    return (up * steep - tilt * crossed) / sharpness, (tilt * flat - up * crossed) / sharpness
