"""Waterfall: two businesses' R/C and the changes that lead from one to the other go in; each change's share comes out.

A factor is a change of inputs to `ratio.revenue_over_cost`, never a typed multiplier. Factors interact (night prices
weigh less once half the tokens are another model's), so each gets the mean of its effect on ln R/C over all orders in
which the changes can be made (Shapley). The ratios then multiply to end / start exactly and no order matters.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from harness.price.ratio import Business, revenue_over_cost
from harness.price.results import Factor

#: 2^n evaluations; more groups than this nobody reads either.
MOST_CHANGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One factor: what it does to the business's inputs, and how we know. Changes must not touch the same input."""

    factor: str
    kind: Literal["measured", "declared", "assumed"]
    evidence: str
    apply: Callable[[Business], Business]


def waterfall(start: Business, changes: Sequence[Change]) -> tuple[Factor, ...]:
    """Factors, largest effect first; their ratios multiply to R/C after all changes over R/C of `start`."""
    if len(changes) > MOST_CHANGES:
        raise ValueError(f"{len(changes)} factors; join some, at most {MOST_CHANGES}")
    logs = _log_of_subsets(start, changes)
    effects = [_shapley(logs, position, len(changes)) for position in range(len(changes))]
    total = logs[-1] - logs[0]
    steps, level = [], logs[0]
    for effect, change in sorted(zip(effects, changes, strict=True), key=lambda pair: (-abs(pair[0]), pair[1].factor)):
        steps.append(
            Factor(
                factor=change.factor,
                ratio=math.exp(effect),
                kind=change.kind,
                rc_before=math.exp(level),
                rc_after=math.exp(level + effect),
                evidence=change.evidence,
                share=effect / total if total else None,
            )
        )
        level += effect
    return tuple(steps)


def _log_of_subsets(start: Business, changes: Sequence[Change]) -> list[float]:
    """ln R/C after each subset of the changes; bit k of the index says whether change k was made."""
    logs = []
    for subset in range(1 << len(changes)):
        made = [change for position, change in enumerate(changes) if subset >> position & 1]
        ratio = revenue_over_cost(reduce(lambda business, change: change.apply(business), made, start))
        if ratio <= 0:
            names = ", ".join(change.factor for change in made) or "the start"
            raise ValueError(f"R/C is {ratio:g} after {names}: nothing is left to share")
        logs.append(math.log(ratio))
    return logs


def _shapley(logs: Sequence[float], position: int, count: int) -> float:
    """Mean effect of one change over all orders: subsets of k others weigh k! (n-k-1)! / n!."""
    bit, effect = 1 << position, 0.0
    for subset in range(1 << count):
        if not subset & bit:
            others = subset.bit_count()
            weight = math.factorial(others) * math.factorial(count - others - 1) / math.factorial(count)
            effect += weight * (logs[subset | bit] - logs[subset])
    return effect
