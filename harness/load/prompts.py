"""Prompt: (workload, seed, ordinal, nonce) in, the messages of one request out; the problem can be made again
from its prompt_id alone."""

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from harness.load.families import (
    algebra,
    arithmetic,
    countdown,
    counting,
    dates,
    knights,
    modular,
    numbers,
    paths,
    program,
    sudoku,
    units,
    zebra,
)  # fmt: skip
from harness.load.families.problem import Family, Problem
from harness.load.scenarios import Workload

FAMILIES: dict[str, Family] = {
    family.name: family
    for module in (
        arithmetic, modular, numbers, algebra, knights, zebra, countdown, paths, sudoku, program, dates, units,
        counting,
    )
    for family in (module.FAMILY, module.FAMILY_ZH)
}  # fmt: skip

#: usual length of an English token; the endpoint's own usage says what a prompt really cost
CHARS_PER_TOKEN = 4

_FILLER_HEAD = "Background, not needed for the problem: "
#: plain words without digits, so that no filler looks like an answer
_FILLER_WORDS = (
    "river stone window garden market winter letter bridge carpet silver forest candle harbor meadow pencil kitchen "
    "summer village mirror basket ladder island pocket shadow blanket orchard lantern valley feather copper"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What one request asks. `prompt_id` = "family:difficulty:seed:ordinal"."""

    prompt_id: str
    family: str
    messages: tuple[dict[str, str], ...]


def make_prompt(workload: Workload, seed: int, ordinal: int, nonce: str) -> Prompt:
    """The prompt of one request: families in turn by ordinal; a cold prompt begins with a line of its own."""
    prompt_id = _prompt_id(workload, seed, ordinal)
    family = FAMILIES[prompt_id.partition(":")[0]]
    question = f"{family.instruction}\n\n{problem_of(prompt_id).text}"
    head = _cold_line(nonce, seed, ordinal) if workload.cache == "cold" else ""
    filler = _filler(workload.isl_tokens, len(head) + len(question), f"{seed}:{ordinal}")
    return Prompt(
        prompt_id=prompt_id, family=family.name, messages=({"role": "user", "content": head + filler + question},)
    )


@lru_cache(maxsize=4096)
def problem_of(prompt_id: str) -> Problem:
    """The problem behind a prompt_id, made again; KeyError / ValueError for an id that is not ours."""
    family, difficulty, seed, ordinal = prompt_id.split(":")
    return FAMILIES[family].make(int(seed), int(ordinal), int(difficulty))


def answers_for(workload: Workload, seed: int, ordinals: Iterable[int]) -> Iterator[dict[str, str]]:
    """Lines for the simulator's answers file: a line that the prompt contains, and a right final answer to it."""
    for ordinal in ordinals:
        problem = problem_of(_prompt_id(workload, seed, ordinal))
        yield {"contains": problem.text, "answer": problem.sentence}


def _prompt_id(workload: Workload, seed: int, ordinal: int) -> str:
    family = workload.families[ordinal % len(workload.families)]
    return f"{family}:{workload.difficulty}:{seed}:{ordinal}"


def _cold_line(nonce: str, seed: int, ordinal: int) -> str:
    # hashed with the ordinal, or all prompts of one run would share the head and hit each other's cached prefix
    tag = hashlib.blake2b(f"{nonce}:{seed}:{ordinal}".encode(), digest_size=8).hexdigest()
    return f"[session {tag}]\n"


def _filler(isl_tokens: int | None, used_chars: int, key: str) -> str:
    """Deterministic words that bring the prompt to `isl_tokens` x CHARS_PER_TOKEN characters, never beyond."""
    room = (isl_tokens or 0) * CHARS_PER_TOKEN - used_chars - len(_FILLER_HEAD) - 2
    if room <= 0:
        return ""
    words = random.Random(f"filler:{key}").choices(_FILLER_WORDS, k=room // 5 + 1)  # five letters and up, and a space
    return f"{_FILLER_HEAD}{' '.join(words)[:room].ljust(room, '.')}\n\n"
