"""Number theory: common divisors, powers, divisors, multiples and remainders; one integer is the answer."""

import math
from collections.abc import Callable
from functools import partial

from harness.load.families.problem import Problem, Solved, digits_of, families, scatter
from harness.load.families.quantity import NO_UNITS, check_number

_SIDE = 500
_PER_KIND = _SIDE * _SIDE  # every kind numbers its problems by two digits of radix _SIDE
_SCALES = (6, 12, 30, 84, 210, 2310)  # by difficulty
_PRIMES = (503, 1009, 2003, 4001, 8009, 16001)
_SECOND = (509, 1013, 2011, 4003, 8011, 16007)

_TEXTS = {
    "en": {
        "gcd": "What is the greatest common divisor of {a} and {b}?",
        "lcm": "What is the least common multiple of {a} and {b}?",
        "power": "What is the remainder when {a}^{b} is divided by {m}?",
        "divisors": "How many positive divisors does {a} have, 1 and the number itself included?",
        "multiples": "How many integers from 1 to {a} are divisible by {b} or by {m} (or by both)?",
        "remainders": "What is the smallest positive integer that leaves remainder {a} when divided by {m} "
        "and remainder {b} when divided by {n}?",
    },
    "zh": {
        "gcd": "{a} 和 {b} 的最大公约数是多少？",
        "lcm": "{a} 和 {b} 的最小公倍数是多少？",
        "power": "{a}^{b} 除以 {m} 的余数是多少？",
        "divisors": "{a} 有多少个正约数（包括 1 和它本身）？",
        "multiples": "从 1 到 {a} 的整数中，有多少个能被 {b} 或 {m} 整除（包括同时整除）？",
        "remainders": "除以 {m} 余 {a}、除以 {n} 余 {b} 的最小正整数是多少？",
    },
}
#: kind, the numbers of its text, the answer, elementary steps
_Posed = tuple[dict[str, int], int, int]


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """The size of the numbers grows with `difficulty`."""
    number = scatter(seed, ordinal, _PER_KIND * len(_KINDS))
    kind = tuple(_KINDS)[number % len(_KINDS)]
    first, second = digits_of(number // len(_KINDS), (_SIDE, _SIDE))
    numbers, value, steps = _KINDS[kind](first, second, difficulty)
    text = _TEXTS[language][kind].format(**numbers)
    return Solved(text=text, answer=str(value), steps=steps, check=partial(check_number, value, NO_UNITS)).problem(
        language
    )


def _gcd(first: int, second: int, difficulty: int) -> _Posed:
    scale = _SCALES[difficulty - 1]
    a, b = scale * (first + 100), scale * (second + 700)
    return {"a": a, "b": b}, math.gcd(a, b), 4 + 2 * difficulty


def _lcm(first: int, second: int, difficulty: int) -> _Posed:
    scale = _SCALES[difficulty - 1]
    a, b = scale * (first + 20), scale * (second + 620)
    return {"a": a, "b": b}, math.lcm(a, b), 6 + 2 * difficulty


def _power(first: int, second: int, difficulty: int) -> _Posed:
    a, b, m = first + 3, (second + 5) * 7 ** (difficulty - 1), 97 + 12 * difficulty
    return {"a": a, "b": b, "m": m}, pow(a, b, m), 2 * b.bit_length()


def _divisors(first: int, second: int, difficulty: int) -> _Posed:
    a = _SCALES[difficulty - 1] * (first * _SIDE + second + 10)
    return {"a": a}, count_divisors(a), 8 + 4 * difficulty


def _multiples(first: int, second: int, difficulty: int) -> _Posed:
    a, b = 1000 * difficulty + first, second + 20
    m = 6 + 2 * difficulty
    return {"a": a, "b": b, "m": m}, a // b + a // m - a // math.lcm(b, m), 5


def _remainders(first: int, second: int, difficulty: int) -> _Posed:
    m, n = _PRIMES[difficulty - 1], _SECOND[difficulty - 1]
    # Chinese remainder theorem: first + m t = second (mod n)
    t = (second - first) * pow(m, -1, n) % n
    return {"a": first, "b": second, "m": m, "n": n}, first + m * t or m * n, 10 + 2 * difficulty


def count_divisors(number: int) -> int:
    """Number of positive divisors, by trial division."""
    count, prime = 1, 2
    while prime * prime <= number:
        exponent = 0
        while number % prime == 0:
            number //= prime
            exponent += 1
        count *= exponent + 1
        prime += 1
    return count * (2 if number > 1 else 1)


_KINDS: dict[str, Callable[[int, int, int], _Posed]] = {
    "gcd": _gcd,
    "lcm": _lcm,
    "power": _power,
    "divisors": _divisors,
    "multiples": _multiples,
    "remainders": _remainders,
}

FAMILY, FAMILY_ZH = families("numbers", make, {"en": "the integer", "zh": "整数"})
