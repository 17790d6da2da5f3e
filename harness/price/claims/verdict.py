"""A claim and its recomputed figures go in; the verdict comes out, with every check that led to it.

holds: every published figure agrees. holds if: some agree, so one reading or condition is right and another is not.
refuted: none agrees. not verifiable: nothing can be recomputed, or an input's sources contradict each other.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal

from harness.claims import Claim, Published

VerdictWord = Literal["holds", "holds if", "refuted", "not verifiable"]
Unit = Literal["", "x", "%", "USD", "USD/h", "USD/M", "tok/s", "tok/s/W", "J/tok", "GB", "GPUs", "nodes", "Macs",
               "ms", "TFLOP/s", "users", "TFLOPS", "tok"]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One recomputed number; `basis` and `as_of` where a price decides it. "%" figures are shares (0.84 is 84 %)."""

    name: str
    value: float
    unit: Unit = ""
    basis: str | None = None
    as_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Published against recomputed. `agrees` None: it cannot be told, and `reason` says why.

    Where several bases give the figure, the first is the one that the claim itself names, and it decides.
    """

    name: str
    published: float
    relation: str
    recomputed: float | None
    relative_difference: float | None
    unit: Unit
    agrees: bool | None
    low: float | None = None
    high: float | None = None
    basis: str | None = None
    as_of: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`checks` decide; `per_basis` are the same figures on every price basis and date; `beside` is for the reader."""

    claim: str
    verdict: VerdictWord
    tolerance: float
    checks: tuple[Check, ...]
    per_basis: tuple[Check, ...]
    beside: tuple[Figure, ...]
    condition: str
    doubts: tuple[str, ...]


def judge(claim: Claim, figures: tuple[Figure, ...]) -> Verdict:
    """Compare what was published with what was recomputed."""
    wanted = {published.name for published in claim.published}
    checks, per_basis = [], []
    for published in claim.published:
        found = [figure for figure in figures if figure.name == published.name]
        compared = [_check(claim, published, figure) for figure in found]
        checks.append(compared[0] if compared else _unknown(claim, published))
        per_basis += compared if len(compared) > 1 else []
    beside = tuple(figure for figure in figures if figure.name not in wanted)
    doubts, clash = _doubts(claim)
    return Verdict(
        claim=claim.id,
        verdict="not verifiable" if clash else _word(checks),
        tolerance=claim.tolerance,
        checks=tuple(checks),
        per_basis=tuple(per_basis),
        beside=beside,
        condition=_filled(claim.holds_if, figures),
        doubts=doubts,
    )


def _word(checks: list[Check]) -> VerdictWord:
    answers = [check.agrees for check in checks]
    if answers and all(answers):
        return "holds"
    if any(answers):
        return "holds if"
    return "refuted" if False in answers else "not verifiable"


def _check(claim: Claim, published: Published, figure: Figure) -> Check:
    difference = figure.value / published.value - 1 if published.value else None
    return Check(
        name=published.name,
        published=published.value,
        relation=published.relation,
        recomputed=figure.value,
        relative_difference=difference,
        unit=figure.unit,
        agrees=agrees(published, figure.value, claim.tolerance),
        low=published.low,
        high=published.high,
        basis=figure.basis,
        as_of=figure.as_of,
    )


def _unknown(claim: Claim, published: Published) -> Check:
    return Check(
        name=published.name,
        published=published.value,
        relation=published.relation,
        recomputed=None,
        relative_difference=None,
        unit="",
        agrees=None,
        low=published.low,
        high=published.high,
        reason=claim.needs,
    )


def agrees(published: Published, recomputed: float, tolerance: float) -> bool:
    """Whether a recomputed value bears a published one out, within the relative tolerance."""
    if not math.isfinite(recomputed):
        return False
    if published.relation == "at_least":
        return recomputed >= published.value * (1 - tolerance)
    if published.relation == "at_most":
        return recomputed <= published.value * (1 + tolerance)
    if published.low is not None and published.high is not None:
        return published.low * (1 - tolerance) <= recomputed <= published.high * (1 + tolerance)
    return abs(recomputed - published.value) <= tolerance * abs(published.value)


def _doubts(claim: Claim) -> tuple[tuple[str, ...], bool]:
    """What the reader must know about the inputs, and whether sources of one contradict each other."""
    marks = {row.name: (row.status, row.note) for row in claim.inputs.rows}
    marks |= {rates.card: (rates.status, "") for rates in claim.inputs.rates.values()}
    marks["the claim's own figures"] = (claim.status, claim.note)
    doubts = tuple(
        f"{name}: {status}{f' ({note})' if note else ''}"
        for name, (status, note) in marks.items()
        if status != "verified"
    )
    return doubts, any(status == "conflicting" for status, _ in marks.values())


def _filled(words: str, figures: tuple[Figure, ...]) -> str:
    """Words of the data with figures put into their {places}; a word that names no figure is a mistake of the data."""
    values = {figure.name: figure for figure in reversed(figures)}

    def shown(match: re.Match[str]) -> str:
        return in_words(values[match[1]].value, values[match[1]].unit)

    return re.sub(r"\{([^}]+)\}", shown, words)


def in_words(value: float, unit: Unit) -> str:
    """A recomputed number as a reader wants it: four digits and its unit, money to the cent at least."""
    if unit == "%":
        return f"{100 * value:,.4g} %"
    if unit.startswith("USD"):
        return f"${_money(value)}{unit.removeprefix('USD')}"
    if unit == "x":
        return f"{value:,.2f}x"
    return f"{_digits(value)} {unit}".rstrip()


def as_stated(value: float, unit: Unit) -> str:
    """A published number with no digit added."""
    return f"{value:,.6g}x" if unit == "x" else in_words(value, unit)


def _money(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    whole, _, cents = f"{value:.4f}".partition(".")
    return f"{whole}.{cents[: 3 if abs(value) >= 0.1 else 4].rstrip('0').ljust(2, '0')}"


def _digits(value: float) -> str:
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:,.3g} M"
    if size >= 1e5:
        return f"{value / 1e3:,.0f}k"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.5g}" if size >= 100 else f"{value:.4g}"
