"""Sudoku of 4x4, 6x6 and 9x9 cells; the whole filled grid is the answer. That it is the only one is proved by search.

One grid is solved and thinned out for each seed and difficulty; every problem shows it under another symmetry (rows,
columns, digits), which keeps the proof. Patterns of given cells differ pairwise, so that problems cannot repeat.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import factorial

from harness.load.families.claim import find_claim, has_digit, readable_tail
from harness.load.families.problem import Problem, Reading, Solved, families, scatter

#: side, rows and columns of a box, given cells (least and most), patterns, by difficulty
_SIZES = (
    (4, 2, 2, (7, 9), 4200),
    (6, 2, 3, (20, 20), 300),
    (6, 2, 3, (16, 16), 300),
    (6, 2, 3, (13, 13), 300),
    (9, 3, 3, (38, 38), 64),
    (9, 3, 3, (31, 31), 64),
)
_SEPARATORS = frozenset(" \t\r\n\u2009|-+/,;.:[](){}*_`'\"\\&、。")
_TEXTS = {
    "en": "Solve this {n}x{n} sudoku. Every row, every column and every box of {r} rows by {c} columns holds the "
    "digits 1 to {n} once; a dot is an empty cell. Rows from top to bottom: {rows}",
    "zh": "解这个 {n}x{n} 数独。"
    "每行、每列和每个 {r} 行 {c} 列的宫都恰好包含 1 到 {n}；点表示空格。从上到下各行：{rows}",
}


@dataclass(frozen=True, slots=True)
class Board:
    """Side, rows of a box, columns of a box."""

    side: int
    box_rows: int
    box_columns: int

    def box(self, cell: int) -> int:
        """Number of the box that holds a cell."""
        row, column = divmod(cell, self.side)
        return row // self.box_rows * self.box_rows + column // self.box_columns


@dataclass(frozen=True, slots=True)
class Pattern:
    """A solved grid and which of its cells are given."""

    solution: tuple[int, ...]
    given: tuple[bool, ...]


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """4x4, then 6x6, then 9x9, with ever fewer given cells."""
    side, box_rows, box_columns, _, count = _SIZES[difficulty - 1]
    number = scatter(seed, ordinal, count * factorial(side))
    pattern = patterns(seed % 4, difficulty)[number % count]
    digits = _permutation(number // count, side)
    solved = "".join(str(digits[cell] + 1) for cell in pattern.solution)
    puzzle = "".join(digit if given else "." for digit, given in zip(solved, pattern.given, strict=True))
    text = _TEXTS[language].format(n=side, r=box_rows, c=box_columns, rows=_rows(puzzle, side))
    empty = pattern.given.count(False)
    return Solved(text=text, answer=_rows(solved, side), steps=2 * empty, check=partial(check, solved)).problem(
        language
    )


def check(solved: str, answer: str) -> Reading:
    """Right where the final answer is this grid, in one line or in several, whatever separates the digits."""
    found = next((grid for text in _candidates(answer) if (grid := read_grid(text, len(solved)))), None)
    return Reading(right=found == solved, extracted=found)


def read_grid(text: str, cells: int) -> str | None:
    """The digits of a text that holds exactly `cells` of them and separators."""
    digits = "".join(letter for letter in text if letter not in _SEPARATORS)
    return digits if len(digits) == cells and digits.isascii() and digits.isdecimal() else None


def _candidates(answer: str) -> Iterator[str]:
    claim = find_claim(answer, has_digit)
    if claim is None:
        return
    if not has_digit(claim.after):
        yield claim.stated
    yield f"{claim.stated}\n{claim.after}"
    lines = readable_tail(answer).splitlines()
    if not claim.after and lines and lines[-1].strip() == claim.stated:  # nothing says "answer": the grid at the end
        block: list[str] = []
        while lines and all(letter.isdecimal() or letter in _SEPARATORS for letter in lines[-1]):
            block.insert(0, lines.pop())
        yield "\n".join(block)


@lru_cache(maxsize=32)
def patterns(draw: int, difficulty: int) -> tuple[Pattern, ...]:
    """Patterns with one solution each and pairwise different given cells."""
    side, box_rows, box_columns, (least, most), count = _SIZES[difficulty - 1]
    source = random.Random(f"sudoku:{difficulty}:{draw}")
    board = Board(side, box_rows, box_columns)
    found: dict[tuple[bool, ...], Pattern] = {}
    solution = solve(board, [0] * (side * side), source)[0]
    if side == 4:
        for pattern in _masked(board, solution, (least, most), source):
            found.setdefault(pattern.given, pattern)
            if len(found) == count:
                return tuple(found.values())
    base = _thinned(board, solution, most, source)
    while len(found) < count:
        pattern = _turned(board, base, source)
        found.setdefault(pattern.given, pattern)
    return tuple(found.values())


def solve(
    board: Board, cells: Sequence[int], source: random.Random | None = None, most: int = 1
) -> list[tuple[int, ...]]:
    """Up to `most` solutions of a grid with 0 for empty cells; digits are tried in random order with a `source`."""
    search = _Search(board, cells, source, most)
    search.fill()
    return search.found


class _Search:
    """Depth first, the cell with the fewest free digits first."""

    def __init__(self, board: Board, cells: Sequence[int], source: random.Random | None, most: int) -> None:
        self.board, self.grid, self.source, self.most = board, list(cells), source, most
        self.found: list[tuple[int, ...]] = []
        self.full = (2 << board.side) - 2
        self.used = [[0] * board.side for _ in range(3)]  # digits as bits, by row, by column, by box
        for cell, digit in enumerate(self.grid):
            if digit:
                self.flip(cell, 1 << digit)

    def flip(self, cell: int, bit: int) -> None:
        for used, place in zip(self.used, _places(self.board, cell), strict=True):
            used[place] ^= bit

    def tightest(self) -> tuple[int, int]:
        """An empty cell and its free digits; cell -1 where the grid is full."""
        best, choices = -1, 0
        rows, columns, boxes = self.used
        for cell, digit in enumerate(self.grid):
            if digit:
                continue
            row, column, box = _places(self.board, cell)
            free = self.full & ~(rows[row] | columns[column] | boxes[box])
            if best < 0 or free.bit_count() < choices.bit_count():
                best, choices = cell, free
            if choices.bit_count() < 2:
                break
        return best, choices

    def fill(self) -> None:
        cell, choices = self.tightest()
        if cell < 0:
            self.found.append(tuple(self.grid))
            return
        digits = [digit for digit in range(1, self.board.side + 1) if choices >> digit & 1]
        if self.source is not None:
            self.source.shuffle(digits)
        for digit in digits:
            self.grid[cell] = digit
            self.flip(cell, 1 << digit)
            self.fill()
            self.flip(cell, 1 << digit)
            self.grid[cell] = 0
            if len(self.found) >= self.most:
                return


def _places(board: Board, cell: int) -> tuple[int, int, int]:
    return _all_places(board)[cell]


@lru_cache(maxsize=8)
def _all_places(board: Board) -> tuple[tuple[int, int, int], ...]:
    return tuple((*divmod(cell, board.side), board.box(cell)) for cell in range(board.side**2))


def _thinned(board: Board, solution: tuple[int, ...], most: int, source: random.Random) -> Pattern:
    """Cells taken away one by one, as long as one solution is left, down to `most` given ones."""
    while True:
        cells = list(solution)
        for cell in source.sample(range(len(cells)), len(cells)):
            kept, cells[cell] = cells[cell], 0
            if len(solve(board, cells, most=2)) > 1:
                cells[cell] = kept
            if sum(map(bool, cells)) == most:
                return _zero_based(solution, [bool(digit) for digit in cells])


def _masked(
    board: Board, solution: tuple[int, ...], given: tuple[int, int], source: random.Random
) -> Iterator[Pattern]:
    """Random patterns of a 4x4 grid: unique where each of the other 287 grids differs from it in a given cell."""
    differing = {
        sum(1 << cell for cell in range(16) if other[cell] != solution[cell])
        for other in solve(board, [0] * 16, most=1000)
    } - {0}
    smallest = [each for each in differing if not any(other & each == other != each for other in differing)]
    while True:
        cells = source.sample(range(16), source.randint(*given))
        mask = sum(1 << cell for cell in cells)
        if all(mask & each for each in smallest):
            yield _zero_based(solution, [bool(mask >> cell & 1) for cell in range(16)])


def _zero_based(solution: tuple[int, ...], given: list[bool]) -> Pattern:
    return Pattern(tuple(digit - 1 for digit in solution), tuple(given))


def _turned(board: Board, pattern: Pattern, source: random.Random) -> Pattern:
    """The same under a random order of bands, of rows in them, of stacks and of columns in them."""
    rows = _order(board.side, board.box_rows, source)
    columns = _order(board.side, board.box_columns, source)
    cells = [row * board.side + column for row in rows for column in columns]
    return Pattern(tuple(pattern.solution[cell] for cell in cells), tuple(pattern.given[cell] for cell in cells))


def _order(side: int, group: int, source: random.Random) -> list[int]:
    bands = [source.sample(range(first, first + group), group) for first in range(0, side, group)]
    source.shuffle(bands)
    return [line for band in bands for line in band]


def _permutation(number: int, size: int) -> list[int]:
    """Permutation `number` of 0 .. size - 1."""
    left, chosen = list(range(size)), []
    for place in range(size, 0, -1):
        number, at = divmod(number, place)
        chosen.append(left.pop(at))
    return chosen


def _rows(cells: str, side: int) -> str:
    return " ".join(cells[at : at + side] for at in range(0, len(cells), side))


FAMILY, FAMILY_ZH = families(
    "sudoku", make, {"en": "all digits of the grid, row by row", "zh": "整个数独的所有数字，逐行写出"}
)
