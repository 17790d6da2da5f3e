"""Filler: plain words that bring a prompt to its length. Cut from one long text, not drawn word by word: a prompt of
16,000 tokens took 5 ms to draw, in which its process sent nothing else and read nothing."""

import hashlib
import random
from functools import cache

#: plain words without digits, so that no filler looks like an answer
_WORDS = (
    "river stone window garden market winter letter bridge carpet silver forest candle harbor meadow pencil kitchen "
    "summer village mirror basket ladder island pocket shadow blanket orchard lantern valley feather copper"
).split()
#: An engine compares from the start, so the first words alone must tell two texts apart: 1 in 30^10 does not.
_OWN_WORDS = 10
_STOCK_WORDS = 16_384


def filler_text(chars: int, key: str = "calibration") -> str:
    """Exactly `chars` characters. Another key's begin otherwise; a longer text of a key begins with its shorter one."""
    drawn = int.from_bytes(hashlib.blake2b(f"filler:{key}".encode(), digest_size=16).digest(), "big")
    own = []
    for _ in range(_OWN_WORDS):
        drawn, place = divmod(drawn, len(_WORDS))
        own.append(_WORDS[place])
    stock, begins = _stock()
    begin = begins[drawn % len(begins)]
    text = f"{' '.join(own)} {stock[begin : begin + chars]}"
    while len(text) < chars:
        text += stock
    return text[:chars]


@cache
def _stock() -> tuple[str, tuple[int, ...]]:
    """A long text, ending in a space, and where its words begin."""
    words = random.Random("filler").choices(_WORDS, k=_STOCK_WORDS)
    begins, at = [], 0
    for word in words:
        begins.append(at)
        at += len(word) + 1
    return " ".join([*words, ""]), tuple(begins)
