"""Intervals: a case goes in; sampling error of its money figures [low, high] and spans of declared inputs (low..high).

The owner pays for time, so that cost per token or per useful answer is a price over a rate: the rate's own interval
(batch means), turned over. The buyer pays per request, so that cost per useful or right answer is a ratio of means
over requests: Fieller. The two kinds of doubt are never merged into one.
"""

import numpy as np

from harness.measure.deltas import Flags
from harness.measure.results import SampledInterval
from harness.measure.stats import Floats, fieller, least_cost_per_success, pairs_of
from harness.price.bills import ADD_CARD, graded, no_hour_reason
from harness.price.case import Case, no_answers_reason, no_lengths_reason
from harness.price.results import DeclaredRange, Owner

Intervals = dict[str, SampledInterval | None]

#: owner's figure -> (key of the rate in run.json, what makes USD per second over that rate the figure)
_OVER_RATES = {
    "owner.usd_per_mtok_output_allin": ("throughput.output_tokens_per_s", 1e6),
    "owner.usd_per_1k_useful": ("useful_per_s", 1e3),
}


def money_intervals(case: Case, reasons: dict[str, str]) -> Intervals:
    """95 % sampling intervals of the unit costs; a reason for each that is None."""
    found: Intervals = {key: _over_rate(case, key, reasons) for key in _OVER_RATES}
    return _without_untold(case, found | _of_buyer(case, reasons), reasons)


def _without_untold(case: Case, found: Intervals, reasons: dict[str, str]) -> Intervals:
    """What has no figure because the run was too short for its answers, or moved, has no interval."""
    untold: dict[str, str] = {}
    for key in found:
        if key.endswith("usd_per_1k_useful") and (why := no_answers_reason(case.run, owned=key.startswith("owner."))):
            untold[key] = why
        elif "per_1k" in key and case.run.length_biased:
            untold[key] = no_lengths_reason(case.run)
    reasons |= {f"intervals.{key}": why for key, why in untold.items()}
    return found | dict.fromkeys(untold)


def _over_rate(case: Case, key: str, reasons: dict[str, str]) -> SampledInterval | None:
    rate_key, factor = _OVER_RATES[key]
    rate = case.run.intervals.get(rate_key)
    if case.usd_per_s is None:
        reasons[f"intervals.{key}"] = no_hour_reason(case)
        return None
    if rate is None or rate.high is None:
        known = case.run.reasons.get(f"intervals.{rate_key}")
        reasons[f"intervals.{key}"] = known or "run.json has no interval of its rate: measure the folder again"
        return None
    if rate.high <= 0:
        reasons[f"intervals.{key}"] = "nothing was delivered"
        return None
    dollars = case.usd_per_s * factor
    high = dollars / rate.low if rate.low > 0 else None
    return SampledInterval(low=dollars / rate.high, high=high, method=rate.method, n=rate.n)


def _of_buyer(case: Case, reasons: dict[str, str]) -> Intervals:
    keys = ("buyer.usd_per_1k_useful", "buyer.usd_per_1k_right")
    if case.own is None:
        reasons |= {f"intervals.{key}": ADD_CARD for key in keys}
        return dict.fromkeys(keys)
    if case.own.unpriced:
        why = f"{case.own.unpriced} requests have no rates on {case.own.card.name}"
        reasons |= {f"intervals.{key}": why for key in keys}
        return dict.fromkeys(keys)
    unit = case.own.unit
    costs, useful = np.asarray(unit.bills_usd, np.float64), np.asarray(unit.useful, np.bool_)
    checked = graded(unit)
    return {
        keys[0]: _per_1k(costs, useful, keys[0], reasons),
        keys[1]: _per_1k(costs[checked], np.asarray([unit.right[i] for i in checked], np.bool_), keys[1], reasons),
    }


def _per_1k(costs: Floats, successes: Flags, key: str, reasons: dict[str, str]) -> SampledInterval | None:
    """USD per 1,000 successes; with none at all only a lower bound."""
    pairs, name = pairs_of(costs, successes), f"intervals.{key}"
    if pairs is None:
        reasons[name] = "no answer had a checker" if key.endswith("right") else "fewer than two requests were billed"
        return None
    if not successes.any():
        least = least_cost_per_success(float(costs.sum()), pairs.n)
        assert least is not None  # two requests or more
        return SampledInterval(low=least * 1000, high=None, method="rule of three", n=pairs.n)
    found = fieller(pairs)
    if found is None:
        reasons[name] = f"{int(successes.sum())} of {pairs.n} are too few to tell the share from zero"
        return None
    return SampledInterval(low=found.low * 1000, high=found.high * 1000, method="Fieller", n=pairs.n)


def declared_ranges(case: Case, owned: Owner, earned: float | None) -> dict[str, DeclaredRange]:
    """What the owner's figures and the yield span over the declared low and high of an accelerator-hour."""
    hour, deployment = owned.usd_per_gpu_hour, case.deployment
    if deployment is None or not hour:
        return {}
    low, high = deployment.usd_per_gpu_hour_low, deployment.usd_per_gpu_hour_high
    if low is None or high is None:
        return {}
    basis = f"{owned.basis} {low:g}..{high:g} USD per GPU-hour"
    linear = {
        "owner.usd_per_gpu_hour": hour,
        "owner.usd_per_mtok_output_allin": owned.usd_per_mtok_output_allin,
        "owner.usd_per_1k_useful": owned.usd_per_1k_useful,
    }
    found = {
        key: DeclaredRange(low=value * low / hour, high=value * high / hour, basis=basis)
        for key, value in linear.items()
        if value is not None
    }
    if earned is not None and low > 0:
        worst, best = (1 + earned) * hour / high - 1, (1 + earned) * hour / low - 1
        found["yield_ratio"] = DeclaredRange(low=worst, high=best, basis=basis)
    return found
