"""Modular chains: a number taken through steps, each followed by a remainder; one integer is the answer."""

import random
from functools import partial

from harness.load.families.problem import Problem, Solved, digits_of, draw, families, scatter
from harness.load.families.quantity import NO_UNITS, check_number

_RADICES = (9000, 900, 90)  # start, modulus and first factor number the ordinals
_SPACE = 9000 * 900 * 90

_FRAMES = {
    "en": "Start with {start}. {steps} After every step keep only the remainder modulo {modulus}. "
    "Which number is left at the end?",
    "zh": "从 {start} 开始。{steps}每一步之后只保留除以 {modulus} 的余数。最后得到哪个数？",
}
_STEPS = {
    "en": {"times": "Multiply by {n}.", "plus": "Add {n}.", "minus": "Subtract {n}.", "square": "Square it."},
    "zh": {"times": "乘以 {n}。", "plus": "加上 {n}。", "minus": "减去 {n}。", "square": "平方。"},
}


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """2 x `difficulty` steps; Python's remainder: never negative."""
    start, modulus, factor = digits_of(scatter(seed, ordinal, _SPACE), _RADICES)
    start, modulus, factor = start + 1000, modulus + 97, factor + 7
    steps = [("times", factor), *_more(draw(seed, ordinal, difficulty, "modular"), 2 * difficulty - 1)]
    value = start % modulus
    for name, number in steps:
        value = apply(name, number, value) % modulus
    said = " " if language == "en" else ""
    told = said.join(_STEPS[language][name].format(n=number) for name, number in steps)
    text = _FRAMES[language].format(start=start, steps=told, modulus=modulus)
    return Solved(
        text=text, answer=str(value), steps=2 * len(steps) + 1, check=partial(check_number, value, NO_UNITS)
    ).problem(language)


def apply(name: str, number: int, value: int) -> int:
    """One step, before its remainder."""
    return {"times": value * number, "plus": value + number, "minus": value - number, "square": value * value}[name]


def _more(source: random.Random, count: int) -> list[tuple[str, int]]:
    return [
        (source.choice(("times", "plus", "minus", "square", "plus")), source.randint(11, 999)) for _ in range(count)
    ]


FAMILY, FAMILY_ZH = families("modular", make, {"en": "the number", "zh": "这个数"})
