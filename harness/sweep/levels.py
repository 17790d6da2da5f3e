"""Level: one load that an endpoint is offered, as users who wait for their answers or as requests a second."""

import math
import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["users", "rate"]

_SPAN = re.compile(r"\s*([0-9.]+)\s*\.\.\s*([0-9.]+)\s*(?:/\s*([0-9]+)\s*)?")
_MOST_LEVELS = 200
_DIGITS = 3  # of a rate


@dataclass(frozen=True, slots=True, order=True)
class Level:
    """`size`: users in a closed loop, or requests/s of all users together in an open one."""

    unit: Unit
    size: float

    @property
    def words(self) -> str:
        """As people say it."""
        if self.unit == "rate":
            return f"{self.size:,g} req/s"
        return f"{self.size:,.0f} user{'' if self.size == 1 else 's'}"

    @property
    def number(self) -> str:
        """Without its unit."""
        return f"{self.size:,g}" if self.unit == "rate" else f"{self.size:,.0f}"

    @property
    def folder(self) -> str:
        """Name of the folder of its first run."""
        return f"rate-{self.size:g}" if self.unit == "rate" else f"users-{self.size:04.0f}"

    @property
    def option(self) -> str:
        """What `trueyield run` is told."""
        return f"--rate={self.size!r}" if self.unit == "rate" else f"--users={self.size:.0f}"

    def times(self, factor: float) -> "Level":
        """That many times this load: whole users, at least one; rates in three digits."""
        return rounded(self.unit, self.size * factor)


def rounded(unit: Unit, size: float) -> Level:
    """The nearest load that is worth telling apart: whole users, at least one; rates in three digits."""
    return Level(unit, float(max(round(size), 1)) if unit == "users" else float(f"{size:.{_DIGITS}g}"))


def between(low: Level, high: Level) -> Level | None:
    """The load halfway in ratio; None where there is none between them."""
    middle = rounded(low.unit, math.sqrt(low.size * high.size))
    return middle if low.size < middle.size < high.size else None


def read_levels(text: str, unit: Unit) -> tuple[Level, ...]:
    """Loads, lowest first, each once: "4,16,64", "4..64" (each twice the one before), "4..64/7" (seven, evenly in
    ratio). Raises ValueError."""
    span = _SPAN.fullmatch(text)
    sizes = _spanned(*span.groups()) if span else [float(part) for part in text.split(",")]
    if not sizes or not all(0 < size < math.inf for size in sizes):
        raise ValueError("loads are above 0")
    if unit == "users" and not span and any(size != round(size) for size in sizes):
        raise ValueError("users are whole numbers")
    return tuple(sorted({rounded(unit, size) if span else Level(unit, size) for size in sizes}))


def _spanned(first: str, last: str, count: str | None) -> list[float]:
    low, high = float(first), float(last)
    if not 0 < low < high:
        raise ValueError("the first load is below the last")
    many = math.floor(math.log2(high / low) + 1e-9) + 1 if count is None else int(count)
    if not 2 <= many <= _MOST_LEVELS and count is not None:
        raise ValueError(f"2 to {_MOST_LEVELS} levels")
    if count is not None:
        return [low * (high / low) ** (place / (many - 1)) for place in range(many)]
    doubled = [low * 2**place for place in range(many)]
    return doubled if doubled[-1] > 0.9999 * high else [*doubled, high]
