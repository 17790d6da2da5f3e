"""Expression: a bounded reader of + - * / and brackets. Text in, exact value and the literals it used out."""

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_CHARS = 400
MAX_TOKENS = 80
MAX_DEPTH = 16
MAX_LITERAL_DIGITS = 9

_TOKEN = re.compile(r"\s*+(\d++|\\frac|[()\[\]{}+\-*/xX])")
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Expression:
    """The value of an expression and its literals in order of reading."""

    value: Fraction
    literals: tuple[int, ...]


class _Unreadable(Exception):
    """The text is not an expression of this grammar."""


def read_expression(text: str) -> Expression | None:
    """Parse and evaluate; None for anything outside the grammar, too long, too deep, or divided by zero."""
    tokens = _tokens(text)
    if not tokens:
        return None
    reader = _Reader(tokens)
    try:
        value = reader.sum(0)
    except (_Unreadable, ZeroDivisionError):
        return None
    return Expression(value, tuple(reader.literals)) if reader.at == len(tokens) else None


def _tokens(text: str) -> list[str] | None:
    text = text.strip()
    if len(text) > MAX_CHARS:
        return None
    tokens: list[str] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found or len(tokens) == MAX_TOKENS:
            return None
        tokens.append(found[1])
        position = found.end()
    return tokens


class _Reader:
    """Recursive descent: sum -> product -> atom."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.literals: list[int] = []

    def take(self, wanted: str) -> str | None:
        """The next token if it is one of the characters of `wanted`."""
        if self.at < len(self.tokens) and self.tokens[self.at] in tuple(wanted):
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def sum(self, depth: int) -> Fraction:
        value = self.product(depth)
        while sign := self.take("+-"):
            term = self.product(depth)
            value = value + term if sign == "+" else value - term
        return value

    def product(self, depth: int) -> Fraction:
        value = self.atom(depth)
        while sign := self.take("*/xX"):
            factor = self.atom(depth)
            value = value / factor if sign == "/" else value * factor
        return value

    def atom(self, depth: int) -> Fraction:
        if depth >= MAX_DEPTH or self.at >= len(self.tokens):
            raise _Unreadable
        token = self.tokens[self.at]
        if token == "\\frac":
            self.at += 1
            above = self.group(depth)
            return above / self.group(depth)
        if token.isdigit():
            return self.literal(token)
        return self.group(depth)

    def literal(self, token: str) -> Fraction:
        if len(token) > MAX_LITERAL_DIGITS:
            raise _Unreadable
        self.at += 1
        self.literals.append(int(token))
        return Fraction(int(token))

    def group(self, depth: int) -> Fraction:
        opener = self.take("([{")
        if opener is None:
            raise _Unreadable
        value = self.sum(depth + 1)
        if self.take(_BRACKETS[opener]) is None:
            raise _Unreadable
        return value
