"""Counting: letters in a string, digits in a range, numbers with a property; one integer is the answer."""

import random
from collections.abc import Callable
from fractions import Fraction
from functools import partial

from harness.load.families.problem import Problem, Solved, digits_of, draw, families, scatter
from harness.load.families.quantity import Units, check_number

_SIDE = 500
_PER_KIND = _SIDE * _SIDE
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

_TEXTS = {
    "en": {
        "letters": 'How many times does the letter "{letter}" stand in "{text}"?',
        "digits": "The integers from {low} to {high} are written down. How many times is the digit {digit} written?",
        "sums": "How many integers from {low} to {high} have a digit sum that is divisible by {digit}?",
        "inversions": "In the list {items}, how many pairs stand in the wrong order (a larger number before a "
        "smaller one)?",
    },
    "zh": {
        "letters": "字母“{letter}”在“{text}”中出现了多少次？",
        "digits": "写下从 {low} 到 {high} 的所有整数，数字 {digit} 一共写了多少次？",
        "sums": "从 {low} 到 {high} 的整数中，各位数字之和能被 {digit} 整除的有多少个？",
        "inversions": "在数列 {items} 中，有多少对数的次序是颠倒的（较大的数在较小的数之前）？",
    },
}
_UNITS: Units = dict.fromkeys(
    ("times", "time", "integers", "integer", "numbers", "pairs", "pair", "letters", "letter", "次", "个", "个数", "对"),
    Fraction(1),
)
#: the words of its text, the answer, elementary steps
_Posed = tuple[dict[str, object], int, int]


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """Longer strings, lists and ranges with `difficulty`."""
    number = scatter(seed, ordinal, _PER_KIND * len(_KINDS))
    kind = tuple(_KINDS)[number % len(_KINDS)]
    first, second = digits_of(number // len(_KINDS), (_SIDE, _SIDE))
    words, value, steps = _KINDS[kind]((first, second), difficulty, draw(seed, ordinal, difficulty, "counting"))
    check = partial(check_number, value, _UNITS)
    text = _TEXTS[language][kind].format(**words)
    return Solved(text=text, answer=str(value), steps=steps, check=check).problem(language)


def _letters(place: tuple[int, int], difficulty: int, source: random.Random) -> _Posed:
    # the first four letters number the ordinals; few letters, so that the asked one stands often
    number, head = place[0] * _SIDE + place[1], ""
    for _ in range(4):
        number, place_of = divmod(number, 26)
        head += _LETTERS[place_of]
    few = source.sample(_LETTERS, 6)
    text = head + "".join(source.choices(few, k=8 + 8 * difficulty))
    letter = source.choice(few)
    return {"letter": letter, "text": text}, text.count(letter), len(text) // 4


def _range(place: tuple[int, int], difficulty: int) -> range:
    low = 10 + place[0]
    return range(low, low + 20 * difficulty + place[1])


def _digits(place: tuple[int, int], difficulty: int, source: random.Random) -> _Posed:
    numbers, digit = _range(place, difficulty), str(source.randint(0, 9))
    count = sum(str(number).count(digit) for number in numbers)
    return {"low": numbers[0], "high": numbers[-1], "digit": digit}, count, 4 + 2 * difficulty


def _sums(place: tuple[int, int], difficulty: int, source: random.Random) -> _Posed:
    numbers, digit = _range(place, difficulty), source.randint(2, 7)
    count = sum(sum(map(int, str(number))) % digit == 0 for number in numbers)
    return {"low": numbers[0], "high": numbers[-1], "digit": digit}, count, len(numbers) // 8 + 4


def _inversions(place: tuple[int, int], difficulty: int, source: random.Random) -> _Posed:
    items = [place[0] + 1, place[1] + 1, *(source.randint(1, 500) for _ in range(2 + 2 * difficulty))]
    wrong = sum(left > right for at, left in enumerate(items) for right in items[at + 1 :])
    return {"items": ", ".join(map(str, items))}, wrong, len(items) * (len(items) - 1) // 4


_KINDS: dict[str, Callable[[tuple[int, int], int, random.Random], _Posed]] = {
    "letters": _letters,
    "digits": _digits,
    "sums": _sums,
    "inversions": _inversions,
}

FAMILY, FAMILY_ZH = families("counting", make, {"en": "the number", "zh": "这个数"})
