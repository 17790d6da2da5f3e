"""Small zebra puzzles: persons, pets and drinks in a row of houses; the owners of the pets, in order, are the answer.

That only one arrangement fits is proved by keeping the set of all arrangements as bits of one integer: every clue is
the set of arrangements it allows, and the clues together leave one.
"""

import random
from functools import lru_cache, partial
from itertools import permutations
from math import factorial

from harness.load.families.persons import SPACE, listed, persons
from harness.load.families.problem import Problem, Reading, Solved, draw, families, scatter
from harness.load.families.words import find_words

#: houses and kinds of things (persons, pets, drinks), by difficulty
_SIZES = ((3, 2), (3, 3), (4, 2), (5, 2), (4, 3), (4, 3))
_DIRECT_UNTIL = 5  # harder ones give no house away directly, as long as the puzzle can be solved without
#: kind of clue, and two things as (kind of thing, which one); a house number instead of the second for "in"
Clue = tuple[str, tuple[int, int], tuple[int, int]]

_PETS = {"en": ("cat", "dog", "fox", "owl", "zebra"), "zh": ("猫", "狗", "狐狸", "猫头鹰", "斑马")}
_DRINKS = {"en": ("tea", "milk", "water", "juice", "coffee"), "zh": ("茶", "牛奶", "水", "果汁", "咖啡")}
_FRAMES = {
    "en": "{names} live in {n} houses in a row, numbered 1 to {n} from left to right, one in each. Everybody has "
    "another pet ({pets}){drinks}. {clues} Who are the owners of the {asked}, in this order?",
    "zh": "{names}住在一排 {n} 座房子里，从左到右编号 1 到 {n}，每座住一人。每人的宠物不同（{pets}）{drinks}。{clues}"
    "{asked}的主人依次是谁？",
}
_DRINKING = {"en": " and another drink ({drinks})", "zh": "，饮料也不同（{drinks}）"}
_CLUES = {
    "en": {
        "in": "{a} lives in house {b}.",
        "not_in": "{a} does not live in house {b}.",
        "same": "{a} is the same person as {b}.",
        "left": "{a} lives somewhere to the left of {b}.",
        "next": "{a} lives directly next to {b}.",
    },
    "zh": {
        "in": "{a}住在 {b} 号房子。",
        "not_in": "{a}不住在 {b} 号房子。",
        "same": "{a}就是{b}。",
        "left": "{a}住在{b}左边的某座房子里。",
        "next": "{a}与{b}相邻。",
    },
}
_THINGS = {"en": ("{}", "the owner of the {}", "the person who drinks {}"), "zh": ("{}", "养{}的人", "喝{}的人")}


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """3 to 5 houses, two or three kinds of things."""
    source = draw(seed, ordinal, difficulty, "zebra")
    houses, kinds = _SIZES[difficulty - 1]
    names = persons(scatter(seed, ordinal, SPACE), houses, language, source)
    world = tuple(tuple(source.sample(range(houses), houses)) for _ in range(kinds))
    clues = pose(world, source, direct=difficulty <= _DIRECT_UNTIL)
    things = (names, _PETS[language][:houses], _DRINKS[language][:houses])
    owners = [names[world[0].index(world[1][pet])] for pet in range(houses)]
    pets, drinks = listed(list(things[1]), language), listed(list(things[2]), language)
    glue = " " if language == "en" else ""
    text = _FRAMES[language].format(
        names=listed(names, language),
        n=houses,
        pets=pets,
        drinks=_DRINKING[language].format(drinks=drinks) if kinds == 3 else "",
        clues=glue.join(_told(clue, things, language) for clue in clues),
        asked=pets,
    )
    answer = (", " if language == "en" else "、").join(owners)
    check_ = partial(check, tuple(owners), tuple(things[1]))
    return Solved(text=text, answer=answer, steps=4 * houses * kinds, check=check_).problem(language)


def pose(world: tuple[tuple[int, ...], ...], source: random.Random, *, direct: bool) -> list[Clue]:
    """Clues that are true in `world` (kind -> thing -> house) and in no other; none of them can be left out."""
    houses, kinds = len(world[0]), len(world)
    clues: list[Clue] = []
    left = _all(houses, kinds)
    tries = 0
    while left & (left - 1):
        clue = _true_clue(world, source, direct=direct or tries > 200)
        tries += 1
        narrower = left & allowed(clue, houses, kinds)
        if narrower != left:
            clues.append(clue)
            left = narrower
    for clue in tuple(clues):
        rest = [other for other in clues if other != clue]
        if count_worlds(rest, houses, kinds) == 1:
            clues = rest
    return clues


def count_worlds(clues: list[Clue], houses: int, kinds: int) -> int:
    """How many arrangements fit all clues."""
    left = _all(houses, kinds)
    for clue in clues:
        left &= allowed(clue, houses, kinds)
    return left.bit_count()


@lru_cache(maxsize=4096)
def allowed(clue: Clue, houses: int, kinds: int) -> int:
    """The arrangements that fit one clue, as bits: put together from those with a thing in a house."""
    name, here, other = clue
    if name in ("in", "not_in"):
        living = _living(here, houses, kinds)[other[1]]
        return living if name == "in" else _all(houses, kinds) ^ living
    found = 0
    for at, mine in enumerate(_living(here, houses, kinds)):
        for beside, theirs in enumerate(_living(other, houses, kinds)):
            if _fits(name, at, beside):
                found |= mine & theirs
    return found


@lru_cache(maxsize=64)
def _living(thing: tuple[int, int], houses: int, kinds: int) -> tuple[int, ...]:
    """For each house the arrangements in which the thing is there. They are numbered as itertools' product lists the
    orders of all kinds: the first kind's changes last, and a kind's pattern repeats for each order before it."""
    kind, which = thing
    orders = list(permutations(range(houses)))
    same = len(orders) ** (kinds - 1 - kind)  # neighbours that share this kind's order
    found = []
    for house in range(houses):
        marks = "".join(("1" if order[which] == house else "0") * same for order in reversed(orders))
        found.append(int(marks * len(orders) ** kind, 2))
    return tuple(found)


def _all(houses: int, kinds: int) -> int:
    return (1 << int(factorial(houses) ** kinds)) - 1


def holds(clue: Clue, world: tuple[tuple[int, ...], ...]) -> bool:
    """Truth of a clue in an arrangement."""
    name, (kind, thing), other = clue
    here = world[kind][thing]
    if name in ("in", "not_in"):
        return (here == other[1]) == (name == "in")
    return _fits(name, here, world[other[0]][other[1]])


def _fits(name: str, here: int, there: int) -> bool:
    """A clue about two things, by their houses."""
    if name == "same":
        return here == there
    return here < there if name == "left" else abs(here - there) == 1


def _true_clue(world: tuple[tuple[int, ...], ...], source: random.Random, *, direct: bool) -> Clue:
    houses, kinds = len(world[0]), len(world)
    names = ("in", "not_in", "same", "left", "next") if direct else ("same", "left", "next", "not_in")
    while True:
        name = source.choice(names)
        first = (source.randrange(kinds), source.randrange(houses))
        second = (source.randrange(kinds), source.randrange(houses))
        if name in ("in", "not_in"):
            second = (0, second[1])
        elif first == second or (name == "same" and first[0] >= second[0]):
            continue
        if holds((name, first, second), world):
            return name, first, second


def _told(clue: Clue, things: tuple[object, ...], language: str) -> str:
    name, first, other = clue
    told = [_thing(first, things, language)]
    told.append(str(other[1] + 1) if name in ("in", "not_in") else _thing(other, things, language))
    sentence = _CLUES[language][name].format(a=told[0], b=told[1])
    return sentence[0].upper() + sentence[1:]


def _thing(thing: tuple[int, int], things: tuple[object, ...], language: str) -> str:
    kind, which = thing
    return _THINGS[language][kind].format(things[kind][which])  # type: ignore[index]


def check(owners: tuple[str, ...], pets: tuple[str, ...], answer: str) -> Reading:
    """Right where the final answer names these persons in this order, or each pet beside its owner."""
    words = find_words(answer, {**{name.lower(): name for name in owners}, **{pet: pet for pet in pets}})
    if words is None or not words:
        return Reading(right=False, extracted=None)
    pairs = list(zip(words[::2], words[1::2], strict=False))
    if any(word in pets for word in words):
        beside = {(pet, owner) if pet in pets else (owner, pet) for pet, owner in pairs}
        right = len(words) == 2 * len(pets) and beside == set(zip(pets, owners, strict=True)) and _aligned(pairs, pets)
    else:
        right = words == list(owners)
    return Reading(right=right, extracted=", ".join(words))


def _aligned(pairs: list[tuple[str, str]], pets: tuple[str, ...]) -> bool:
    """The pet always stands first in its pair, or always second: else a reader cannot tell who belongs to what."""
    return len({first in pets for first, _ in pairs}) == 1


FAMILY, FAMILY_ZH = families("zebra", make, {"en": "the names, in order", "zh": "按顺序排列的名字"})
