"""Program output: a short program in a tiny language of ours, run by an interpreter of ours; its output is the answer.

Programs are trees, never text that is executed. All numbers are integers; `%` gives the remainder, never negative.
"""

import random
from functools import partial

from harness.load.families.problem import Problem, Solved, digits_of, draw, families, scatter
from harness.load.families.sequence import check_sequence

_RADICES = (980, 980)  # the first values of a and b number the ordinals
_SPACE = 980 * 980
_MOST_STEPS = 10_000
_NAMES = "abc"

#: a variable or a number; left operand, sign, right operand
Atom = str | int
Expression = tuple[Atom, str, Atom]
#: ("set", name, expression, modulus) | ("repeat", times, body) | ("if", left, sign, right, body, otherwise)
Statement = tuple[object, ...]

_FRAMES = {
    "en": "What does this program print? Statements run in order; 'repeat n' runs its block n times; x % y is the "
    "remainder of x divided by y (never negative): {program}",
    "zh": "下面的程序输出什么？语句按顺序执行；"
    "repeat n 把花括号中的语句执行 n 次；x % y 是 x 除以 y 的余数（不为负）：{program}",
}


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """`difficulty` + 1 blocks over three variables."""
    first, second = digits_of(scatter(seed, ordinal, _SPACE), _RADICES)
    source = draw(seed, ordinal, difficulty, "program")
    start = {"a": first + 10, "b": second + 10, "c": source.randint(2, 99)}
    body = [_block(source) for _ in range(difficulty + 1)]
    values, steps = run(body, start)
    shown = _NAMES[: 1 + min(2, difficulty // 2)]
    output = tuple(values[name] for name in shown)
    lines = [*(f"{name} = {value}" for name, value in start.items()), *map(told, body), f"print {', '.join(shown)}"]
    return Solved(
        text=_FRAMES[language].format(program="; ".join(lines)),
        answer=", ".join(map(str, output)),
        steps=2 * steps,
        check=partial(check_sequence, output),
    ).problem(language)


def run(body: list[Statement], start: dict[str, int]) -> tuple[dict[str, int], int]:
    """Final values and the number of statements that ran. Raises ValueError beyond _MOST_STEPS."""
    values, pending, steps = dict(start), list(reversed(body)), 0
    while pending:
        statement = pending.pop()
        steps += 1
        if steps > _MOST_STEPS:
            raise ValueError("the program runs too long")
        match statement:
            case ("set", str(name), (left, str(sign), right), int(modulus)):
                values[name] = compute(_value(left, values), sign, _value(right, values)) % modulus
            case ("repeat", int(times), list(block)):
                pending.extend(list(reversed(block)) * times)
            case ("if", left, str(sign), right, list(block), list(otherwise)):
                holds = compare(_value(left, values), sign, _value(right, values))
                pending.extend(reversed(block if holds else otherwise))
            case _:
                raise ValueError(f"no statement of this language: {statement!r}")
    return values, steps


def compute(left: int, sign: str, right: int) -> int:
    """One operation."""
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


def compare(left: int, sign: str, right: int) -> bool:
    """One comparison."""
    return {"<": left < right, ">": left > right, "==": left == right}[sign]


def told(statement: Statement) -> str:
    """The text of a statement."""
    match statement:
        case ("set", name, (left, sign, right), modulus):
            return f"{name} = ({left} {sign} {right}) % {modulus}"
        case ("repeat", times, list(block)):
            return f"repeat {times} {{ {'; '.join(map(told, block))} }}"
        case ("if", left, sign, right, list(block), list(otherwise)):
            then, instead = ("; ".join(map(told, each)) for each in (block, otherwise))
            return f"if {left} {sign} {right} {{ {then} }} else {{ {instead} }}"
    raise ValueError(f"no statement of this language: {statement!r}")


def _value(atom: object, values: dict[str, int]) -> int:
    return atom if isinstance(atom, int) else values[str(atom)]


def _block(source: random.Random) -> Statement:
    kind = source.randrange(3)
    if kind == 0:
        return _assignment(source)
    if kind == 1:
        return "repeat", source.randint(2, 4), [_assignment(source) for _ in range(source.randint(1, 2))]
    left, right = source.sample(_NAMES, 2)
    return "if", left, source.choice("<>"), right, [_assignment(source)], [_assignment(source)]


def _assignment(source: random.Random) -> Statement:
    left, right = source.choice(_NAMES), source.choice([*_NAMES, source.randint(2, 50)])
    return "set", source.choice(_NAMES), (left, source.choice("+-*"), right), source.choice((97, 101, 251, 509, 997))


FAMILY, FAMILY_ZH = families(
    "program", make, {"en": "the printed numbers, separated by commas", "zh": "输出的数，用逗号分隔"}
)
