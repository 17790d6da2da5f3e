"""Steady: blocks of a measure window in, whether throughput and TTFT stood still; a ramp has no average.

The window is cut into the 20 blocks of `blocks`. Each series (output tokens/s, median TTFT by start) is asked for a
trend with the Mann-Kendall test (Mann 1945, Kendall 1975; no distribution is assumed) at 1 %, two-sided. With many
requests even a harmless trend shows, so it must also matter: Sen's slope (Sen 1968) over the whole window, over the
median of the blocks, above 10 % for throughput and 25 % for TTFT, which is noisier and may start colder.
"""

import math
from collections.abc import Iterator

import numpy as np

from harness.measure.blocks import BLOCKS, block_of, tokens_per_block, too_short
from harness.measure.figures import Study
from harness.measure.window import Floats

#: two-sided 1 % of the normal distribution
_Z = 2.5758
_MATTERS = {"output tokens/s": 0.10, "median TTFT": 0.25}
_MIN_BLOCKS = 10  # below that the normal approximation of the test does not hold


def steady_of(study: Study, median_e2e_s: float | None) -> tuple[bool | None, str | None]:
    """(True, None); (False, what moved); (None, why it cannot be told)."""
    why = too_short(study.seconds, median_e2e_s)
    if why is not None:
        return None, why
    moved = [words for name, blocks in _series(study) if (words := drift(name, blocks)) is not None]
    return (False, f"not steady: {' and '.join(moved)}") if moved else (True, None)


def drift(name: str, blocks: Floats) -> str | None:
    """Words for a trend that is real and matters; None where there is none. Blocks without a value are NaN."""
    places = np.flatnonzero(~np.isnan(blocks)).astype(np.float64)
    values = blocks[~np.isnan(blocks)]
    if len(values) < _MIN_BLOCKS or abs(mann_kendall_z(values)) < _Z:
        return None
    middle = float(np.median(values))
    change = sen_slope(places, values) * len(blocks)
    if abs(change) <= _MATTERS[name] * middle:
        return None
    if middle <= 0:
        return f"{name} came up from nothing"
    return f"{name} {'rose' if change > 0 else 'fell'} by {abs(change) / middle:.0%} across the window"


def mann_kendall_z(values: Floats) -> float:
    """The test's normal score, corrected for ties and for continuity; 0 for a series without a trend."""
    n = len(values)
    rises = np.sign(values[None, :] - values[:, None])[np.triu_indices(n, 1)].sum()
    _, ties = np.unique(values, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    return 0.0 if variance <= 0 or rises == 0 else float((rises - np.sign(rises)) / math.sqrt(variance))


def sen_slope(places: Floats, values: Floats) -> float:
    """Median of the slopes between all pairs, per block."""
    i, j = np.triu_indices(len(values), 1)
    return float(np.median((values[j] - values[i]) / (places[j] - places[i])))


def _series(study: Study) -> Iterator[tuple[str, Floats]]:
    sheet = study.sheet
    yield "output tokens/s", tokens_per_block(sheet, study.tokens_inside, np.ones(len(sheet.records), np.bool_))
    usable = sheet.delivered & sheet.seen & sheet.window.holds(sheet.sent_ns)
    places = block_of(sheet.window, sheet.sent_ns[usable])
    ttft_s = (sheet.first_ns - sheet.sent_ns)[usable] / 1e9
    medians = [np.median(ttft_s[places == place]) if (places == place).any() else np.nan for place in range(BLOCKS)]
    yield "median TTFT", np.asarray(medians, np.float64)
