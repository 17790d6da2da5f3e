"""Numbers and foreign text in, short printable text out. A missing number is a dash, never a zero."""

import math
import unicodedata
from collections.abc import Sequence

MISSING = "-"
_ELLIPSIS = "..."


def usd(value: float | None) -> str:
    """US dollars with as many digits as a price needs: $1,234, $3.70, $0.154, $0.0018."""
    if value is None or not math.isfinite(value):
        return MISSING
    sign, size = ("-" if value < 0 else ""), abs(value)
    return f"{sign}${_money_digits(size)}"


def usd_interval(low: float, high: float | None) -> str:
    """Sampling error of a price: [3.58, 3.83]; "at least" where there is no upper end."""
    if high is None:
        return f"[at least {usd(low)}]"
    return f"[{usd(low).removeprefix('$')}, {usd(high).removeprefix('$')}]"


def _money_digits(size: float) -> str:
    if size >= 1000:
        return f"{size:,.0f}"
    if size >= 1:
        return f"{size:.2f}"
    if size >= 0.1:
        return f"{size:.3f}"
    if size == 0:
        return "0"
    decimals = 1 - math.floor(math.log10(size))
    return f"{size:.{decimals}f}" if decimals <= 9 else f"{size:.1e}"


def signed_percent(ratio: float | None) -> str:
    """A yield: +28%, -49%, +630%."""
    if ratio is None or not math.isfinite(ratio):
        return MISSING
    decimals = 1 if abs(ratio) < 0.1 else 0
    points = round(100 * ratio, decimals)
    return f"{points:+,.{decimals}f}%" if points else "0%"


def percent(share: float | None) -> str:
    """A share: 93.1%, 0.3%, 28%."""
    if share is None or not math.isfinite(share):
        return MISSING
    points = round(100 * share, 1) + 0.0  # + 0.0 makes 0.0 of -0.0: "-0%" says nothing
    return f"{points:,.0f}%" if points == round(points) or abs(points) >= 1000 else f"{points:,.1f}%"


def fraction(share: float | None) -> str:
    """Measured / theory, without false digits: 28%, 9.6%."""
    return percent(None if share is None else round(share, 2 if share >= 0.1 else 3))


def quantiles(values: Sequence[float | None]) -> str:
    """Quantiles of one duration in one unit: 212/541/1,230 ms; one that is not known is a dash."""
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    unit, factor = ("s", 1.0) if known[0] >= 1 else ("ms", 1e3) if known[0] >= 1e-3 else ("us", 1e6)
    texts = [MISSING if value is None else _short(factor * value) for value in values]
    return f"{'/'.join(texts)} {unit}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def seconds(value: float | None) -> str:
    """A duration in the unit that reads best: 20 us, 23 ms, 1.23 s, 204 s."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f} s"
    if size >= 10:
        return f"{value:.1f} s"
    if size >= 1:
        return f"{value:.2f} s"
    if size >= 1e-3:
        return f"{1e3 * value:.{0 if size >= 0.1 else 1 if size >= 0.01 else 2}f} ms"
    return f"{1e6 * value:.0f} us"


def duration(value: float | None) -> str:
    """A length of a run for people: 38 s, 42 min, 3.5 h."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def rate(value: float | None) -> str:
    """A rate with about three digits: 17,690, 114, 32.4, 0.052."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def count(value: int | None) -> str:
    """An exact count: 1,946."""
    return MISSING if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """A count with its noun: 1 user, 32 users."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def bar(share: float | None, width: int = 20) -> str:
    """A share as a row of #; anything above nothing gets at least one."""
    if share is None or not math.isfinite(share) or share == 0:
        return ""
    return "#" * max(1, round(min(abs(share), 1.0) * width))


def plain(text: object, limit: int = 120) -> str:
    """Foreign text made harmless for a terminal: no control, format, surrogate or line-breaking characters.

    Names of models and errors come from servers that we do not trust: an escape sequence in one must not move
    the cursor, recolour the screen or reverse the reading direction.
    """
    kept = "".join(" " if character.isspace() else character for character in str(text) if _printable(character))
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - len(_ELLIPSIS)] + _ELLIPSIS


def _printable(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] != "C"
