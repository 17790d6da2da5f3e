"""Reach: measured levels in, what all users get while each gets so many tokens a second out.

Throughput is interpolated first, and money is computed from it: between two levels cost is not a line. Nothing is
extrapolated: a speed that no level reached is not reached, whatever a curve would say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One level: tokens/s that one user gets (1 / TPOT), and output tokens/s of all users."""

    interactivity: float
    output_tokens_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`how` at_least: a level gives each user more than was asked and is the best for all."""

    interactivity: float
    output_tokens_per_s: float | None
    how: Literal["measured", "interpolated", "at_least", "not_reached"]
    usd_per_mtok_output: float | None = None


def reach(points: Sequence[Point], interactivity: float, usd_per_s: float | None = None) -> Reach:
    """Throughput at an interactivity, log-linear along the Pareto frontier; $ per million tokens where $/s is known."""
    found, how = _throughput(_pareto(points), interactivity)
    usd = None if found is None or usd_per_s is None else usd_per_s / found * 1e6
    return Reach(interactivity=interactivity, output_tokens_per_s=found, how=how, usd_per_mtok_output=usd)


def _throughput(
    frontier: Sequence[Point], wanted: float
) -> tuple[float | None, Literal["measured", "interpolated", "at_least", "not_reached"]]:
    if not frontier or wanted > frontier[-1].interactivity:
        return None, "not_reached"
    if wanted < frontier[0].interactivity:
        return frontier[0].output_tokens_per_s, "at_least"
    for point in frontier:
        if point.interactivity == wanted:
            return point.output_tokens_per_s, "measured"
    low, high = next(pair for pair in pairwise(frontier) if pair[0].interactivity < wanted < pair[1].interactivity)
    part = (wanted - low.interactivity) / (high.interactivity - low.interactivity)
    logs = math.log(low.output_tokens_per_s), math.log(high.output_tokens_per_s)
    return math.exp(logs[0] + part * (logs[1] - logs[0])), "interpolated"


def _pareto(points: Sequence[Point]) -> list[Point]:
    """Rising interactivity, falling throughput: levels that another one beats in both are left out."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (-point.interactivity, -point.output_tokens_per_s)):
        if point.output_tokens_per_s > max((one.output_tokens_per_s for one in kept), default=0.0):
            kept.append(point)
    return kept[::-1]
