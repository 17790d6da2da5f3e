"""Countdown: reach a target from given numbers, each at most once; any valid expression is the answer."""

import random
from collections import Counter
from functools import partial

from harness.load.families.claim import Claim, find_claim
from harness.load.families.expression import read_expression
from harness.load.families.problem import Family, Problem, Reading, digits_of, draw, scatter
from harness.load.families.quantity import read_number

_STEPS = (97, 101, 103)  # the first three numbers rise by 1 + a digit of these radices: about a million sets
_SPACE = 97 * 101 * 103
_TARGETS = range(10, 10_000)

_TEXTS = {
    "en": "Using the numbers {numbers}, each at most once, with + - * / and brackets, make {target}.",
    "zh": "用数字 {numbers}（每个最多用一次）和 + - * / 及括号，得到 {target}。",
}
_SENTENCES = {"en": "Answer: {answer}", "zh": "答案：{answer}"}
_INSTRUCTIONS = {
    "en": 'Solve the problem below. End with one line that says "Answer:" and one expression.',
    "zh": "请解下面的题目。最后单独写一行“答案：”和一个算式。",
}


def make(seed: int, ordinal: int, difficulty: int, language: str = "en") -> Problem:
    """`difficulty` + 2 numbers. The three smallest number the ordinals, so that no two sets are equal."""
    source = draw(seed, ordinal, difficulty, "countdown")
    numbers = _numbers(seed, ordinal, difficulty, source)
    source.shuffle(numbers)
    expression, target = _reachable(numbers, source)
    return Problem(
        text=_TEXTS[language].format(numbers=", ".join(map(str, numbers)), target=target),
        expected=expression,
        sentence=_SENTENCES[language].format(answer=expression),
        steps=6 * len(numbers),  # a search: several tries for each number
        check=partial(check, tuple(numbers), target),
    )


def check(numbers: tuple[int, ...], target: int, answer: str) -> Reading:
    """Right where the final expression uses only given numbers, each at most once, and is exactly the target."""
    claim = find_claim(answer)
    text = _expression_text(claim, target) if claim else None
    expression = read_expression(text) if text else None
    if expression is None:
        return Reading(right=False, extracted=text)
    allowed = not Counter(expression.literals) - Counter(numbers)
    return Reading(right=allowed and expression.value == target, extracted=text)


def _numbers(seed: int, ordinal: int, difficulty: int, source: random.Random) -> list[int]:
    numbers: list[int] = []
    last = 1
    for step in digits_of(scatter(seed, ordinal, _SPACE), _STEPS):
        last += 1 + step
        numbers.append(last)
    for _ in range(difficulty - 1):  # larger than the first three, so that these stay the three smallest
        last += source.randint(1, 60)
        numbers.append(last)
    return numbers


def _reachable(numbers: list[int], source: random.Random) -> tuple[str, int]:
    """A random expression over all numbers and its value; the plain sum where forty draws miss the range."""
    for _ in range(40):
        text, value = str(numbers[0]), numbers[0]
        for number in numbers[1:]:
            text, value = _extend(text, value, number, source.choice("+-*"))
        if value in _TARGETS and value not in numbers:
            return text, value
    return " + ".join(map(str, numbers)), sum(numbers)


def _extend(text: str, value: int, number: int, sign: str) -> tuple[str, int]:
    if sign == "+":
        return f"{text} + {number}", value + number
    if sign == "-":
        return (f"{text} - {number}", value - number) if value >= number else (f"{number} - ({text})", number - value)
    return f"({text}) * {number}", value * number


def _expression_text(claim: Claim, target: int) -> str | None:
    """The expression of "expression", "expression = target" or "target = expression"; a chain is no answer."""
    if any(letter.isdecimal() for letter in claim.after):
        return None
    sides = [side.strip(" \t\r\u2009*_`\"'“”.。,;!") for side in claim.stated.split("=")]
    if len(sides) == 1:
        return sides[0]
    if len(sides) == 2 and target in (read_number(sides[0]), read_number(sides[1])):
        return sides[0] if read_number(sides[1]) == target else sides[1]
    return None


FAMILY = Family(name="countdown", language="en", instruction=_INSTRUCTIONS["en"], make=make)
FAMILY_ZH = Family(
    name="countdown_zh", language="zh", instruction=_INSTRUCTIONS["zh"], make=partial(make, language="zh")
)
