"""Words: a text's final answer in names or other words of a small vocabulary -> which of them it states.

Every word of the stated line must be known: an answer word or one that adds nothing ("the", "is"). A denial, a
choice ("or") or anything else unknown makes the line say nothing, so that no near miss is taken for an answer.
"""

import re
from collections.abc import Mapping

from harness.load.families.claim import Claim, find_claim

MAX_STATED_CHARS = 400
_LONGEST_HAN = 6
_TOKEN = re.compile(r"[A-Za-z]{1,40}+|[\u4e00-\u9fff]{1,400}+|\d{1,30}+|[^\s\w]|\w")
_EMPTY = frozenset("the is are was were and a an only it so answer final therefore thus on be both all of s".split())
_EMPTY_HAN = frozenset("是 和 与 为 有 答案 以及 只有 所以 因此 的 都 最终 分别".split())
_MARKS = frozenset(" \t\r\n\u2009*_`:：=\"'“”‘’()（）[]{}.。,，、;；!！&\\|-")


def find_words(answer: str, vocabulary: Mapping[str, str]) -> list[str] | None:
    """What the final answer says, in order, as values of `vocabulary` (keys in lower case); None: nothing plain."""
    claim = find_claim(answer, lambda stated: _holds(stated, vocabulary))
    if claim is None:
        return None
    words = _spoken(claim, vocabulary)
    if words is None or any(vocabulary[key] not in words for key in vocabulary if _said(claim.after, key)):
        return None
    return words


def _holds(stated: str, vocabulary: Mapping[str, str]) -> bool:
    lowered = stated.lower()
    return any(key in lowered for key in vocabulary)


def _said(text: str, key: str) -> bool:
    if not key.isascii():
        return key in text
    return re.search(rf"\b{re.escape(key)}\b", text, re.IGNORECASE) is not None


def _spoken(claim: Claim, vocabulary: Mapping[str, str]) -> list[str] | None:
    stated = claim.stated
    if len(stated) > MAX_STATED_CHARS:
        return None
    words: list[str] = []
    for token in _TOKEN.findall(stated):
        found = _han(token, vocabulary) if "\u4e00" <= token[0] <= "\u9fff" else _latin(token.lower(), vocabulary)
        if found is None:
            return None
        words += found
    return words


def _latin(token: str, vocabulary: Mapping[str, str]) -> list[str] | None:
    if token in vocabulary:
        return [vocabulary[token]]
    return [] if token in _EMPTY or token in _MARKS else None


def _han(run: str, vocabulary: Mapping[str, str]) -> list[str] | None:
    """Longest known word first; None at the first character that begins none."""
    words, at = [], 0
    while at < len(run):
        for length in range(min(_LONGEST_HAN, len(run) - at), 0, -1):
            piece = run[at : at + length]
            if piece in vocabulary:
                words.append(vocabulary[piece])
            elif piece not in _EMPTY_HAN:
                continue
            at += length
            break
        else:
            return None
    return words
