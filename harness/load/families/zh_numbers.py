"""Chinese numerals: 三百零五, 二十点五, 三分之二, 百分之五十 as they stand in a text -> exact value and end."""

import re
from fractions import Fraction

ZH_DIGITS = "零〇一二两三四五六七八九"
_VALUE = {letter: place for letter, place in zip(ZH_DIGITS, (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "亿": 10**8}
_RUN = re.compile(rf"负?(?:[{ZH_DIGITS}十百千万亿点]|分之){{1,30}}+")


def read_zh_number(text: str, at: int = 0) -> tuple[Fraction, int] | None:
    """The numeral that begins at `at`, and where it ends; None where none does or it is not well formed."""
    run = _RUN.match(text, at)
    if run is None:
        return None
    said = run[0].removeprefix("负")
    value = _share(said)
    return None if value is None else ((-value if run[0][0] == "负" else value), run.end())


def _share(said: str) -> Fraction | None:
    below, parted, above = said.partition("分之")
    if not parted:
        return _decimal(said)
    under, over = (100 if below == "百" else _whole(below)), _decimal(above)
    return over / under if under and over is not None else None


def _decimal(said: str) -> Fraction | None:
    whole, point, behind = said.partition("点")
    value = _whole(whole)
    if value is None or not point:
        return None if value is None else Fraction(value)
    if not behind or any(letter not in _VALUE for letter in behind):
        return None
    return value + Fraction(int("".join(str(_VALUE[letter]) for letter in behind)), 10 ** len(behind))


def _whole(said: str) -> int | None:
    """Places must fall: 一千零二十三. A plain row of digits (二〇二六) is read digit by digit."""
    if not said:
        return None
    if all(letter in _VALUE for letter in said):
        return int("".join(str(_VALUE[letter]) for letter in said))
    total, section, digit, last = 0, 0, None, 10**4
    for letter in said:
        if letter in _VALUE:
            if digit:
                return None
            digit = _VALUE[letter] or digit
        elif letter in _SMALL:
            if _SMALL[letter] >= last:
                return None
            section += (1 if digit is None else digit) * _SMALL[letter]
            digit, last = None, _SMALL[letter]
        elif letter in _LARGE:
            total = (
                (total + section + (digit or 0)) * _LARGE[letter]
                if _LARGE[letter] > 10**4
                else (total + (section + (digit or 0)) * _LARGE[letter])
            )
            section, digit, last = 0, None, 10**4
        else:
            return None
    return total + section + (digit or 0)
