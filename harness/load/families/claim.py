"""Claim: where a model's text states its final answer. Text in, the line or box that states it out.

The grammar is small and bounded on purpose: only the end of the text is read, every repetition is possessive or
capped, and nothing is ever evaluated as code.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

TAIL_CHARS = 2_000  # a final answer stands at the end; whatever comes before costs nothing
MAX_BOX_CHARS = 400
MAX_MARKERS = 8  # looked at, from the last one back

THIN = "\u2009"  # stands for every narrow space, between groups of three digits
_CHARACTERS = str.maketrans(
    {
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        **dict.fromkeys("\u2212\u2010\u2011\u2013\uff0d\ufe63", "-"),
        **dict.fromkeys("\u00a0\u202f\u2007", THIN),
        **dict.fromkeys("\u00d7\u00b7\u22c5\u2217\uff0a\u2715", "*"),
        **dict.fromkeys("\u00f7\u2215\uff0f", "/"),
        "\uff0b": "+",
        "\uff1d": "=",
        "\uff1a": ":",
        "\uff08": "(",
        "\uff09": ")",
        "\uff0e": ".",
        "\uff0c": ",",
    }
)
_LATEX = (
    ("{,}", ","),
    *((space, THIN) for space in ("\\,", "\\;", "\\:", "\\!", "\\ ")),
    ("\\%", "%"),
    ("\\times", "*"),
    ("\\cdot", "*"),
    ("\\div", "/"),
    ("\\left", ""),
    ("\\right", ""),
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    *((wrap + "{", "{") for wrap in ("\\text", "\\mathrm", "\\mathbf", "\\textbf")),
    *((fence, " ") for fence in ("\\(", "\\)", "\\[", "\\]")),
    ("$", " "),
)
_WORDS = "answer|result|value|total|expression|solution|output|答案|结果|输出|算式|表达式|结论"
_VERBS = r"is\b|are\b|equals\b|:|=|是|为|等于"
_MARKER = re.compile(
    rf"(?P<box>\\(?:boxed|fbox)\s{{0,4}}+\{{)|\#\#\#\#|(?:{_WORDS})[\s*_`\"]{{0,6}}+(?:{_VERBS})", re.IGNORECASE
)
OPENERS = " \t\r\n\u2009*_`:=\"'“({["
CLOSERS = " \t\r\n\u2009*_`\"'”)}]"
STOPS = ".。!！,;；"


@dataclass(frozen=True, slots=True)
class Claim:
    """`stated`: the line or box with the final answer; `after`: what the text still says behind it."""

    stated: str
    after: str


def has_digit(stated: str) -> bool:
    """The text holds a decimal digit, of any script."""
    return any(letter.isdecimal() for letter in stated)


def find_claim(text: str, states: Callable[[str], bool] = has_digit) -> Claim | None:
    """The last place where the text says what its answer is; else its last line. None for an empty text.

    `states` tells whether a line or box can hold an answer of the wanted kind at all.
    """
    tail = readable_tail(text)
    for marker in list(_MARKER.finditer(tail))[: -MAX_MARKERS - 1 : -1]:
        claim = _boxed(tail, marker.end()) if marker["box"] else _worded(tail, marker.end())
        if claim and states(claim.stated):
            return claim
    last_line = tail.rstrip().rpartition("\n")[2].strip()
    return Claim(last_line, "") if last_line else None


def readable_tail(text: str) -> str:
    """The end of the text in plain characters: full-width forms, LaTeX spaces and signs replaced."""
    text = text.rstrip()
    if len(text) > TAIL_CHARS:  # the cut may split a number: begin behind the first whitespace
        parts = text[-TAIL_CHARS:].split(None, 1)
        text = parts[1] if len(parts) == 2 else ""
    text = text.translate(_CHARACTERS)
    if "\\" in text or "$" in text or "{,}" in text:
        for latex, plain in _LATEX:
            text = text.replace(latex, plain)
    return text


def _boxed(tail: str, begin: int) -> Claim | None:
    depth = 1
    for position in range(begin, min(len(tail), begin + MAX_BOX_CHARS)):
        depth += {"{": 1, "}": -1}.get(tail[position], 0)
        if depth == 0:
            return Claim(tail[begin:position], tail[position + 1 :])
    return None


def _worded(tail: str, begin: int) -> Claim:
    stated, _, after = tail[begin:].lstrip(OPENERS.replace("(", "").replace("{", "").replace("[", "")).partition("\n")
    return Claim(stated, after)
