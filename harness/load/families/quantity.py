"""Quantity: a Claim in, the one number that it states out: 0.5 = 1/2 = 50 % = 二分之一, written any natural way.

A literal has at most MAX_DIGITS digits, every repetition is possessive or capped, and nothing is evaluated. When a
text says two different things, or denies what it says, it states no number.
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from harness.load.families.claim import CLOSERS, OPENERS, STOPS, THIN, Claim, find_claim, has_digit
from harness.load.families.problem import Reading
from harness.load.families.zh_numbers import ZH_DIGITS, read_zh_number

MAX_DIGITS = 30
#: unit word in lower case -> how many of the asked unit it is
Units = Mapping[str, Fraction]
NO_UNITS: Units = {}

_NUMBER = re.compile(rf"[+-]?(?:\d{{1,3}}(?:[,{THIN}]\d{{3}})++(?!\d)|\d++)(?:\.\d++)?")
_BELOW = re.compile(r"\s?/\s?(\d{1,30}+)(?!\.\d)")
_LATEX_FRACTION = re.compile(r"([+-]?)\\frac\s{0,2}\{\s{0,2}(\d{1,30}+)\s{0,2}\}\s{0,2}\{\s{0,2}(\d{1,30}+)\s{0,2}\}")
_PERCENT = re.compile(r"\s?(?:%|percent\b|per cent\b)")
_LATIN_UNIT = re.compile(r"[\s\u2009{]{0,3}+([A-Za-z\u00b0\u00b5\u03bc]{1,20}+[²³]?)}?")
_HAN_UNIT = re.compile(r"\s{0,2}([\u4e00-\u9fff]{1,6})")
_JOINT = re.compile(r"\s{0,2}(?:,|and\b|又|零)?\s{0,2}")
_VERB = re.compile(r"=|\b(?:is|are|equals)\b|等于|是|为")
_DENIAL = re.compile(r"\bnot\b|n['\u2019]t\b|\bno\b|\bwrong\b|\bfalse\b|≠|不|错|非", re.IGNORECASE)
_START = re.compile(rf"[+-]?\d|[+-]?\\frac|[负{ZH_DIGITS}十百]")


def check_number(value: Fraction | int, units: Units, answer: str) -> Reading:
    """Right where the text's final answer is this number, however it is written."""
    claim = find_claim(answer, lambda stated: has_digit(stated) or _begins_in_han(stated))
    number = stated_number(claim, units) if claim else None
    return Reading(right=number == value, extracted=None if number is None else str(number))


def stated_number(claim: Claim, units: Units = NO_UNITS) -> Fraction | None:
    """The one number that a claim states; None where it states none, something longer, or contradicts itself."""
    value = _leading(claim.stated, claim.after, units)
    verbs = list(_VERB.finditer(claim.stated)) if value is None else []
    if not verbs or _DENIAL.search(claim.stated, 0, verbs[-1].start()):
        return value
    value = _leading(claim.stated[verbs[-1].end() :], claim.after, units)
    sides = _VERB.split(claim.stated[: verbs[-1].start()])
    stated = (_leading(side, "", units) for side in sides)
    return value if all(side is None or side == value for side in stated) else None


def read_number(literal: str) -> Fraction | None:
    """A decimal literal, thousands separators allowed; None beyond MAX_DIGITS digits or where it is no literal."""
    plain = literal.replace(",", "").replace(THIN, "")
    if len(plain) > MAX_DIGITS or not _NUMBER.fullmatch(literal) or not plain.isascii():
        return None
    return Fraction(plain)


def _begins_in_han(stated: str) -> bool:
    stated = stated.lstrip(OPENERS)
    return bool(stated) and _START.match(stated) is not None


def _leading(stated: str, after: str, units: Units) -> Fraction | None:
    stated = stated.lstrip(OPENERS)
    found = _compound(stated, 0, units)
    if found is None:
        return None
    value, end = found
    remainder = stated[end:].lstrip(CLOSERS)
    if remainder and remainder[0] not in STOPS:
        return None
    if _DENIAL.search(remainder):
        return None
    rest = (*_all_in(remainder, units), *_all_in(after, units))
    return value if all(other == value for other in rest) else None


def _all_in(text: str, units: Units) -> Iterator[Fraction | None]:
    """Every quantity in a text that uses figures; None for one that cannot be read."""
    at = 0
    while found := _NUMBER.search(text, at):
        quantity = _compound(text, found.start(), units)
        yield quantity[0] if quantity else None
        at = max(found.end(), quantity[1] if quantity else 0)


def _compound(text: str, at: int, units: Units) -> tuple[Fraction, int] | None:
    """Value and end of a quantity; with units also of "2 h 30 min", whose parts grow smaller."""
    found = _with_unit(text, at, units)
    if found is None:
        return None
    value, end, factor = found
    total = value
    for _ in range(4):
        joint = _JOINT.match(text, end)
        more = _with_unit(text, joint.end(), units) if joint and factor is not None else None
        if more is None or more[2] is None or factor is None or not 0 <= more[0] < factor or more[2] >= factor:
            break
        total, end, factor = total + (more[0] if total >= 0 else -more[0]), more[1], more[2]
    return total, end


def _with_unit(text: str, at: int, units: Units) -> tuple[Fraction, int, Fraction | None] | None:
    """Value in the asked unit, end, and the factor of the unit that was said (None: none was)."""
    found = _plain(text, at)
    if found is None:
        return None
    value, end = found
    if percent := _PERCENT.match(text, end):
        return value / 100, percent.end(), None
    said = _unit(text, end, units)
    return (value * said[0], said[1], said[0]) if said else (value, end, None)


def _plain(text: str, at: int) -> tuple[Fraction, int] | None:
    if fraction := _LATEX_FRACTION.match(text, at):
        below = int(fraction[3])
        sign = -1 if fraction[1] == "-" else 1
        return (Fraction(sign * int(fraction[2]), below), fraction.end()) if below else None
    if not (number := _NUMBER.match(text, at)):
        return read_zh_number(text, at)
    value = read_number(number[0])
    if value is None:
        return None
    below_line = _BELOW.match(text, number.end())
    if below_line is None:
        return value, number.end()
    return (value / int(below_line[1]), below_line.end()) if int(below_line[1]) else None


def _unit(text: str, at: int, units: Units) -> tuple[Fraction, int] | None:
    if not units:
        return None
    if latin := _LATIN_UNIT.match(text, at):
        factor = units.get(latin[1]) or units.get(latin[1].lower())
        return (factor, latin.end()) if factor else None
    if han := _HAN_UNIT.match(text, at):
        for length in range(len(han[1]), 0, -1):
            if factor := units.get(han[1][:length]):
                return factor, han.start(1) + length
    return None
