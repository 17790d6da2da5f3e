"""Problem and Family: what a generator of problems gives, and what its checker says of a model's answer."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a checker found: the final answer as read from the text (None: there is none), and whether it is right."""

    right: bool
    extracted: str | None


#: Convention, not a measurement: what one written step of a solution takes. Models think at greater length.
TOKENS_PER_STEP = 24
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem: `text` is a single line, `expected` one right answer, `sentence` the same as a model may say it.

    `steps`: elementary steps of a plain solution (one operation, one case, one cell).
    """

    text: str
    expected: str
    sentence: str
    steps: int
    check: Callable[[str], Reading]

    @property
    def expected_tokens(self) -> int:
        """Length of the shortest worked solution with its answer, tokens; a thought of a model is longer than this."""
        return self.steps * TOKENS_PER_STEP + -(-len(self.sentence) // _CHARS_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A generator of problems: `make(seed, ordinal, difficulty)`; `instruction` tells the model how to end."""

    name: str
    language: str  # ISO 639-1
    instruction: str
    make: Callable[[int, int, int], Problem]


_INSTRUCTIONS = {
    "en": 'Solve the problem below. End with one line that says "Answer:" and {what}.',
    "zh": "请解下面的题目。最后单独写一行“答案：”和{what}。",
}
_SENTENCES = {"en": "The answer is {answer}.", "zh": "答案：{answer}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A problem's text with its answer, before it is put into a sentence."""

    text: str
    answer: str
    steps: int
    check: Callable[[str], Reading]

    def problem(self, language: str) -> Problem:
        """The same as a Problem."""
        sentence = _SENTENCES[language].format(answer=self.answer)
        return Problem(text=self.text, expected=self.answer, sentence=sentence, steps=self.steps, check=self.check)


def families(
    name: str, make: Callable[[int, int, int, str], Problem], what: Mapping[str, str]
) -> tuple[Family, Family]:
    """The English and the Chinese family of one generator; `what`: language -> what the last line must hold."""
    english, chinese = (
        Family(
            name=name if language == "en" else f"{name}_{language}",
            language=language,
            instruction=_INSTRUCTIONS[language].format(what=what[language]),
            make=_Maker(make, language),
        )
        for language in ("en", "zh")
    )
    return english, chinese


@dataclass(frozen=True, slots=True)
class _Maker:
    made: Callable[[int, int, int, str], Problem]
    language: str

    def __call__(self, seed: int, ordinal: int, difficulty: int) -> Problem:
        return self.made(seed, ordinal, difficulty, self.language)


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
