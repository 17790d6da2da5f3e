"""Blocks of a trace's prompts -> text: prompts whose block ids begin alike begin alike, letter by letter.

Mooncake's traces give each prompt as ids of its blocks of 512 tokens (`hash_ids`), so that who shares what with whom
is known without the words. A block becomes filler that its id decides; an endpoint's own rate of tokens per character
says how much of it.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from harness.load.filler import filler_text

#: of kvcache-ai/Mooncake, FAST25-release/traces
BLOCK_TOKENS = 512
_BLOCKS_KEPT = 4096


def text_of_blocks(ids: Sequence[int], chars: int, rate: float, key: str) -> str:
    """At most `chars` characters, BLOCK_TOKENS each id at `rate` tokens per character. `key`: another run's differ."""
    each = round(BLOCK_TOKENS / rate)
    needed = ids[: -(-chars // each)]
    return "".join(_block(number, each, key) for number in needed)[:chars]


def shared_share(prompts: Iterable[tuple[Sequence[int], int]]) -> float | None:
    """Share of all input tokens that begin as an earlier prompt did: what a cache that forgets nothing can save.

    `prompts`: (block ids, input tokens) in order. The last token of a prompt is always computed. None without tokens.
    """
    seen: set[int] = set()
    hits = total = 0
    for ids, tokens in prompts:
        chain = found = 0
        for place, number in enumerate(ids):
            chain = hash((chain, number))
            if chain in seen and found == place:
                found += 1
            seen.add(chain)
        hits += max(0, min(found * BLOCK_TOKENS, tokens - 1))
        total += tokens
    return hits / total if total else None


@lru_cache(maxsize=_BLOCKS_KEPT)
def _block(number: int, chars: int, key: str) -> str:
    return filler_text(chars - 1, f"block:{key}:{number}") + " "
