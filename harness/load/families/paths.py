"""State search: water jugs, grids and graphs; the least number of moves or the least cost is the answer."""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial

from harness.load.families.problem import Problem, Solved, digits_of, draw, families, scatter
from harness.load.families.quantity import Units, check_number

_PER_KIND = 36_000
_JUGS = (60, 60, 10)  # two sizes and what is in the first jug number the ordinals
_WEIGHTS = (190, 190)  # the first two roads do
_NODES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_TEXTS = {
    "en": {
        "jugs": "A jug for {a} litres holds {s} litres of water, a jug for {b} litres is empty. One move fills a jug "
        "to the brim, empties a jug, or pours from one into the other until that is full or this is empty. What is "
        "the least number of moves after which one of the jugs holds exactly {t} litres?",
        "grid": "A grid of costs, rows from top to bottom: {rows}. You start in the top left cell and move up, down, "
        "left or right, paying the cost of every cell that you enter (the start is free). What is the least cost of "
        "reaching the bottom right cell?",
        "graph": "Roads with their lengths in km, open in both directions: {roads}. How long is the shortest way from "
        "{begin} to {end}, in km?",
    },
    "zh": {
        "jugs": "一个 {a} 升的水壶里有 {s} 升水，一个 {b} 升的水壶是空的。"
        "每一步可以装满一个水壶、倒空一个水壶，"
        "或把一个水壶的水倒入另一个，直到后者满或前者空。最少需要多少步，才能使其中一个水壶恰好有 {t} 升水？",
        "grid": "一个费用网格，从上到下各行为：{rows}。"
        "从左上角出发，每步可向上、下、左、右移动，"
        "进入每个格子要付该格的费用（起点不付）。到达右下角的最小费用是多少？",
        "graph": "双向道路及其长度（公里）：{roads}。从 {begin} 到 {end} 的最短路程是多少公里？",
    },
}
_ONE = Fraction(1)
_MOVES: Units = dict.fromkeys(("moves", "move", "steps", "step", "步"), _ONE)
_KM: Units = dict.fromkeys(("km", "kilometres", "kilometers", "公里", "千米"), _ONE)
#: the words of its text, the answer, its units, elementary steps
_Posed = tuple[dict[str, object], int, Units, int]
State = tuple[int, int]


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """Longer ways, larger grids and graphs with `difficulty`."""
    number = scatter(seed, ordinal, _PER_KIND * len(_KINDS))
    kind = tuple(_KINDS)[number % len(_KINDS)]
    source = draw(seed, ordinal, difficulty, "paths")
    words, value, units, steps = _KINDS[kind](number // len(_KINDS), difficulty, source)
    check = partial(check_number, value, units)
    text = _TEXTS[language][kind].format(**words)
    return Solved(text=text, answer=str(value), steps=steps, check=check).problem(language)


def _jugs(number: int, difficulty: int, source: random.Random) -> _Posed:
    a, b, s = digits_of(number, _JUGS)
    a, b = a + 11, b + 11
    moves = jug_moves((a, b), s, 2 * difficulty + 2)
    far = max(moves.values())
    target = source.choice(sorted(amount for amount, count in moves.items() if count >= max(1, far - 1)))
    return {"a": a, "b": b, "s": s, "t": target}, moves[target], _MOVES, 4 * moves[target]


def jug_moves(sizes: State, start: int, most: int) -> dict[int, int]:
    """Every amount that some jug can hold within `most` moves -> the least number of moves."""
    first: State = (start, 0)
    found, seen = {start: 0, 0: 0}, {first: 0}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        if seen[state] == most:
            break
        for after in _pours(state, sizes):
            if after not in seen:
                seen[after] = seen[state] + 1
                queue.append(after)
                for amount in after:
                    found.setdefault(amount, seen[after])
    return found


def _pours(state: State, sizes: State) -> Iterator[State]:
    (x, y), (a, b) = state, sizes
    yield from ((a, y), (x, b), (0, y), (x, 0))
    over = min(x, b - y)
    yield x - over, y + over
    over = min(y, a - x)
    yield x + over, y - over


def _grid(number: int, difficulty: int, source: random.Random) -> _Posed:
    side = difficulty + 3
    cells = digits_of(number, (9, 9, 9, 9, 9))  # five cells number the ordinals: 59,049
    costs = [each + 1 for each in cells] + [source.randint(1, 9) for _ in range(side * side - 5)]
    rows = ["".join(map(str, costs[row * side : row * side + side])) for row in range(side)]
    return {"rows": " / ".join(rows)}, least_cost(rows), {}, 2 * side * side


def least_cost(rows: list[str]) -> int:
    """Dijkstra on a grid of digits, from the first to the last cell; the first is free."""
    side = len(rows)

    def around(cell: int) -> Iterator[tuple[int, int]]:
        y, x = divmod(cell, side)
        for v, u in ((y, x + 1), (y + 1, x), (y, x - 1), (y - 1, x)):
            if 0 <= v < side and 0 <= u < side:
                yield v * side + u, int(rows[v][u])

    return _shortest(0, side * side - 1, around)


def _graph(number: int, difficulty: int, source: random.Random) -> _Posed:
    count = difficulty + 4
    lengths = [each + 10 for each in digits_of(number, _WEIGHTS)]
    roads: dict[tuple[int, int], int] = {}
    for node in range(1, count):  # a tree first: every node can be reached
        roads[source.randrange(node), node] = lengths.pop(0) if lengths else source.randint(10, 199)
    while len(roads) < 2 * count - 2:
        a, b = sorted(source.sample(range(count), 2))
        roads.setdefault((a, b), source.randint(10, 199))
    told = ", ".join(f"{_NODES[a]}-{_NODES[b]} {length}" for (a, b), length in roads.items())
    value = shortest_way(roads, 0, count - 1)
    return {"roads": told, "begin": "A", "end": _NODES[count - 1]}, value, _KM, 2 * len(roads)


def shortest_way(roads: dict[tuple[int, int], int], begin: int, end: int) -> int:
    """Dijkstra on undirected roads."""

    def around(node: int) -> Iterator[tuple[int, int]]:
        for (a, b), length in roads.items():
            if node in (a, b):
                yield (b if node == a else a), length

    return _shortest(begin, end, around)


def _shortest(begin: int, end: int, around: Callable[[int], Iterator[tuple[int, int]]]) -> int:
    best, queue = {begin: 0}, [(0, begin)]
    while queue:
        cost, node = heapq.heappop(queue)
        if node == end:
            return cost
        for after, price in around(node):
            if cost + price < best.get(after, cost + price + 1):
                best[after] = cost + price
                heapq.heappush(queue, (cost + price, after))
    raise ValueError("no way leads there")


_KINDS: dict[str, Callable[[int, int, random.Random], _Posed]] = {"jugs": _jugs, "grid": _grid, "graph": _graph}

FAMILY, FAMILY_ZH = families("paths", make, {"en": "the number", "zh": "这个数"})
