"""Every family: the right answer in ten phrasings is right, a thousand mutants of it never are, and proofs hold."""

import random
import re
from datetime import date
from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.families import dates, knights, numbers, paths, program, sudoku, zebra
from harness.load.families.claim import Claim
from harness.load.families.quantity import check_number, stated_number
from harness.load.families.sequence import check_sequence
from harness.load.families.units import units_of
from harness.load.families.zh_numbers import read_zh_number
from harness.load.prompts import FAMILIES, problem_of

PHRASINGS = (
    "{}",
    "Answer: {}",
    "The answer is {}.",
    "**Answer:** {}",
    "**Final answer:** **{}**",
    "\\boxed{{{}}}",
    "The final answer is \\(\\boxed{{\\text{{{}}}}}\\).",
    "答案：{}",
    "所以答案是{}。",
    "#### {}",
    "Let me think about 3 cases first.\n\nSo the answer is: `{}`",
    "Answer:\n{}\n",
)
FRAMES = ("{}", "Answer: {}", "The answer is {}.", "\\boxed{{{}}}", "答案：{}", "#### {}", "**Answer:** {}")
SEEDS = st.integers(0, 2**63)


@pytest.mark.parametrize("name", FAMILIES)
@given(seed=SEEDS, ordinal=st.integers(0, 100_000), difficulty=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_right_answers_in_every_phrasing_are_right(name, seed, ordinal, difficulty):
    problem = FAMILIES[name].make(seed, ordinal, difficulty)
    for phrasing in PHRASINGS:
        assert problem.check(phrasing.format(problem.expected)).right, (problem.text, phrasing, problem.expected)


def mutated(expected: str, others: list[str], source: random.Random) -> str:
    """A near miss of an answer: never equal to it in meaning."""
    kind = source.randrange(7)
    places = [at for at, letter in enumerate(expected) if letter.isdecimal()]
    if kind == 0:
        return f"not {expected}"
    if kind == 1:
        return f"{expected} or {source.choice(others)}"
    if kind == 2:
        return f"{expected} {source.choice(('thousand', 'perhaps', 'x', '+ 1', '^2'))}"
    if not places:
        return _mutated_words(expected, others, source)
    at = source.choice(places)
    if kind == 3:
        return f"{expected[:at]}{source.choice('123456789')}{expected[at:]}"
    if kind == 4 and len(re.findall(r"\d", expected)) > 1 and expected[at] != "0":
        dropped = expected[:at] + expected[at + 1 :]
        return dropped if not _same(dropped, expected) else f"{expected}7"
    digit = source.choice([each for each in "123456789" if each != expected[at]])
    return expected[:at] + digit + expected[at + 1 :]


def _same(one: str, other: str) -> bool:
    try:
        return Fraction(one) == Fraction(other)
    except (ValueError, ZeroDivisionError):
        return False


def _mutated_words(expected: str, others: list[str], source: random.Random) -> str:
    words = re.split(r"[,、]\s*", expected)
    place, kind = source.randrange(len(words)), source.randrange(3)
    if kind == 0:
        words[place] = source.choice(others)
    elif kind == 1:
        words.append(source.choice(others))
    elif len(words) > 1:
        words.pop(place)
    else:
        words = [source.choice(others)]
    return ", ".join(words)


@pytest.mark.parametrize("name", [name for name in FAMILIES if not name.startswith("countdown")])
def test_a_thousand_mutants_are_never_right(name):
    source = random.Random(13)
    words = [word for each in range(40) for word in re.split(r"[,、]\s*", problem_of(f"{name}:3:9:{each}").expected)]
    for ordinal in range(1000):
        problem = problem_of(f"{name}:{1 + ordinal % 6}:5:{ordinal}")
        own = re.split(r"[,、]\s*", problem.expected)
        others = [word for word in words if word not in own]
        mutant = mutated(problem.expected, others, source)
        said = source.choice(FRAMES).format(mutant)
        assert not problem.check(said).right, (problem.text, problem.expected, said)


HALF = [
    "Answer: 1/2",
    "Answer: 0.5",
    "Answer: 50 %",
    "Answer: 50%",
    "Answer: \\frac{1}{2}",
    "\\boxed{\\dfrac{1}{2}}",
    "Answer: 50\\%",
    "Answer: 5/10",
    "答案：二分之一",
    "答案：百分之五十",
    "答案：零点五",
    "Answer: ０.５",
    "Answer: 2/4.",
    "Answer: 50 percent",
    "Answer: x = 1/2",
    "Answer: 3/6 = 1/2",
]


@pytest.mark.parametrize("text", HALF)
def test_a_half_however_it_is_written(text):
    assert check_number(Fraction(1, 2), {}, text).right
    assert not check_number(Fraction(1, 3), {}, text).right


@pytest.mark.parametrize(
    "text",
    [
        "Answer: 50",
        "Answer: 1/20",
        "Answer: 1/2/2",
        "Answer: 1/2.5",
        "Answer: -1/2",
        "Answer: 1/2 or 1/3",
        "Answer: 0.5 %",
        "Answer: 0.55",
        "Answer: it is not true that x = 0.5",
        "Answer: 0.7 = 1/2",
        "Answer: 1/0",
        "Answer: \\frac{1}{0}",
        "Answer: 0.5 km",
        "答案：不是二分之一",
        "答案：三分之二",
        "Answer: 1/2. Not 1/2.",
    ],
)
def test_what_is_not_a_half(text):
    assert not check_number(Fraction(1, 2), {}, text).right


@pytest.mark.parametrize(
    "text",
    [
        "Answer: 2.5 h",
        "150 minutes",
        "Answer: 2 h 30 min",
        "Answer: 2 hours and 30 minutes.",
        "9,000 s",
        "答案：2小时30分钟",
        "答案：两小时三十分钟",
        "Answer: 5/2",
        "\\boxed{2.5\\text{ hours}}",
        "Answer: 2.5 hours = 150 minutes",
    ],
)
def test_units_of_the_same_kind_say_the_same(text):
    units = units_of(1, 2)
    assert check_number(Fraction(5, 2), units, text).right, text
    assert not check_number(Fraction(5, 2) + Fraction(1, 3600), units, text).right


@pytest.mark.parametrize("text", ["Answer: 2.5 min", "Answer: 150", "2 h 30 s", "Answer: 2.5 kg", "2 h 90 min 5 s"])
def test_other_units_do_not(text):
    assert not check_number(Fraction(5, 2), units_of(1, 2), text).right


@given(st.integers(0, 10**8 - 1))
def test_chinese_numerals_are_read_as_they_are_said(value):
    assert read_zh_number(said_in_chinese(value)) == (value, len(said_in_chinese(value)))


def said_in_chinese(value: int) -> str:
    """An independent writer of numerals below 10^8."""
    digits = "零一二三四五六七八九"
    if value >= 10_000:
        high, low = divmod(value, 10_000)
        tail = "" if low == 0 else ("零" if low < 1000 else "") + said_in_chinese(low)
        return f"{said_in_chinese(high)}万{tail}"
    if value < 10:
        return digits[value]
    for size, letter in ((1000, "千"), (100, "百"), (10, "十")):
        if value >= size:
            head, rest = divmod(value, size)
            gap = "零" if rest and rest < size // 10 else ""
            return digits[head] + letter + (gap + said_in_chinese(rest) if rest else "")
    raise AssertionError


@pytest.mark.parametrize("text", ["十百", "百分之", "分之二", "点五", "三三十", "万亿点", "负"])
def test_ill_formed_numerals_are_none(text):
    assert read_zh_number(text) is None or read_zh_number(text)[1] < len(text)


def test_numbers_of_a_line_that_says_two_things():
    assert stated_number(Claim("1/2, 1/3", "")) is None
    assert stated_number(Claim("1/2, 0.5", "")) == Fraction(1, 2)


@pytest.mark.parametrize("text", ["3, 8, 1", "Answer: [3, 8, 1]", "3 8 1", "Answer: 3、8、1。", "`3, 8, 1`"])
def test_sequences(text):
    assert check_sequence((3, 8, 1), text).right


@pytest.mark.parametrize(
    "text", ["3, 8", "3, 8, 1, 1", "8, 3, 1", "3, 8, 1.5", "3 8 10", "3, -8, 1", "381", "3, 8 or 1"]
)
def test_other_sequences(text):
    assert not check_sequence((3, 8, 1), text).right


NAMES, KNIGHTS = ("Ada", "Adam", "Carl"), frozenset({"Ada", "Carl"})


@pytest.mark.parametrize(
    "text",
    [
        "Answer: Ada, Carl",
        "Carl and Ada are knights.",
        "Ada is a knight, Adam is a knave, Carl is a knight",
        "Knights: Ada, Carl; knaves: Adam",
        "The answer is Ada and Carl.",
        "Ada and Carl are knights and Adam is a knave",
    ],
)
def test_knights_in_any_natural_form(text):
    assert knights.check(NAMES, KNIGHTS, text).right


@pytest.mark.parametrize(
    "text",
    [
        "Answer: Ada",
        "Answer: Ada, Adam",
        "Ada, Carl, Adam",
        "Ada is a knave, Carl is a knight",
        "Ada or Carl",
        "Answer: not Ada, Carl",
        "Ada is a knight, Adam and Carl are knaves",
        "Ada and Carl are knaves",
        "Ada is a knight and a knave, Carl is a knight",
        "Answer: Ada, Carl\nAnd Adam.",
    ],
)
def test_other_knights(text):
    assert not knights.check(NAMES, KNIGHTS, text).right


def test_owners_beside_their_pets_in_any_order_but_never_mixed():
    owners, pets = ("Ada", "Bella"), ("cat", "dog")
    for text in ("Ada, Bella", "cat: Ada, dog: Bella", "dog: Bella, cat: Ada", "Ada is the owner of cat, Bella of dog"):
        assert zebra.check(owners, pets, text).right or "owner" in text
    for text in ("Bella, Ada", "dog: Ada, cat: Bella", "cat: Ada", "Ada", "cat: Ada, Bella: dog", "Ada, Bella, Ada"):
        assert not zebra.check(owners, pets, text).right


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21",
        "21 November 2026",
        "Nov 21, 2026",
        "November 21st, 2026",
        "2026年11月21日",
        "Saturday, 21 November 2026",
        "２０２６年１１月２１日",
        "2026/11/21",
    ],
)
def test_dates_in_any_plain_form(text):
    wanted = date(2026, 11, 21)
    assert all(dates.check_date(wanted, frame.format(text)).right for frame in FRAMES)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22",
        "11/21/2026",
        "21 November",
        "2026-11-21 or 2026-11-22",
        "21 October 2026",
        "2026-13-21",
        "21 November 20260",
        "the day after 2026-11-21",
    ],
)
def test_other_dates(text):
    assert not dates.check_date(date(2026, 11, 21), f"Answer: {text}").right


@given(seed=SEEDS, difficulty=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_one_world_fits_the_knights(seed, difficulty):
    said, world = knights.pose(difficulty + 2, random.Random(seed))
    fitting = [
        each
        for each in range(1 << len(said))
        if all(knights.holds(what, each) == bool(each >> who & 1) for who, what in enumerate(said))
    ]
    assert fitting == [world]


def worlds(houses: int, kinds: int) -> list[tuple[tuple[int, ...], ...]]:
    """All arrangements of a zebra, in the order of its bits."""
    return list(product(permutations(range(houses)), repeat=kinds))


@pytest.mark.parametrize("size", [(3, 2), (3, 3), (4, 2), (5, 2), (4, 3)])
def test_the_bits_of_a_clue_are_the_arrangements_in_which_it_is_true(size):
    every, source = worlds(*size), random.Random(5)
    for name in ("in", "not_in", "same", "left", "next") * 3:
        first, second = ((source.randrange(size[1]), source.randrange(size[0])) for _ in range(2))
        clue = (name, first, (0, second[1]) if "in" in name else second)
        bits = zebra.allowed(clue, *size)
        assert [bool(bits >> place & 1) for place in range(len(every))] == [zebra.holds(clue, each) for each in every]
        assert bits.bit_length() <= len(every)


@given(seed=SEEDS, size=st.sampled_from([(3, 2), (3, 3), (4, 2)]), direct=st.booleans())
@settings(max_examples=30, deadline=None)
def test_one_arrangement_fits_the_zebra_and_no_clue_is_idle(seed, size, direct):
    source = random.Random(seed)
    world = tuple(tuple(source.sample(range(size[0]), size[0])) for _ in range(size[1]))
    clues = zebra.pose(world, source, direct=direct)
    fitting = [each for each in worlds(*size) if all(zebra.holds(clue, each) for clue in clues)]
    assert fitting == [world]
    for clue in clues:
        assert zebra.count_worlds([other for other in clues if other != clue], *size) > 1


@pytest.mark.parametrize("difficulty", range(1, 7))
def test_every_sudoku_has_one_solution(difficulty):
    side, box_rows, box_columns = sudoku._SIZES[difficulty - 1][:3]
    board = sudoku.Board(side, box_rows, box_columns)
    for ordinal in range(25):
        problem = problem_of(f"sudoku:{difficulty}:{ordinal}:{ordinal}")
        rows = problem.text.rpartition(": ")[2].replace(" ", "")
        found = sudoku.solve(board, [0 if cell == "." else int(cell) for cell in rows], most=2)
        assert ["".join(map(str, each)) for each in found] == [problem.expected.replace(" ", "")]
        lines = problem.expected.split()
        assert problem.check("So here it is.\n\n" + "\n".join(" ".join(line) for line in lines)).right
        assert problem.check("Answer:\n" + "\n".join(f"| {line} |" for line in lines)).right


@given(start=st.tuples(st.integers(0, 99), st.integers(0, 99)), seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_programs_print_what_python_would(start, seed):
    source = random.Random(seed)
    body = [program._block(source) for _ in range(5)]
    first = {"a": start[0], "b": start[1], "c": 7}
    values, _ = program.run(body, first)
    lines = [line for statement in body for line in _python(statement, 0)]
    scope = dict(first)
    exec("\n".join(lines), {}, scope)  # our own text, not a model's
    assert {name: scope[name] for name in "abc"} == values


def _python(statement, depth: int) -> list[str]:
    pad = "    " * depth
    if statement[0] == "set":
        return [pad + program.told(statement)]
    if statement[0] == "repeat":
        return [f"{pad}for _ in range({statement[1]}):", *_block_of(statement[2], depth)]
    head = f"{pad}if {statement[1]} {statement[2]} {statement[3]}:"
    return [head, *_block_of(statement[4], depth), f"{pad}else:", *_block_of(statement[5], depth)]


def _block_of(block, depth: int) -> list[str]:
    return [line for each in block for line in _python(each, depth + 1)]


def test_a_program_that_runs_too_long_is_stopped():
    body = [("repeat", 9_999, [("set", "a", ("a", "+", 1), 97)] * 2)]
    with pytest.raises(ValueError, match="too long"):
        program.run(body, {"a": 0, "b": 0, "c": 0})


@pytest.mark.parametrize("ordinal", range(40))
def test_number_theory_agrees_with_trying(ordinal):
    problem = problem_of(f"numbers:1:3:{ordinal}")
    seen = [int(each) for each in re.findall(r"\d+", problem.text)]
    value = int(problem.expected)
    if "common divisor" in problem.text:
        assert value == max(each for each in range(1, min(seen) + 1) if all(n % each == 0 for n in seen))
    elif "common multiple" in problem.text:
        assert value == next(each for each in range(seen[0], 10**8, seen[0]) if each % seen[1] == 0)
    elif "remainder when" in problem.text:
        assert value == seen[0] ** seen[1] % seen[2]
    elif "positive divisors" in problem.text:
        assert value == numbers.count_divisors(seen[0]) == sum(seen[0] % n == 0 for n in range(1, seen[0] + 1))
    elif "divisible by" in problem.text:
        assert value == sum(n % seen[2] == 0 or n % seen[3] == 0 for n in range(1, seen[1] + 1))
    else:
        a, m, b, n = seen
        assert value == next(each for each in range(a or m, 10**7, m) if each % n == b)


def test_the_shortest_ways_are_shortest():
    assert paths.jug_moves((3, 5), 0, 20)[4] == 6
    assert paths.jug_moves((3, 5), 0, 20)[1] == 4
    assert paths.least_cost(["19", "11"]) == 2
    assert paths.least_cost(["191", "111", "991"]) == 4
    assert paths.shortest_way({(0, 1): 5, (1, 2): 5, (0, 2): 11}, 0, 2) == 10
