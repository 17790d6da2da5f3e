"""Calendar reasoning: the weekday of a date, a date some days away, days between two dates."""

import re
from datetime import date, timedelta
from fractions import Fraction
from functools import partial

from harness.load.families.claim import CLOSERS, OPENERS, STOPS, find_claim, has_digit
from harness.load.families.problem import Problem, Reading, Solved, digits_of, draw, families, scatter
from harness.load.families.quantity import Units, check_number
from harness.load.families.words import find_words

_FIRST_DAY, _DAYS = date(1900, 1, 1), 73_000  # two centuries
_RADICES = (3, _DAYS, 50)
_SPACE = 3 * _DAYS * 50
_SPANS = (60, 400, 2_000, 9_000, 30_000, 100_000)  # days away at most, by difficulty

_MONTHS = (
    "january february march april may june july august september october november december"
).split()  # fmt: skip
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_WEEKDAYS_ZH = "一二三四五六日"
_VOCABULARY = {
    **{name: name for name in _WEEKDAYS},
    **{name[:3]: name for name in _WEEKDAYS},
    **{
        f"{week}{letter}": name
        for week in ("星期", "周", "礼拜")
        for letter, name in zip(_WEEKDAYS_ZH, _WEEKDAYS, strict=True)
    },
    **{f"{week}天": "sunday" for week in ("星期", "礼拜")},
}  # fmt: skip
_UNITS: Units = {
    **dict.fromkeys(("days", "day", "天", "日"), Fraction(1)),
    **dict.fromkeys(("weeks", "week", "周", "星期"), Fraction(7)),
}
_TEXTS = {
    "en": {
        "weekday": "Which day of the week is {span} days after {day} (Gregorian calendar)?",
        "away": "Which date is {span} days {side} {day} (Gregorian calendar)?",
        "between": "How many days are there from {day} to {other} (Gregorian calendar, the first day not counted)?",
    },
    "zh": {
        "weekday": "公历 {day} 之后第 {span} 天是星期几？",
        "away": "公历 {day} {side} {span} 天是哪一天（写出年月日）？",
        "between": "公历从 {day} 到 {other} 有多少天（第一天不算）？",
    },
}
_SIDES = {"en": ("after", "before"), "zh": ("之后", "之前")}

_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS)
_DATE = re.compile(
    r"(?P<y1>\d{4})(?:-|/|\.|\s?年\s?)(?P<m1>\d{1,2})(?:-|/|\.|\s?月\s?)(?P<d1>\d{1,2})(?:\s?[日号])?(?!\d)"
    rf"|(?P<m2>{_MONTH})\.?\s(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,?\s(?P<y2>\d{{4}})(?!\d)"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<m3>{_MONTH})\.?,?\s(?P<y3>\d{{4}})(?!\d)",
    re.IGNORECASE,
)
_WEEKDAY_HEAD = re.compile(r"(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s|(?:on|the)\s", re.IGNORECASE)


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """The span of days grows with `difficulty`."""
    kind, offset, step = digits_of(scatter(seed, ordinal, _SPACE), _RADICES)
    longest = _SPANS[difficulty - 1]
    # the span falls into a slot of its own for each `step`, so that text and ordinal go together
    span = step * (longest // 50) + draw(seed, ordinal, difficulty, "dates").randrange(longest // 50) + 1
    day = _FIRST_DAY + timedelta(days=offset)
    asked = (_weekday, _away, _between)[kind](day, span, language)
    return asked.problem(language)


def _weekday(day: date, span: int, language: str) -> Solved:
    name = _WEEKDAYS[(day + timedelta(days=span)).weekday()]
    said = name.capitalize() if language == "en" else f"星期{_WEEKDAYS_ZH[_WEEKDAYS.index(name)]}"
    text = _TEXTS[language]["weekday"].format(span=span, day=_told(day, language))
    return Solved(text=text, answer=said, steps=6, check=partial(check_weekday, name))


def _away(day: date, span: int, language: str) -> Solved:
    side = day.toordinal() % 2
    wanted = day + timedelta(days=-span if side else span)
    text = _TEXTS[language]["away"].format(span=span, side=_SIDES[language][side], day=_told(day, language))
    return Solved(text=text, answer=_told(wanted, language), steps=8, check=partial(check_date, wanted))


def _between(day: date, span: int, language: str) -> Solved:
    other = day + timedelta(days=span)
    text = _TEXTS[language]["between"].format(day=_told(day, language), other=_told(other, language))
    return Solved(text=text, answer=str(span), steps=8, check=partial(check_number, span, _UNITS))


def check_weekday(name: str, answer: str) -> Reading:
    """Right where the final answer is this weekday alone, in English or Chinese."""
    words = find_words(answer, _VOCABULARY)
    return Reading(right=words == [name], extracted=None if words is None else " ".join(words) or None)


def check_date(wanted: date, answer: str) -> Reading:
    """Right where the final answer is this date alone: 2026-11-21, 21 November 2026, 2026年11月21日."""
    claim = find_claim(answer, has_digit)
    if claim is None:
        return Reading(right=False, extracted=None)
    stated = claim.stated.lstrip(OPENERS)
    for _ in range(2):
        if head := _WEEKDAY_HEAD.match(stated):
            stated = stated[head.end() :]
    found = _DATE.match(stated)
    value = _value(found) if found else None
    rest = stated[found.end() :].lstrip(CLOSERS) if found else ""
    plain = not rest or (rest[0] in STOPS and not has_digit(rest))
    right = value == wanted and plain and all(_value(other) == wanted for other in _DATE.finditer(claim.after))
    return Reading(right=right, extracted=None if value is None else value.isoformat())


def _value(found: re.Match[str]) -> date | None:
    form = next(form for form in "123" if found[f"y{form}"])
    month = found[f"m{form}"].lower()
    number = (
        int(month)
        if month.isdecimal()
        else next(at for at, name in enumerate(_MONTHS, 1) if name.startswith(month[:3]))
    )
    try:
        return date(int(found[f"y{form}"]), number, int(found[f"d{form}"]))
    except ValueError:
        return None


def _told(day: date, language: str) -> str:
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1].capitalize()} {day.year}"


FAMILY, FAMILY_ZH = families("dates", make, {"en": "the weekday, date or number", "zh": "星期、日期或天数"})
