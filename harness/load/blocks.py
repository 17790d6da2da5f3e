"""Blocks of a trace's prompts -> text: prompts whose block ids begin alike begin alike, letter by letter.

Mooncake's traces give each prompt as ids of its blocks of 512 tokens (`hash_ids`), so that who shares what with whom
is known without the words. A block becomes filler that its id decides; an endpoint's own rate of tokens per character
says how much of it.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

#: of kvcache-ai/Mooncake, FAST25-release/traces
BLOCK_TOKENS = 512
#: An engine compares from the start, so the first words alone must tell two blocks apart: 1 in 29^8 does not.
_OWN_WORDS = 8
_WORDS_KEPT = 4096
_STOCK_CHARS = 1 << 16

Filler = Callable[[int, str], str]  # (characters, key) -> so many characters of plain words


def text_of_blocks(ids: Sequence[int], chars: int, rate: float, key: str, filler: Filler) -> str:
    """At most `chars` characters, BLOCK_TOKENS each id at `rate` tokens per character. `key`: another run's differ."""
    each = round(BLOCK_TOKENS / rate)
    needed = ids[: -(-chars // each)]
    return "".join(_block(number, each, key, filler) for number in needed)[:chars]


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


@lru_cache(maxsize=_WORDS_KEPT)
def _block(number: int, chars: int, key: str, filler: Filler) -> str:
    stock, words = _stock(filler)
    drawn = int.from_bytes(hashlib.blake2b(f"block:{key}:{number}".encode(), digest_size=16).digest(), "big")
    own = []
    for _ in range(_OWN_WORDS):
        drawn, place = divmod(drawn, len(words))
        own.append(words[place])
    begin = stock.index(" ", drawn % (len(stock) // 2)) + 1
    text = f"{' '.join(own)} {stock[begin : begin + chars]}"
    return text[: chars - 1] + " "


@lru_cache(maxsize=1)
def _stock(filler: Filler) -> tuple[str, tuple[str, ...]]:
    """A long text that blocks are cut from (cutting is cheaper than drawing words), and its words."""
    text = filler(_STOCK_CHARS, "blocks")
    return text, tuple(sorted(set(text.split(" ")[:-1])))
