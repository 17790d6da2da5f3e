"""A trace of our own making, in Mooncake's format: chats of several turns on top of shared system prompts.

No row of it is real traffic. It is there to show the format and to try a replay; its numbers are invented, and it says
nothing about anybody's users. `python -m harness.load.arrivals.synthetic > trace.jsonl` writes it again.
"""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.load.blocks import BLOCK_TOKENS

SEED = 1
SECONDS = 600.0
#: Chats that begin a second; each asks again, after the answer was read, with this chance.
_CHATS_PER_S, _GOES_ON = 0.22, 0.6
_PAUSE_S = 40.0
#: Whole blocks of each assistant's system prompt.
_SYSTEM_BLOCKS = (1, 1, 2)
_QUESTION, _ANSWER = (320.0, 0.8), (110.0, 0.6)  # median and sigma of lognormal lengths, tokens
_MOST_TOKENS = 6000


@dataclass(slots=True)
class _Ids:
    """Block ids as Mooncake writes them: small numbers, in the order in which blocks were first seen."""

    known: dict[tuple[str, int], int] = field(default_factory=dict)

    def of(self, owner: str, place: int) -> int:
        return self.known.setdefault((owner, place), len(self.known))


@dataclass(frozen=True, slots=True)
class _Turn:
    at_s: float
    chat: int
    number: int
    system: int  # which assistant
    input_tokens: int
    output_tokens: int


def synthetic_trace(seed: int = SEED, seconds: float = SECONDS) -> Iterator[str]:
    """Lines of the trace, in order of time."""
    ids = _Ids()
    for turn in sorted(_turns(seed, seconds), key=lambda turn: turn.at_s):
        row = {
            "timestamp": round(turn.at_s * 1000),
            "input_length": turn.input_tokens,
            "output_length": turn.output_tokens,
            "hash_ids": _blocks(turn, ids),
        }
        yield json.dumps(row)


def _turns(seed: int, seconds: float) -> Iterator[_Turn]:
    draw = random.Random(f"synthetic trace:{seed}")
    begun_s, chat = draw.expovariate(_CHATS_PER_S), 0
    while begun_s < seconds:
        yield from _chat(draw, chat, begun_s, seconds)
        begun_s, chat = begun_s + draw.expovariate(_CHATS_PER_S), chat + 1


def _chat(draw: random.Random, chat: int, begun_s: float, seconds: float) -> Iterator[_Turn]:
    system = draw.randrange(len(_SYSTEM_BLOCKS))
    context, at_s, number = _SYSTEM_BLOCKS[system] * BLOCK_TOKENS, begun_s, 0
    while at_s < seconds:
        asked, answered = _tokens(draw, *_QUESTION), _tokens(draw, *_ANSWER)
        context += asked
        if context > _MOST_TOKENS:
            return
        yield _Turn(at_s, chat, number, system, context, answered)
        context += answered
        if draw.random() > _GOES_ON:
            return
        at_s, number = at_s + draw.expovariate(1 / _PAUSE_S), number + 1


def _tokens(draw: random.Random, median: float, sigma: float) -> int:
    return max(4, round(median * draw.lognormvariate(0, sigma)))


def _blocks(turn: _Turn, ids: _Ids) -> list[int]:
    """Whole blocks are the assistant's or the chat's; the last, unfinished one is this turn's alone."""
    whole, rest = divmod(turn.input_tokens, BLOCK_TOKENS)
    system = _SYSTEM_BLOCKS[turn.system]
    found = [
        ids.of(f"system {turn.system}" if place < system else f"chat {turn.chat}", place) for place in range(whole)
    ]
    return found + ([ids.of(f"chat {turn.chat} turn {turn.number}", whole)] if rest else [])


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in synthetic_trace())
