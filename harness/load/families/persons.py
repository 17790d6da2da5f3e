"""Persons: names for logic puzzles, drawn so that no two problems name the same three people in the same order."""

import random

_ENGLISH = (
    "Ada Adam Alma Amos Anna Anton Ava Axel Bella Boris Carl Carla Cleo Cyrus Dana David Dora Edgar Ella Elmer Emma "
    "Erik Eva Felix Flora Fred Gina Greta Gus Hanna Hugo Ida Igor Ines Ivan Jack Jana Jonas Julia Karl Kira Lara Leo "
    "Lina Louis Lucy Marta Max Mila Nina Noah Nora Olga Oscar Otto Paula Peter Rita Rosa Ruth Simon Sonia Tara Victor"
).split()
_CHINESE = [
    f"小{letter}"
    for letter in "明红华丽强芳军燕伟霞勇梅刚兰杰玲超云涛雪波敏辉静峰娟龙莉平英文慧"
    "斌艳鹏宁康佳磊倩凯悦浩婷宇琳晨萍亮洁飞欣东颖阳怡健蕾林莹海璐松晶"
]
NAMES = {"en": _ENGLISH, "zh": _CHINESE}
SPACE = 64 * 63 * 62


def persons(number: int, count: int, language: str, source: random.Random) -> list[str]:
    """`count` different names (3 or more); the first three are told by `number` below SPACE, the rest drawn."""
    left = list(NAMES[language])
    chosen = []
    for size in (64, 63, 62):
        number, place = divmod(number, size)
        chosen.append(left.pop(place))
    return chosen + source.sample(left, count - 3)


def listed(words: list[str], language: str) -> str:
    """a, b and c; a、b 和 c."""
    if len(words) == 1:
        return words[0]
    comma, last = (", ", " and ") if language == "en" else ("、", "和")
    return comma.join(words[:-1]) + last + words[-1]
