"""Sequence: a text's final answer as a plain list of integers; anything else in the line makes it no list."""

import re

from harness.load.families.claim import find_claim, has_digit
from harness.load.families.problem import Reading

MAX_ITEMS = 50
MAX_DIGITS = 30
_ITEM = re.compile(r"[\s,;、\u2009\[\](){}*_`\"']{0,20}+([+-]?\d{1,30}+)(?!\.\d|[\d/^%])")
_END = re.compile(r"[\s,;、\[\](){}*_`\"'.。!]{0,40}+")


def check_sequence(wanted: tuple[int, ...], answer: str) -> Reading:
    """Right where the final answer is these integers in this order."""
    claim = find_claim(answer, has_digit)
    items = read_sequence(claim.stated) if claim and not has_digit(claim.after) else None
    return Reading(right=items == list(wanted), extracted=None if items is None else " ".join(map(str, items)))


def read_sequence(stated: str) -> list[int] | None:
    """The integers of "3, 8, 1", "[3 8 1]" or "3 8 1."; None for anything else."""
    items: list[int] = []
    at = 0
    while len(items) <= MAX_ITEMS and (found := _ITEM.match(stated, at)):
        items.append(int(found[1]))
        at = found.end()
    end = _END.match(stated, at)
    return items if items and end and end.end() == len(stated) else None
