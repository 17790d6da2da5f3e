"""Prompt: (workload, seed, ordinal, nonce) in, the messages of one request out; the problem can be made again
from its prompt_id alone."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from harness.load.blocks import text_of_blocks
from harness.load.datasets import Messages, row_id, row_of
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
from harness.load.filler import filler_text
from harness.load.lengths import read_lengths
from harness.load.ruler import Ruler
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

_SYSTEM_HEAD = "You are a careful assistant. What you may need to know: "
_FILLER_HEAD = "Background, not needed for the problem: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What one request asks. `prompt_id` = "family:difficulty:seed:ordinal" names the problem, whoever asks it when;
    `conversation` and `turn` (from 1) its place, None where every request stands alone."""

    prompt_id: str
    family: str
    messages: Messages
    max_tokens: int
    conversation: int | None = None
    turn: int | None = None


#: How many different shared beginnings a run has; the first prompt of each one is a miss.
SHARED_PREFIXES = 4
#: Of a chat template's tokens about these stand behind what the user says, where the model begins to speak: 5 of
#: ChatML and of Llama 3, 1 of DeepSeek.
_CLOSING_TOKENS = 4.0
#: Hex digits that tell prompts behind one shared beginning apart.
_OWN_DIGITS = 8
_PLAIN = Ruler(filler_rate=1 / CHARS_PER_TOKEN, text_rate=1 / CHARS_PER_TOKEN)


def make_prompt(workload: Workload, seed: int, ordinal: int, nonce: str | None, ruler: Ruler = _PLAIN) -> Prompt:
    """What a user says: families in turn by ordinal. A cold prompt begins with a line of its own, made from `nonce`;
    None: a later turn of a conversation, whose history is its own already."""
    if workload.file is not None and workload.format is not None:
        return _prompt_of_file(workload, seed, ordinal, nonce)
    prompt_id = _prompt_id(workload, seed, ordinal)
    family = FAMILIES[prompt_id.partition(":")[0]]
    question = f"{family.instruction}\n\n{problem_of(prompt_id).text}"
    warm = workload.cache == "as_is" or workload.blocks or nonce is None
    tokens = input_tokens(workload, seed, ordinal)
    shared = _shared_prefix(workload, tokens, f"{nonce}:{seed}:{ordinal % SHARED_PREFIXES}", ruler)
    head = "" if nonce is None or warm else _cold_line(nonce, seed, ordinal, behind_shared=bool(shared))
    room = ruler.filler_chars(tokens or 0, family.name, len(head) + len(question))
    if workload.blocks:  # a trace says itself what its prompts share
        key = f"{seed}" if workload.cache == "as_is" else f"{nonce}:{seed}"
        shared = text_of_blocks(workload.blocks, max(room - 2, 0), ruler.filler_rate, key) + "\n\n"
    # a shared beginning is filler, too: it takes its room from the prompt's own
    filler = _filler(room - len(shared), f"{seed}:{ordinal}")
    return Prompt(
        prompt_id=prompt_id,
        family=family.name,
        messages=({"role": "user", "content": shared + head + filler + question},),
        max_tokens=output_tokens(workload, seed, ordinal),
    )


def _prompt_of_file(workload: Workload, seed: int, ordinal: int, nonce: str | None) -> Prompt:
    prompt_id = row_id(workload.file or "", workload.format or "", ordinal)
    messages = row_of(prompt_id).messages
    if nonce is None:
        messages = tuple(message for message in messages if message["role"] != "system") or messages
    elif workload.cache != "as_is":
        first, *rest = messages
        messages = ({**first, "content": _cold_line(nonce, seed, ordinal) + first["content"]}, *rest)
    return Prompt(
        prompt_id=prompt_id,
        family=workload.format or "",
        messages=messages,
        max_tokens=output_tokens(workload, seed, ordinal),
    )


def system_message(workload: Workload, nonce: str, ruler: Ruler = _PLAIN) -> Messages:
    """What stands before everything that all users of a run say, the same for each; cold: new in every run."""
    if workload.system is None:
        return ()
    tag = "" if workload.cache == "as_is" else _tagged("context", f"system:{nonce}")
    if isinstance(workload.system, str):
        return ({"role": "system", "content": tag + workload.system},)
    head = tag + _SYSTEM_HEAD
    room = ruler.filler_chars(workload.system, "", len(head))
    return ({"role": "system", "content": head + filler_text(room, "system")},)


def input_tokens(workload: Workload, seed: int, ordinal: int) -> int | None:
    """Length that one prompt should have; None: as long as its problem."""
    return workload.isl_tokens if workload.isl is None else _lengths(workload.isl).draw(seed, ordinal, "isl")


def output_tokens(workload: Workload, seed: int, ordinal: int) -> int:
    """Cap of one request, reasoning included."""
    if workload.osl is None:
        return workload.max_tokens
    return min(workload.max_tokens, _lengths(workload.osl).draw(seed, ordinal, "osl"))


_lengths = lru_cache(maxsize=16)(read_lengths)


@lru_cache(maxsize=4096)
def problem_of(prompt_id: str) -> Problem:
    """The problem behind a prompt_id, made again; KeyError / ValueError for an id that is not ours."""
    family, difficulty, seed, ordinal = prompt_id.split(":")
    return FAMILIES[family].make(int(seed), int(ordinal), int(difficulty))


def answers_for(workload: Workload, seed: int, ordinals: Iterable[int]) -> Iterator[dict[str, str]]:
    """Lines for the simulator's answers file: a line that the prompt contains, and a right final answer to it."""
    for ordinal in ordinals if workload.families else ():
        problem = problem_of(_prompt_id(workload, seed, ordinal))
        yield {"contains": problem.text, "answer": problem.sentence}


def _prompt_id(workload: Workload, seed: int, ordinal: int) -> str:
    family = workload.families[ordinal % len(workload.families)]
    return f"{family}:{workload.difficulty}:{seed}:{ordinal}"


def _cold_line(nonce: str, seed: int, ordinal: int, *, behind_shared: bool = False) -> str:
    """A line that no other prompt has; behind a shared beginning its first letters differ, or they were shared, too."""
    # hashed with the ordinal, or all prompts of one run would share the head and hit each other's cached prefix
    line = _tagged("session", f"{nonce}:{seed}:{ordinal}")
    return f"{line.split()[1][:_OWN_DIGITS]}\n" if behind_shared else line


def _tagged(word: str, key: str) -> str:
    return f"[{word} {hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}]\n"


def _shared_prefix(workload: Workload, tokens: int | None, key: str, ruler: Ruler) -> str:
    """A beginning that every SHARED_PREFIXES-th prompt has in common; the shorter one is a part of the longer one.

    It is filler alone, whose tokens the ruler knows: the filler's own first words tell one run's from another's.
    """
    if not workload.shared_share or not tokens:
        return ""
    before = max(ruler.fixed_tokens - _CLOSING_TOKENS, 0.0)  # of the template, shared by all prompts
    chars = round((workload.shared_share * tokens - before) / ruler.filler_rate)
    return f"{filler_text(chars - 1, f'shared:{key}')}\n" if chars > 1 else ""


def _filler(room: int, key: str) -> str:
    """Deterministic words that take up `room` characters, never more; a few of them need no introduction."""
    head = _FILLER_HEAD if room > 2 * len(_FILLER_HEAD) else ""
    room -= len(head) + 2
    return f"{head}{filler_text(room, key)}\n\n" if room > 0 else ""
