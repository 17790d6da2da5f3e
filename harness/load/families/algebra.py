"""Algebra word problems: unknowns behind a small story; the answer is a whole number, a fraction or a time."""

import random
from collections.abc import Callable
from fractions import Fraction
from functools import partial

from harness.load.families.problem import Problem, Solved, digits_of, draw, families, scatter
from harness.load.families.quantity import Units, check_number

_SIDE = 500
_PER_KIND = _SIDE * _SIDE

_TEXTS = {
    "en": {
        "coins": "Mia has a bag of coins. {moves} In the end {last} coins are left. How many coins were in the bag?",
        "tickets": "A hall sold {count} tickets for {total} dollars: {a} dollars for each adult and {b} dollars for "
        "each child. How many adult tickets were sold?",
        "pipes": "Pipes fill a tank, each alone in {hours} hours. How many hours do they need together?",
        "mixture": "A cook mixes {parts}. What part of the mixture is juice (fraction, decimal or percentage)?",
        "ages": "Ann is {a} years older than Ben. In {b} years she will be {ratio} times as old as he is now. "
        "How old is Ben now (in years)?",
    },
    "zh": {
        "coins": "小美有一袋硬币。{moves}最后剩下 {last} 枚。袋子里原来有多少枚硬币？",
        "tickets": "一场演出卖出 {count} 张票，共收 {total} 元："
        "成人票每张 {a} 元，儿童票每张 {b} 元。卖出多少张成人票？",
        "pipes": "几根水管单独注满一个水池分别需要 {hours} 小时。一起注满需要多少小时？",
        "mixture": "厨师把 {parts} 混合在一起。果汁占混合物的多少（分数、小数或百分数）？",
        "ages": "安安比贝贝大 {a} 岁。{b} 年后安安的年龄是贝贝现在年龄的 {ratio} 倍。贝贝现在多少岁？",
    },
}
_MOVES = {
    "en": ("She gives away {n}.", "She finds {n} more.", "She doubles what she has."),
    "zh": ("她送出 {n} 枚。", "她又得到 {n} 枚。", "她的硬币变成原来的两倍。"),
}
_PART = {"en": "{litres} litres with {percent}% juice", "zh": "{litres} 升含果汁 {percent}% 的饮料"}
_AND = {"en": " and ", "zh": " 和 "}

_ONE = Fraction(1)
_COINS: Units = dict.fromkeys(("coin", "coins", "枚", "枚硬币", "个", "个硬币"), _ONE)
_TICKETS: Units = dict.fromkeys(("ticket", "tickets", "张", "张票", "张成人票"), _ONE)
_YEARS: Units = dict.fromkeys(("years", "year", "岁"), _ONE)
_HOURS: Units = {
    **dict.fromkeys(("hours", "hour", "h", "小时", "个小时"), _ONE),
    **dict.fromkeys(("minutes", "minute", "min", "分钟", "分"), Fraction(1, 60)),
    **dict.fromkeys(("seconds", "second", "s", "秒"), Fraction(1, 3600)),
}
#: the words of its text, the answer, its units, elementary steps
_Posed = tuple[dict[str, object], Fraction, Units, int]


def make(seed: int, ordinal: int, difficulty: int, language: str) -> Problem:
    """More moves, parts and pipes, and larger numbers, with `difficulty`."""
    number = scatter(seed, ordinal, _PER_KIND * len(_KINDS))
    kind = tuple(_KINDS)[number % len(_KINDS)]
    first, second = digits_of(number // len(_KINDS), (_SIDE, _SIDE))
    source = draw(seed, ordinal, difficulty, "algebra")
    words, value, units, steps = _KINDS[kind]((first, second), difficulty, source, language)
    return Solved(
        text=_TEXTS[language][kind].format(**words),
        answer=str(value),
        steps=steps,
        check=partial(check_number, value, units),
    ).problem(language)


def _coins(place: tuple[int, int], difficulty: int, source: random.Random, language: str) -> _Posed:
    start = place[0] + 500 * difficulty
    held, moves = start + place[1] + 10, [(1, place[1] + 10)]
    for _ in range(difficulty + 1):
        kind, n = source.randrange(3), source.randint(3, 400)
        moves.append((kind, n))
        held = (held - n, held + n, held * 2)[kind]
        if held < 0:  # not enough to give away: she finds as many instead
            moves[-1], held = (1, n), held + 2 * n
    glue = " " if language == "en" else ""
    told = glue.join(_MOVES[language][kind].format(n=n) for kind, n in moves)
    return {"moves": told, "last": held}, Fraction(start), _COINS, 2 * len(moves)


def _tickets(place: tuple[int, int], difficulty: int, _source: random.Random, _language: str) -> _Posed:
    adults, children = place[0] + 100 * difficulty, place[1] + 100 * difficulty
    a, b = 17 + 6 * difficulty, 5 + 2 * difficulty
    return (
        {"count": adults + children, "total": a * adults + b * children, "a": a, "b": b},
        Fraction(adults),
        _TICKETS,
        6,
    )


def _pipes(place: tuple[int, int], difficulty: int, source: random.Random, language: str) -> _Posed:
    hours = [place[0] + 2, place[1] + 503, *(source.randint(2, 60) for _ in range(difficulty - 1))]
    told = (", " if language == "en" else "、").join(map(str, hours[:-1])) + f"{_AND[language]}{hours[-1]}"
    return {"hours": told}, 1 / sum((Fraction(1, each) for each in hours), Fraction(0)), _HOURS, 3 * len(hours)


def _mixture(place: tuple[int, int], difficulty: int, source: random.Random, language: str) -> _Posed:
    litres = [place[0] + 1, place[1] + 1, *(source.randint(1, 40) for _ in range(difficulty - 1))]
    percents = [source.randint(1, 99) for _ in litres]
    parts = [_PART[language].format(litres=each, percent=share) for each, share in zip(litres, percents, strict=True)]
    juice = sum(each * share for each, share in zip(litres, percents, strict=True))
    told = (", " if language == "en" else "、").join(parts[:-1]) + f"{_AND[language]}{parts[-1]}"
    return {"parts": told}, Fraction(juice, 100 * sum(litres)), {}, 3 * len(litres)


def _ages(place: tuple[int, int], difficulty: int, _source: random.Random, _language: str) -> _Posed:
    # Ann: age + a; (age + a + b) = ratio x age, so age = (a + b) / (ratio - 1)
    a, b, ratio = place[0] + 2, place[1] + 1, 1 + Fraction(difficulty + 1, 2)
    said = str(ratio) if ratio.denominator == 1 else str(float(ratio))
    return {"a": a, "b": b, "ratio": said}, (a + b) / (ratio - 1), _YEARS, 5


_KINDS: dict[str, Callable[[tuple[int, int], int, random.Random, str], _Posed]] = {
    "coins": _coins,
    "tickets": _tickets,
    "pipes": _pipes,
    "mixture": _mixture,
    "ages": _ages,
}

FAMILY, FAMILY_ZH = families("algebra", make, {"en": "the exact number, whole or a fraction", "zh": "精确的整数或分数"})
