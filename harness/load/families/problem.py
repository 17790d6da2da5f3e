"""Problem and Family: what a generator of problems gives, and what its checker says of a model's answer."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a checker found: the final answer as read from the text (None: there is none), and whether it is right."""

    right: bool
    extracted: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem: `text` is a single line, `expected` one right answer, `sentence` the same as a model may say it."""

    text: str
    expected: str
    sentence: str
    check: Callable[[str], Reading]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A generator of problems: `make(seed, ordinal, difficulty)`; `instruction` tells the model how to end."""

    name: str
    language: str  # ISO 639-1
    instruction: str
    make: Callable[[int, int, int], Problem]


def draw(seed: int, ordinal: int, difficulty: int, family: str) -> random.Random:
    """The random source of one problem: the same four arguments, the same problem, on every machine."""
    return random.Random(f"{family}:{difficulty}:{seed}:{ordinal}")


def scatter(seed: int, ordinal: int, size: int) -> int:
    """A number in [0, size) that differs for every ordinal below `size`: problems cannot repeat by chance."""
    step, shift = _affine(seed, size)
    return (ordinal * step + shift) % size


@lru_cache(maxsize=64)
def _affine(seed: int, size: int) -> tuple[int, int]:
    # ordinal -> step x ordinal + shift is one to one on [0, size) when step and size share no factor
    source = random.Random(f"scatter:{seed}:{size}")
    step = source.randrange(size // 3, size)
    while math.gcd(step, size) != 1:
        step += 1
    return step, source.randrange(size)


def digits_of(number: int, radices: tuple[int, ...]) -> list[int]:
    """`number` in a mixed radix, lowest place first."""
    places = []
    for radix in radices:
        number, place = divmod(number, radix)
        places.append(place)
    return places
