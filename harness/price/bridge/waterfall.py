"""Waterfall: inputs, a function of them and changes of them go in; each change's share of what it does comes out.

A factor is a change of inputs to one function (`ratio.revenue_and_cost`, or a buyer's price of an answer), never a
typed multiplier. Factors interact (night prices weigh less once half the tokens are another model's), so each gets the
mean of its effect on the logarithm over all orders in which the changes can be made (Shapley). The ratios then
multiply to end / start exactly and no order matters. Money is shared by the logarithmic mean: L(a, b) x a factor's
part of ln(b / a), L = (b - a) / ln(b / a), so the steps in dollars sum to b - a.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Generic, Literal, TypeVar

from harness.price.bridge.ratio import Business, revenue_and_cost
from harness.price.results import Factor

#: 2^n evaluations; more groups than this nobody reads either.
MOST_CHANGES = 8

Inputs = TypeVar("Inputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[Inputs]):
    """One factor: what it does to the inputs, and how we know. Changes must not touch the same input."""

    factor: str
    kind: Literal["measured", "declared", "assumed"]
    evidence: str
    apply: Callable[[Inputs], Inputs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """For each quantity: its value before and after all changes; for each change: its part of the logarithms."""

    first: tuple[float, ...]
    last: tuple[float, ...]
    of: tuple[tuple[float, ...], ...]

    def usd(self, change: int, quantity: int) -> float:
        """A change's part of the difference of one quantity."""
        return logarithmic_mean(self.first[quantity], self.last[quantity]) * self.of[change][quantity]


def logarithmic_mean(one: float, other: float) -> float:
    """(b - a) / ln(b / a); a where both are equal."""
    distance = math.log(other / one)
    return one if distance == 0 else one * math.expm1(distance) / distance


def waterfall(start: Business, changes: Sequence[Change[Business]]) -> tuple[Factor, ...]:
    """Factors, largest effect first; their ratios multiply to R/C after all changes over R/C of `start`."""
    found = effects(start, changes, revenue_and_cost)
    logs = [revenue - cost for revenue, cost in found.of]
    level = math.log(found.first[0] / found.first[1])
    total = math.log(found.last[0] / found.last[1]) - level
    steps = []
    for position in ranked(logs, changes):
        effect, change = logs[position], changes[position]
        steps.append(
            Factor(
                factor=change.factor,
                ratio=math.exp(effect),
                kind=change.kind,
                rc_before=math.exp(level),
                rc_after=math.exp(level + effect),
                evidence=change.evidence,
                share=effect / total if total else None,
                usd_revenue=found.usd(position, 0),
                usd_cost=found.usd(position, 1),
            )
        )
        level += effect
    return tuple(steps)


def ranked(logs: Sequence[float], changes: Sequence[Change[Inputs]]) -> list[int]:
    """Positions of the changes, largest effect first."""
    return sorted(range(len(logs)), key=lambda position: (-abs(logs[position]), changes[position].factor))


def effects(
    start: Inputs, changes: Sequence[Change[Inputs]], quantities: Callable[[Inputs], tuple[float, ...]]
) -> Effects:
    """Each change's mean effect on the logarithm of each quantity over all orders; all quantities must stay above 0."""
    if len(changes) > MOST_CHANGES:
        raise ValueError(f"{len(changes)} factors; join some, at most {MOST_CHANGES}")
    values = _of_subsets(start, changes, quantities)
    logs = [tuple(math.log(value) for value in row) for row in values]
    of = tuple(
        tuple(_shapley([row[quantity] for row in logs], position, len(changes)) for quantity in range(len(logs[0])))
        for position in range(len(changes))
    )
    return Effects(first=values[0], last=values[-1], of=of)


def _of_subsets(
    start: Inputs, changes: Sequence[Change[Inputs]], quantities: Callable[[Inputs], tuple[float, ...]]
) -> list[tuple[float, ...]]:
    """The quantities after each subset of the changes; bit k of the index says whether change k was made."""
    found = []
    for subset in range(1 << len(changes)):
        made = [change for position, change in enumerate(changes) if subset >> position & 1]
        values = quantities(reduce(lambda inputs, change: change.apply(inputs), made, start))
        if min(values) <= 0:
            names = ", ".join(change.factor for change in made) or "the start"
            raise ValueError(f"R/C is {min(values):g} after {names}: nothing is left to share")
        found.append(values)
    return found


def _shapley(logs: Sequence[float], position: int, count: int) -> float:
    """Mean effect of one change over all orders: subsets of k others weigh k! (n-k-1)! / n!."""
    bit, effect = 1 << position, 0.0
    for subset in range(1 << count):
        if not subset & bit:
            others = subset.bit_count()
            weight = math.factorial(others) * math.factorial(count - others - 1) / math.factorial(count)
            effect += weight * (logs[subset | bit] - logs[subset])
    return effect
