"""Knights and knaves: knights always speak the truth, knaves never; the one possible set of knights is the answer.

That only one set is possible is proved by trying all of them.
"""

import random
from functools import lru_cache, partial

from harness.load.families.persons import SPACE, listed, persons
from harness.load.families.problem import Problem, Reading, Solved, draw, families, scatter
from harness.load.families.words import find_words

#: kind of statement and two places: two persons, or a number and nothing
Statement = tuple[str, int, int]
_KINDS = ("knight", "knave", "same", "different", "either", "count")
_KNIGHT, _KNAVE = "(knight)", "(knave)"
_ROLES = {
    **dict.fromkeys(("knight", "knights", "骑士"), _KNIGHT),
    **dict.fromkeys(("knave", "knaves", "无赖"), _KNAVE),
}

_FRAMES = {
    "en": "On an island knights always tell the truth and knaves always lie. You meet {names}. {said} "
    "Who are the knights?",
    "zh": "岛上的骑士总说真话，无赖总说假话。你遇到了{names}。{said}谁是骑士？",
}
_SAID = {"en": '{who} says: "{what}"', "zh": "{who}说：“{what}”"}
_WHAT = {
    "en": {
        "knight": "{a} is a knight.",
        "knave": "{a} is a knave.",
        "same": "{a} and {b} are of the same kind.",
        "different": "{a} and {b} are of different kinds.",
        "either": "At least one of {a} and {b} is a knave.",
        "count": "Exactly {n} of us are knights.",
    },
    "zh": {
        "knight": "{a}是骑士。",
        "knave": "{a}是无赖。",
        "same": "{a}和{b}是同类人。",
        "different": "{a}和{b}不是同类人。",
        "either": "{a}和{b}中至少有一个是无赖。",
        "count": "我们当中恰好有 {n} 个骑士。",
    },
}


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """`difficulty` + 2 persons."""
    source = draw(seed, ordinal, difficulty, "knights")
    count = difficulty + 2
    names = persons(scatter(seed, ordinal, SPACE), count, language, source)
    said, world = pose(count, source)
    lines = [_SAID[language].format(who=names[who], what=_told(what, names, language)) for who, what in enumerate(said)]
    glue = " " if language == "en" else ""
    knights = [name for place, name in enumerate(names) if world >> place & 1]
    return Solved(
        text=_FRAMES[language].format(names=listed(names, language), said=glue.join(lines)),
        answer=(", " if language == "en" else "、").join(knights),
        steps=12 * count,
        check=partial(check, tuple(names), frozenset(knights)),
    ).problem(language)


def pose(count: int, source: random.Random) -> tuple[list[Statement], int]:
    """One statement a person and the only world (bit = knight) that fits them, with a knight in it."""
    while True:
        world = source.randrange(1, 1 << count)
        said = [_statement(who, world, count, source) for who in range(count)]
        if worlds(said) == [world]:
            return said, world


def worlds(said: list[Statement]) -> list[int]:
    """Every world in which each speaker's statement is true just where the speaker is a knight."""
    left = (1 << (1 << len(said))) - 1
    for who, what in enumerate(said):
        left &= _allowed(who, what, len(said))
    return [world for world in range(left.bit_length()) if left >> world & 1]


@lru_cache(maxsize=4096)
def _allowed(who: int, what: Statement, count: int) -> int:
    """The worlds that one statement of one speaker leaves, as bits of an integer."""
    return sum(1 << world for world in range(1 << count) if holds(what, world) == bool(world >> who & 1))


def holds(what: Statement, world: int) -> bool:
    """Truth of a statement in a world."""
    kind, a, b = what
    if kind == "count":
        return world.bit_count() == a
    first, second = world >> a & 1, world >> b & 1
    if kind in ("knight", "knave"):
        return first == (kind == "knight")
    if kind == "either":
        return not (first and second)
    return (first == second) == (kind == "same")


def _statement(who: int, world: int, count: int, source: random.Random) -> Statement:
    others = [place for place in range(count) if place != who]
    while True:
        kind = source.choice(_KINDS)
        a, b = (source.randint(1, count), 0) if kind == "count" else source.sample(others, 2)
        if holds((kind, a, b), world) == bool(world >> who & 1):
            return kind, a, b


def _told(what: Statement, names: list[str], language: str) -> str:
    kind, a, b = what
    if kind == "count":
        return _WHAT[language][kind].format(n=a)
    return _WHAT[language][kind].format(a=names[a], b=names[b])


def check(names: tuple[str, ...], knights: frozenset[str], answer: str) -> Reading:
    """Right where the final answer names the knights and nobody else as a knight; knaves may be named as such."""
    words = find_words(answer, {**{name.lower(): name for name in names}, **_ROLES})
    stated = None if words is None else _knights_in(words)
    extracted = None if stated is None else ", ".join(sorted(stated))
    return Reading(right=stated is not None and frozenset(stated) == knights, extracted=extracted)


def _knights_in(words: list[str]) -> set[str] | None:
    """Names said to be knights: "A and B", "knights: A, B; knaves: C", "A is a knight, B is a knave"."""
    roles: dict[str, str] = {}
    pending: list[str] = []
    leads = bool(words) and words[0] in (_KNIGHT, _KNAVE)
    role = _KNIGHT
    for word in words:
        if word in (_KNIGHT, _KNAVE):
            role = word
            if not leads and not pending:  # a second kind for the same person
                return None
            for name in [] if leads else pending:
                if roles.setdefault(name, role) != role:
                    return None
            pending = []
        elif leads:
            if roles.setdefault(word, role) != role:
                return None
        else:
            pending.append(word)
    if pending and roles:  # names after the last role: of which kind is not said
        return None
    roles |= dict.fromkeys(pending, _KNIGHT)
    return {name for name, said in roles.items() if said == _KNIGHT}


FAMILY, FAMILY_ZH = families("knights", make, {"en": "the names of the knights", "zh": "骑士的名字"})
