"""Arithmetic: sums and differences of integers and products; one integer is the answer."""

from functools import partial

from harness.load.families.problem import Family, Problem, Reading, digits_of, draw, scatter
from harness.load.families.quantity import NO_UNITS, check_number

_HUNDREDS, _TENS, _THOUSANDS = 900, 90, 9_900  # how many values the first three operands can take
_SPACE = _HUNDREDS * _TENS * _THOUSANDS

_TEXTS = {
    "en": "Compute the value of {expression}.",
    "zh": "计算 {expression} 的值。",
}
_SENTENCES = {"en": "The answer is {answer}.", "zh": "答案：{answer}"}
_INSTRUCTIONS = {
    "en": 'Work out the problem below. End with one line that says "Answer:" and the integer.',
    "zh": "请计算下面的题目。最后单独写一行“答案：”和整数。",
}


def make(seed: int, ordinal: int, difficulty: int, language: str = "en") -> Problem:
    """`difficulty` + 1 terms. The first three operands number the ordinals, so that no two problems are equal."""
    a, b, c = digits_of(scatter(seed, ordinal, _SPACE), (_HUNDREDS, _TENS, _THOUSANDS))
    source = draw(seed, ordinal, difficulty, "arithmetic")
    expression, value = f"{a + 100} * {b + 10}", (a + 100) * (b + 10)
    terms = [(str(c + 100), c + 100)]
    for _ in range(difficulty - 1):
        left, right = source.randint(11, 999), source.randint(2, 99)
        terms.append((f"{left} * {right}", left * right) if source.random() < 0.5 else (str(left), left))
    for text, amount in terms:
        sign = source.choice((1, -1))
        expression += f" {'+' if sign > 0 else '-'} {text}"
        value += sign * amount
    return Problem(
        text=_TEXTS[language].format(expression=expression),
        expected=str(value),
        sentence=_SENTENCES[language].format(answer=value),
        steps=2 * difficulty + 1,
        check=partial(check, value),
    )


def check(value: int, answer: str) -> Reading:
    """Right where the text's final answer is this number, however it is written."""
    return check_number(value, NO_UNITS, answer)


FAMILY = Family(name="arithmetic", language="en", instruction=_INSTRUCTIONS["en"], make=make)
FAMILY_ZH = Family(
    name="arithmetic_zh", language="zh", instruction=_INSTRUCTIONS["zh"], make=partial(make, language="zh")
)
