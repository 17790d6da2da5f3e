"""Lengths: a run that was too short for its answers in, why its lengths lie; results without the figures that do.

A naive closed loop of T seconds counts the answers that ended in time, and those are the short ones: with lognormal
thoughts (mean 4,000 tokens, sigma 0.8) at 50 tokens/s, 60 s see a mean OSL 58 % too low, 300 s 22 %, 1,800 s 4 %.
Tokens count when they arrive, so throughput stands; OSL, think time, accuracy and $ per answer do not, and are None.
"""

from collections.abc import Mapping
from dataclasses import replace

from harness.measure.figures import Study
from harness.measure.results import Distribution, EndpointResult, Mix, SampledInterval, Useful

#: a window shorter than this many median E2E, or more censored than this, leaves out the long answers
MIN_WINDOW_E2E = 3.0
MAX_CENSORED_SHARE = 0.05

_METRICS = ("osl_tokens", "think_s")
_INTERVALS = ("useful.share", "useful_per_s")
KEYS = ("mix.osl_tokens", *(f"metrics.{name}" for name in _METRICS), "useful.share")


def length_bias(study: Study, whole: EndpointResult) -> str | None:
    """Why long answers are under-represented; None where they are not."""
    sheet, median = study.sheet, whole.metrics["e2e_s"].p50
    measured = int(sheet.measured.sum())
    censored = int((sheet.measured & sheet.censored).sum())
    if measured and censored / measured > MAX_CENSORED_SHARE:
        return f"{censored} of {measured} requests were still running when the run ended"
    if study.seconds is not None and median is not None and study.seconds < MIN_WINDOW_E2E * median:
        return (
            f"the window of {study.seconds:.1f} s is shorter than {MIN_WINDOW_E2E:g} x the median E2E of {median:.1f} s"
        )
    return None


def reasons_of(bias: str) -> dict[str, str]:
    """Why each of the figures is missing, by dotted key."""
    keys = (*KEYS, *(f"intervals.{key}" for key in _INTERVALS))
    return dict.fromkeys(keys, f"{bias}: long answers are under-represented; throughput stands")


def part_without(part: EndpointResult) -> EndpointResult:
    """Its counts stay, so that a reader sees how many there were."""
    blank = {
        name: Distribution(n=found.n, failed=found.failed, censored=found.censored)
        for name in _METRICS
        if (found := part.metrics[name]).n
    }
    return replace(part, metrics={**part.metrics, **blank})


def mix_without(mix: Mix) -> Mix:
    return replace(mix, osl_tokens=None)


def useful_without(useful: Useful) -> Useful:
    return replace(useful, share=None, share_low=None, share_high=None)


def intervals_without(intervals: Mapping[str, SampledInterval | None]) -> dict[str, SampledInterval | None]:
    return {key: None if key in _INTERVALS else interval for key, interval in intervals.items()}
