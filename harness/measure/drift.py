"""Drift: a series of block values in, the change across it out, with its standard error; noise alone has none.

Shapes are fitted by least squares: a straight line, a step at any block, a bend (a rise that ends, or one that begins
late), an exponential approach or escape. The best of them describes the change: warm-ups are steps and approaches,
queues are lines. Its t-score is the change over its standard error, which neighbours that agree widen by
sqrt((1 + r) / (1 - r)); r is the lag-1 autocorrelation of what the shape leaves, corrected for the bias of a fitted
series, (n r + 5) / (n - 7).

Choosing the best of some 50 shapes makes large scores common, so the limit is no normal quantile but was simulated:
a stationary series of 10 to 40 blocks scores above 4.5 in at most 1 % of cases when its blocks are independent, 2 % at
an autocorrelation of 0.3 and 3.5 % at 0.5 (`tests/measure/test_steady.py` holds it).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.measure.window import Floats

#: no trend can be told from noise with fewer blocks
MIN_BLOCKS = 10
#: t-score of a change that noise alone almost never makes
REAL = 4.5
#: the same for a tail that is to stand for the window: what was moving a moment ago is believed to move still
DOUBTFUL = 3.0
#: the largest autocorrelation that is corrected for
_MOST_ALIKE = 0.9
#: time constants of the exponentials, in windows
_PACES = (0.1, 0.2, 0.4)
#: a change of that many standard errors is found four times in five: REAL + the 80 % quantile of the normal
_FOUND = REAL + 0.84


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The change across a series (last - first of the fitted shape), its t-score, and the series' median.

    `visible`: the change of a straight line that would be found four times in five in this much noise.
    """

    change: float
    score: float
    middle: float
    visible: float

    @property
    def share(self) -> float:
        """The change over the median; infinite where the median is nothing."""
        return abs(self.change) / self.middle if self.middle > 0 else math.inf if self.change else 0.0


def drift_of(blocks: Floats) -> Drift | None:
    """None with too few values. Blocks without a value are NaN."""
    places = np.flatnonzero(~np.isnan(blocks)).astype(np.float64)
    values = blocks[~np.isnan(blocks)]
    n = len(values)
    if n < MIN_BLOCKS:
        return None
    middle = float(np.median(values))
    shapes = np.stack([shape - shape.mean() for shape in _shapes(places)])
    lengths = np.einsum("ij,ij->i", shapes, shapes)
    changes = shapes @ (values - values.mean()) / lengths
    best = int(np.argmax(changes**2 * lengths))  # what it explains of the squares
    left = values - values.mean() - changes[best] * shapes[best]
    noise = math.sqrt(max(float(left @ left), 0.0) / (n - 2)) * widening(left)
    floor = 1e-9 * (abs(middle) + float(np.abs(values).max()))  # rounding is no noise, and no change either
    error = noise / math.sqrt(lengths[best])
    change = float(changes[best])
    score = 0.0 if abs(change) <= floor else change / max(error, floor)
    return Drift(change=change, score=score, middle=middle, visible=_FOUND * noise / math.sqrt(lengths[0]))


def _shapes(places: Floats) -> Iterator[Floats]:
    """From 0 to 1: the line first, then steps and bends at every place that leaves enough on both sides."""
    n, first, last = len(places), places[0], places[-1]
    way = (places - first) / (last - first)
    yield way
    for pace in _PACES:
        yield np.expm1(-way / pace) / math.expm1(-1 / pace)
        yield 1 - np.expm1((way - 1) / pace) / math.expm1(-1 / pace)
    for at in range(2, n - 1):
        yield (np.arange(n) >= at).astype(np.float64)
    for at in range(n // 5, n - n // 5):
        yield np.minimum((places - first) / (places[at] - first), 1.0)
        yield np.maximum((places - places[at]) / (last - places[at]), 0.0)


def widening(left: Floats, bias: int = 5) -> float:
    """What neighbours that agree add to a standard error. `bias`: by so much / n a fit makes them agree less: 2 for a
    line alone (van Giersbergen 2005), 5 for the best of many shapes."""
    n, squares = len(left), float(left @ left)
    if squares <= 0:
        return 1.0
    r = (n * float(left[1:] @ left[:-1]) / squares + bias) / (n - bias - 2)
    r = min(max(r, 0.0), _MOST_ALIKE)
    return math.sqrt((1 + r) / (1 - r))
