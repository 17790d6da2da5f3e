"""Steady: a study of a measure window in, whether it stood still, and from where on; a ramp has no average.

Two series of 20 blocks are asked for a drift (`drift`): output tokens/s, and the median TTFT of the requests that
began in a block. A drift must be real (t-score 4.5) and must matter: above 10 % of the median block for throughput,
above 25 % for TTFT, which is noisier. An open loop is not steady either while its requests in flight grow (`queue`).
Where noise hides even a drift ten times as large as what matters (a rate that doubled), or the window is shorter than
20 median E2E, the test is silent: None. `visible` says what ramp it would have found four times in five.

A window that moved is cut at the earliest of its first ten block edges behind which both series stand still by a
stricter test (t-score 3, half of what matters): what moved a moment ago is believed to move still. The rest must be
20 median E2E long.
A load that was planned to move (levels, curve, trace) is not judged: its averages are averages over the plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.measure.blocks import BLOCKS, block_of, tokens_per_block, too_short
from harness.measure.drift import DOUBTFUL, REAL, Drift, drift_of
from harness.measure.figures import Study
from harness.measure.queue import growth_of
from harness.measure.results import Moved
from harness.measure.stats import quantiles
from harness.measure.window import Floats, Window

RATE: Moved = "output tokens/s"
TTFT: Moved = "median TTFT"
IN_FLIGHT: Moved = "requests in flight"
#: a drift matters from this share of the median block on
MATTERS: Mapping[Moved, float] = {RATE: 0.10, TTFT: 0.25}
#: noise that hides a drift this many times as large as what matters leaves the test blind
_BLIND = 10
#: a tail is at least half of the window
_MOST_CUT = BLOCKS // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`steady` True: the window from `begin_ns` on stood still. False: no part of it did; `moved` says what moved.
    None: it cannot be told, or `plan` names the plan by which the load itself moved. `reason` in words; `filling`: why
    the window that was judged is itself only the rest of the planned one (`filling_of`)."""

    steady: bool | None
    reason: str | None = None
    begin_ns: int | None = None
    moved: tuple[Moved, ...] = ()
    plan: str | None = None
    filling: str | None = None
    visible: Mapping[str, float] = field(default_factory=dict)

    @property
    def remark(self) -> str | None:
        """What a reader must know of the window; that it was too short to tell is no remark."""
        own = self.reason if self.begin_ns is not None or self.moved or self.plan else None
        return "; ".join(text for text in (self.filling, own) if text) or None


def standing_of(study: Study) -> Standing:
    """Judge the window, and look for a part of it that stood still."""
    plan = moving_plan(study.folder.manifest.scenario)
    if plan is not None:
        return Standing(
            steady=None, reason=f"the load moved as planned ({plan}): averages are over the plan", plan=plan
        )
    grew = growth_of(study.sheet)
    queue: dict[Moved, str] = {IN_FLIGHT: grew.words} if grew is not None and grew.grows else {}
    why = too_short(study.seconds, median_e2e_s(study))
    series = None if why else _Series(study)
    moved = ({} if series is None else series.moved(0)) | queue
    if moved:
        return _cut(study, moved, None if queue else series)
    if series is not None and (blind := series.blind()) is not None:
        why = blind
    return Standing(steady=None if why else True, reason=why, visible={} if series is None else series.visible())


def _cut(study: Study, moved: Mapping[Moved, str], series: "_Series | None") -> Standing:
    """The longest rest that stood still; without one, what moved. A queue that grows leaves no rest to look for."""
    words = " and ".join(moved.values())
    window, needed_s = study.sheet.window, BLOCKS * (median_e2e_s(study) or 0.0)
    for cut in range(1, _MOST_CUT + 1) if series is not None else ():
        rest_s = window.seconds * (BLOCKS - cut) / BLOCKS
        if series is None or rest_s < needed_s:
            break
        if series.alive(cut) and not series.moved(cut, strict=True):
            begin_ns = window.begin_ns + (window.end_ns - window.begin_ns) * cut // BLOCKS
            text = f"the first {window.seconds - rest_s:.0f} of {window.seconds:.0f} s were left out: {words}"
            return Standing(steady=True, reason=text, begin_ns=begin_ns, visible=series.visible(cut))
    seen = {} if series is None else series.visible()
    return Standing(steady=False, reason=f"not steady: {words}", moved=tuple(moved), visible=seen)


class _Series:
    """The two series of a window, and of what is left of it behind a cut at a block edge."""

    def __init__(self, study: Study) -> None:
        sheet = study.sheet
        self._window = sheet.window
        everyone = np.ones(len(sheet.records), np.bool_)
        # BLOCKS x BLOCKS bins: behind a cut at any block edge they again make up 20 equal blocks
        self._tokens = tokens_per_block(sheet, study.tokens_inside, everyone, BLOCKS * BLOCKS)
        usable = sheet.delivered & sheet.seen & sheet.window.holds(sheet.sent_ns)
        self._sent_ns = sheet.sent_ns[usable]
        self._ttft_s = (sheet.first_ns - sheet.sent_ns)[usable] / 1e9

    def moved(self, cut: int, *, strict: bool = False) -> dict[Moved, str]:
        """What drifts behind the first `cut` blocks, in words."""
        found = {name: _words(name, drift, strict=strict) for name, drift in self._drifts(cut).items()}
        return {name: words for name, words in found.items() if words is not None}

    def alive(self, cut: int) -> bool:
        """Tokens came in most of what is left: an endpoint that fell silent stands still, too."""
        return bool(np.median(self._rates(cut)) > 0)

    def visible(self, cut: int = 0) -> dict[str, float]:
        """The ramps that would be found, as shares of the median block."""
        drifts = self._drifts(cut).items()
        return {name: found.visible / found.middle for name, found in drifts if found is not None and found.middle > 0}

    def blind(self) -> str | None:
        """Why a drift that matters could hide in the noise; None where it would be seen."""
        for name, found in self._drifts(0).items():
            if found is None:
                return f"too few requests to tell: {name} is known in less than half of the window's blocks"
            if found.middle > 0 and found.visible > _BLIND * MATTERS[name] * found.middle:
                return f"too noisy to tell: a ramp of {name} below {found.visible / found.middle:.0%} would not show"
        return None

    def _drifts(self, cut: int) -> dict[Moved, Drift | None]:
        return {RATE: drift_of(self._rates(cut)), TTFT: drift_of(self._medians(cut))}

    def _rates(self, cut: int) -> Floats:
        sums: Floats = self._tokens[cut * BLOCKS :].reshape(BLOCKS, -1).sum(axis=1)
        return sums

    def _medians(self, cut: int) -> Floats:
        whole = self._window
        rest = Window(whole.begin_ns + (whole.end_ns - whole.begin_ns) * cut // BLOCKS, whole.end_ns)
        inside = rest.holds(self._sent_ns)
        places, ttft_s = block_of(rest, self._sent_ns[inside]), self._ttft_s[inside]
        medians = [np.median(ttft_s[places == at]) if (places == at).any() else np.nan for at in range(BLOCKS)]
        return np.asarray(medians, np.float64)


def _words(name: Moved, found: Drift | None, *, strict: bool) -> str | None:
    """Words for a drift that is real and matters."""
    score, share = (DOUBTFUL, MATTERS[name] / 2) if strict else (REAL, MATTERS[name])
    if found is None or abs(found.score) < score or found.share <= share:
        return None
    if found.middle <= 0:
        return f"{name} {'came up from' if found.change > 0 else 'fell to'} nothing"
    return f"{name} {'rose' if found.change > 0 else 'fell'} by {found.share:.0%} across the window"


def median_e2e_s(study: Study) -> float | None:
    """Median E2E of the delivered requests that began in the window."""
    sheet = study.sheet
    rows = sheet.measured & sheet.delivered
    return quantiles((sheet.ended_ns - sheet.sent_ns)[rows] / 1e9, (0.5,))[0]


def moving_plan(scenario: Mapping[str, Any]) -> str | None:
    """The part of the arrivals that makes the load itself move; None where it stands still by intention."""
    arrivals = scenario.get("arrivals") or {}
    if arrivals.get("kind") == "trace":
        return "trace"
    if arrivals.get("curve") or arrivals.get("curve_levels"):
        return f"curve {arrivals['curve']}" if arrivals.get("curve") else "curve"
    factors = {float(factor) for _, factor in arrivals.get("levels") or ()}
    return "levels" if len(factors) > 1 else None
