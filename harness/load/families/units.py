"""Unit reasoning: lengths, times, masses and volumes in mixed units; any unit of the same kind may state the answer."""

from fractions import Fraction
from functools import partial

from harness.load.families.problem import Problem, Solved, digits_of, draw, families, scatter
from harness.load.families.quantity import Units, check_number

_RADICES = (4, 90_000, 97)  # kind, first amount and second amount number the ordinals
_SPACE = 4 * 90_000 * 97

#: kind -> units from small to large: how many of the smallest, English name and other spellings, Chinese name
_SCALES: tuple[tuple[tuple[int, tuple[str, ...], tuple[str, ...]], ...], ...] = (
    (
        (1, ("millimetres", "mm", "millimeters", "millimetre", "millimeter"), ("毫米",)),
        (10, ("centimetres", "cm", "centimeters", "centimetre", "centimeter"), ("厘米",)),
        (1000, ("metres", "m", "meters", "metre", "meter"), ("米",)),
        (1_000_000, ("kilometres", "km", "kilometers", "kilometre", "kilometer"), ("千米", "公里")),
    ),
    (
        (1, ("seconds", "s", "second", "sec", "secs"), ("秒", "秒钟")),
        (60, ("minutes", "min", "minute", "mins"), ("分钟", "分")),
        (3600, ("hours", "h", "hour", "hrs", "hr"), ("小时", "个小时")),
        (86_400, ("days", "d", "day"), ("天", "日")),
    ),
    (
        (1, ("milligrams", "mg", "milligram"), ("毫克",)),
        (1000, ("grams", "g", "gram"), ("克",)),
        (1_000_000, ("kilograms", "kg", "kilogram"), ("千克", "公斤")),
        (1_000_000_000, ("tonnes", "t", "tonne"), ("吨",)),
    ),
    (
        (1, ("millilitres", "ml", "milliliters", "millilitre", "milliliter"), ("毫升",)),
        (10, ("centilitres", "cl", "centiliters", "centilitre", "centiliter"), ("厘升",)),
        (1000, ("litres", "l", "liters", "litre", "liter"), ("升",)),
        (1_000_000, ("m³",), ("立方米",)),
    ),
)
_TEXTS = {
    "en": "Add up {amounts}. How much is that in {unit}? (Exact: a whole number, decimal or fraction.)",
    "zh": "把 {amounts} 加起来，合多少{unit}？（精确值：整数、小数或分数。）",
}
_GLUE = {"en": (", ", " and "), "zh": ("、", " 和 ")}


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """`difficulty` + 1 amounts in different units, asked for in one of them."""
    kind, first, second = digits_of(scatter(seed, ordinal, _SPACE), _RADICES)
    source = draw(seed, ordinal, difficulty, "units")
    scale = _SCALES[kind][:3]  # the largest unit is understood in an answer, but never asked
    amounts = [(first + 10_000, 0), (second + 2, 1)]
    amounts += [(source.randint(2, 900), source.randrange(3)) for _ in range(difficulty - 1)]
    asked = source.randrange(3)
    total = Fraction(sum(amount * scale[unit][0] for amount, unit in amounts), scale[asked][0])
    told = [f"{amount} {_name(scale[unit], language)}" for amount, unit in amounts]
    comma, last = _GLUE[language]
    text = _TEXTS[language].format(amounts=comma.join(told[:-1]) + last + told[-1], unit=_name(scale[asked], language))
    check = partial(check_number, total, units_of(kind, asked))
    return Solved(text=text, answer=str(total), steps=2 * len(amounts), check=check).problem(language)


def units_of(kind: int, asked: int) -> Units:
    """Every spelling of every unit of a kind -> how many of the asked unit it is."""
    scale = _SCALES[kind]
    return {
        spelling: Fraction(size, scale[asked][0]) for size, english, chinese in scale for spelling in english + chinese
    }


def _name(unit: tuple[int, tuple[str, ...], tuple[str, ...]], language: str) -> str:
    return unit[1][0] if language == "en" else unit[2][0]


FAMILY, FAMILY_ZH = families("units", make, {"en": "the amount", "zh": "数量"})
