"""Profile: how a rate changes over a run, as straight lines between points; its integral, and the inverse of that.

Arrivals at unit rate become arrivals that follow the profile by a change of time: the arrival at unit time u happens
where the integral of the rate reaches u (Cinlar 1975; exact for Poisson, and what keeps gamma's cv in between).
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Profile:
    """Rates, arrivals a second. `points`: (seconds since the start, rate), times ascending; two at one time: a step.

    Before the first point its rate holds, after the last point the last one's.
    """

    points: tuple[tuple[float, float], ...]
    _areas: tuple[float, ...]  # integral up to each point

    def rate_at(self, at_s: float) -> float:
        """Arrivals a second at that moment; at a step the rate after it."""
        place = bisect.bisect_right(self.points, at_s, key=lambda point: point[0])
        if place == 0 or place == len(self.points):
            return self.points[max(place - 1, 0)][1]
        (begin, low), (end, high) = self.points[place - 1], self.points[place]
        return low + (high - low) * (at_s - begin) / (end - begin)

    def area(self, at_s: float) -> float:
        """Expected arrivals from 0 to `at_s`."""
        place = bisect.bisect_right(self.points, at_s, key=lambda point: point[0]) - 1
        if place < 0:
            return self.points[0][1] * max(at_s, 0.0)
        begin, low = self.points[place]
        return (
            self._areas[place] + (low + self.rate_at(at_s)) / 2 * (at_s - begin) if at_s > begin else self._areas[place]
        )

    def moment(self, area: float) -> float:
        """The first moment at which `area` arrivals were expected; infinity where the profile never gets there."""
        place = bisect.bisect_left(self._areas, area)
        if place == len(self.points):
            begin, rate = self.points[-1]
            return begin + (area - self._areas[-1]) / rate if rate > 0 else math.inf
        if place == 0:
            rate = self.points[0][1]
            return area / rate if rate > 0 else self.points[0][0]
        (begin, low), (end, high) = self.points[place - 1], self.points[place]
        missing, slope = area - self._areas[place - 1], (high - low) / (end - begin)
        # the root of low t + slope t^2 / 2 = missing, in the form that is stable for a slope near 0
        root = math.sqrt(max(low * low + 2 * slope * missing, 0.0))
        return min(begin + 2 * missing / (low + root), end) if low + root > 0 else end

    def times(self, factor: float) -> "Profile":
        """The same form, `factor` times as high."""
        return profile([(at_s, rate * factor) for at_s, rate in self.points])


def profile(points: Sequence[tuple[float, float]]) -> Profile:
    """A profile of points whose times ascend from 0 or later; at least one."""
    areas = [points[0][0] * points[0][1]]
    for (begin, low), (end, high) in pairwise(points):
        areas.append(areas[-1] + (low + high) / 2 * (end - begin))
    return Profile(tuple(points), tuple(areas))


def steady(rate: float) -> Profile:
    """One rate for ever."""
    return profile([(0.0, rate)])


def of_day(levels: Sequence[float], seconds: float) -> Profile:
    """Equal slots of a day or week pressed into `seconds`, their mean 1; steps, as a demand curve is stated."""
    mean, slot = sum(levels) / len(levels), seconds / len(levels)
    points: list[tuple[float, float]] = []
    for number, level in enumerate(levels):
        points += [(number * slot, level / mean), ((number + 1) * slot, level / mean)]
    return profile(points)
