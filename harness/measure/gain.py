"""Gain: a sheet of a closed loop in, what its last half of load added to the output out; seen while the run drains.

When the window has ended no user asks again, and the requests in flight fall from all to none: a sweep of loads that
every run makes for nothing. The output rate while about half of them were in flight, set beside the window's own
rate, shows what the other half brought. Nobody is prefilled any more in the drain, so half of the load looks a little
too fast and the gain a little too small, unless outputs are long beside inputs.
"""

from dataclasses import dataclass

import numpy as np

from harness.measure.sheet import Sheet
from harness.measure.window import Floats, Window

#: "about half": this share of the window's requests in flight
_HALF = (0.3, 0.7)
#: so many slices between the end of the window and the last answer
_SLICES = 200
#: fewer tokens in them are chance
_MIN_TOKENS = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Requests in flight at the window and while it drained; output tokens/s at both."""

    in_flight: float
    in_flight_half: float
    tokens_per_s: float
    tokens_per_s_half: float

    @property
    def share(self) -> float:
        """Growth of the output over the growth of the load that made it: 1 is all of it, 0 nothing, as in
        load_state.levels_of."""
        return (self.tokens_per_s / self.tokens_per_s_half - 1) / (self.in_flight / self.in_flight_half - 1)

    @property
    def words(self) -> str:
        return (
            f"{self.in_flight_half:.1f} -> {self.in_flight:.1f} requests in flight gave "
            f"{self.tokens_per_s / self.tokens_per_s_half - 1:+.0%} output tokens/s (drain beside window)"
        )


def gain_of(sheet: Sheet, tokens_inside: Floats, mean_in_flight: float) -> Gain | None:
    """None where there was no drain to look at: it was cut off, too short, or all answers ended at once."""
    window = sheet.window
    last_ns = int(sheet.ended_ns[sheet.measured].max(initial=window.end_ns))
    if last_ns <= window.end_ns or mean_in_flight < 2 or window.seconds <= 0:
        return None
    edges = np.linspace(window.end_ns, last_ns, _SLICES + 1).astype(np.int64)
    slices = [Window(int(begin), int(end)) for begin, end in zip(edges, edges[1:], strict=False) if end > begin]
    open_now = np.asarray([one.overlap_s(sheet.sent_ns, sheet.ended_ns).sum() / one.seconds for one in slices])
    half = (open_now >= _HALF[0] * mean_in_flight) & (open_now <= _HALF[1] * mean_in_flight)
    if not half.any():
        return None
    moments, weights = _arrivals(sheet)
    places = np.searchsorted(edges, moments, side="right") - 1
    inside = (places >= 0) & (places < len(slices))
    tokens = np.bincount(places[inside], weights=weights[inside], minlength=len(slices))[half].sum()
    seconds = float(sum(one.seconds for one, is_half in zip(slices, half, strict=True) if is_half))
    if tokens < _MIN_TOKENS or not tokens_inside.sum():
        return None
    return Gain(
        in_flight=mean_in_flight,
        in_flight_half=float(open_now[half].mean()),
        tokens_per_s=float(tokens_inside.sum()) / window.seconds,
        tokens_per_s_half=float(tokens) / seconds,
    )


def _arrivals(sheet: Sheet) -> tuple[Floats, Floats]:
    """When each delta arrived, and how many tokens it carried on average over its request."""
    deltas = sheet.deltas
    moments = np.repeat(sheet.sent_ns, deltas.counts) + deltas.offsets_us * 1000
    each = np.nan_to_num(sheet.output) / np.maximum(deltas.counts, 1)
    return moments.astype(np.float64), np.repeat(each, deltas.counts)
