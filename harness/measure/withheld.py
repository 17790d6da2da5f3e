"""Withheld: a result of a window that moved in, the same without the figures that would be averages over a ramp.

What goes depends on what moved. Output tokens/s: every rate, and the batch that ran (money in time hangs on them, see
`price`). TTFT or the queue alone: rates stand, for they stood still, and what counts answers within limits goes, if a
limit was missed at all. Counts, totals, the test bill and the latencies' own distributions always stay.
"""

from collections.abc import Mapping
from dataclasses import replace

from harness.measure.results import EndpointResult, Goodput, RunResult, SampledInterval, Throughput
from harness.measure.steady import RATE

_GOOD_INTERVALS = ("useful_per_s", "goodput.requests_per_s", "goodput.output_tokens_per_s")


def rates_moved(run: RunResult) -> bool:
    """No rate stands for this run."""
    return RATE in run.window.moved


def limits_moved(run: RunResult) -> bool:
    """How many answers met their limits depends on when one looks."""
    return bool(run.window.moved) and run.useful.why_not.get("slo_missed", 0) > 0


def without_averages(found: RunResult) -> RunResult:
    """The same, with None and a reason for what would be an average over a ramp."""
    why = found.reasons.get("steady", "not steady")
    if rates_moved(found):
        return _without_rates(found, why)
    return _without_goodput(found, why) if limits_moved(found) else found


def _without_rates(found: RunResult, why: str) -> RunResult:
    keys = ["throughput", "mix.mean_in_flight", "mix.mean_decoding", *(["goodput"] if found.slos else [])]
    rates = [key for key in found.intervals if key != "useful.share"]
    return replace(
        found,
        throughput=Throughput(),
        goodput=None,
        mix=replace(found.mix, mean_in_flight=None, mean_decoding=None),
        endpoints={name: _part(part, Throughput(), None) for name, part in found.endpoints.items()},
        intervals=_blank(found.intervals, rates),
        reasons=found.reasons | dict.fromkeys((*keys, *(f"intervals.{key}" for key in rates)), why),
    )


def _without_goodput(found: RunResult, why: str) -> RunResult:
    good = [key for key in _GOOD_INTERVALS if key in found.intervals]
    return replace(
        found,
        goodput=None,
        endpoints={name: _part(part, part.throughput, None) for name, part in found.endpoints.items()},
        intervals=_blank(found.intervals, good),
        reasons=found.reasons | dict.fromkeys(("goodput", *(f"intervals.{key}" for key in good)), why),
    )


def _part(part: EndpointResult, throughput: Throughput, goodput: Goodput | None) -> EndpointResult:
    return replace(part, throughput=throughput, goodput=goodput)


def _blank(intervals: Mapping[str, SampledInterval | None], keys: list[str]) -> dict[str, SampledInterval | None]:
    return {**intervals, **dict.fromkeys(keys)}
