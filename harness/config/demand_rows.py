"""harness/catalog/demand.yaml, a user's YAML or CSV of hours -> DemandCurve, every mistake at once."""

import csv
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from harness.config.catalog_rows import Clock, SourcedRow, Text
from harness.config.documents import Document, Place, read_document
from harness.config.rows import Row, check_row, mistake_at, near_miss, shown
from harness.errors import InputError, Mistake
from harness.providers import DemandCurve

_CATALOG = Path(__file__).parents[1] / "catalog" / "demand.yaml"
_SLOTS_PER_HOUR = 4  # the finest step that is kept
Level = Annotated[float, Field(ge=0)]
Step = Annotated[list[Level], Field(min_length=2, max_length=2)]


class _Hours(Row):
    """The figures themselves."""

    begins: Clock = "00:00"
    hours: list[Level] | None = Field(default=None, description="24 or 168 figures, one an hour")
    weekend_hours: list[Level] | None = Field(default=None, description="24 figures for Saturday and Sunday")
    steps: list[Step] | None = Field(default=None, description="[length in hours, level] pairs")

    def trouble(self) -> tuple[str, str] | None:
        """(found, expected) where the figures fill no day and no week."""
        if (self.hours is None) == (self.steps is None):
            return "hours and steps" if self.hours else "neither hours nor steps", "one of hours and steps"
        if not any(self._day()) and not any(self.weekend_hours or ()):
            return "only zeros", "at least one hour with demand"
        if self.steps is not None:
            total = sum(length for length, _ in self.steps)
            if any(length * _SLOTS_PER_HOUR % 1 for length, _ in self.steps) or total != 24 or self.weekend_hours:
                return f"steps of {total:g} h", "steps of whole quarter-hours that fill 24 h, without weekend_hours"
            return None
        if len(self.hours or ()) not in ((24,) if self.weekend_hours else (24, 168)):
            return f"{len(self.hours or ())} hours", "24 hours of a day, or 168 of a week from Monday"
        if self.weekend_hours is not None and len(self.weekend_hours) != 24:
            return f"{len(self.weekend_hours)} hours of the weekend", "24 hours"
        return None

    def levels(self) -> tuple[float, ...]:
        """Slots from 00:00 UTC (of Monday, for a week)."""
        slots = [float(level) for level in self._day()]
        if self.weekend_hours is not None:
            slots = slots * 5 + [float(level) for level in self.weekend_hours] * 2
        per_hour = _SLOTS_PER_HOUR if self.steps is not None else 1
        hour, minute = (int(part) for part in self.begins.split(":"))
        if minute % 60 and per_hour == 1:
            slots = [level for level in slots for _ in range(_SLOTS_PER_HOUR)]
            per_hour = _SLOTS_PER_HOUR
        ahead = round((hour + minute / 60) * per_hour) % len(slots)
        return tuple(slots[-ahead:] + slots[:-ahead]) if ahead else tuple(slots)

    def _day(self) -> list[float]:
        if self.steps is not None:
            return [level for length, level in self.steps for _ in range(round(length * _SLOTS_PER_HOUR))]
        return list(self.hours or ())

    def days(self) -> Literal[1, 7]:
        return 7 if self.weekend_hours is not None or len(self.hours or ()) == 168 else 1


class DemandRow(SourcedRow, _Hours):
    """One curve of the catalog."""

    kind: Literal["measured", "declared", "assumed"] = "declared"
    unit: Text = "share"


class OwnCurve(_Hours):
    """A user's file: the hours alone are enough."""

    source: Text = "a file of your own"
    as_of: Text = "no date"
    kind: Literal["measured", "declared", "assumed"] = "declared"
    unit: Text = "share"
    note: str = ""


@lru_cache(maxsize=1)
def demand_curves() -> dict[str, DemandCurve]:
    """The curves of the catalog by name."""
    document = read_document(_CATALOG)
    mistakes = list(document.mistakes)
    rows = document.root.get("demand")
    found: dict[str, DemandCurve] = {}
    for name, fields in (rows if isinstance(rows, dict) else {}).items():
        row = check_row(DemandRow, document, ("demand", name), fields, mistakes)
        if row is not None and _checked(row, document, ("demand", name), mistakes):
            found[name] = _curve(name, row, row.status)
    if mistakes:
        raise InputError(mistakes, hint="the built-in catalog is damaged: install trueyield again")
    return found


def curve_named(name: str, beside: Path | None = None) -> DemandCurve:
    """A curve of the catalog, else a YAML or CSV file (relative to `beside`). Raises InputError."""
    if name in demand_curves():
        return demand_curves()[name]
    path = (beside or Path()) / Path(name).expanduser()
    if path.suffix.lower() not in (".yaml", ".yml", ".csv"):
        expected = near_miss(name, demand_curves(), "a demand curve of the catalog, or a .yaml or .csv file")
        raise InputError([Mistake("--curve", "", shown(name), expected)])
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_yaml(path)


def _read_yaml(path: Path) -> DemandCurve:
    document = read_document(path)
    mistakes = list(document.mistakes)
    row = check_row(OwnCurve, document, (), dict(document.root), mistakes)
    if row is None or not _checked(row, document, (), mistakes) or mistakes:
        raise InputError(mistakes)
    return _curve(path.stem, row)


def _read_csv(path: Path) -> DemandCurve:
    """Lines of hour,share: hours 0-23 of a day or 0-167 of a week from Monday 00:00 UTC, each once."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Mistake(str(path), "", str(error), "a readable CSV file of hour,share")]) from None
    mistakes: list[Mistake] = []
    levels: dict[int, float] = {}
    for number, cells in enumerate(csv.reader(lines), start=1):
        if not cells or (number == 1 and not _is_number(cells[0])):
            continue
        hour, level = (_number(cells, 0), _number(cells, 1))
        if hour is None or hour % 1 or level is None or level < 0 or int(hour) in levels:
            mistakes.append(Mistake(str(path), f"line {number}", shown(",".join(cells)), "hour,share; each hour once"))
            continue
        levels[int(hour)] = level
    if not mistakes and (sorted(levels) not in ([*range(24)], [*range(168)]) or not any(levels.values())):
        mistakes.append(Mistake(str(path), "", f"{len(levels)} hours", "hours 0 to 23 or 0 to 167, not all zero"))
    if mistakes:
        raise InputError(mistakes)
    return _curve(path.stem, OwnCurve(hours=[levels[hour] for hour in sorted(levels)]))


def _is_number(text: str) -> bool:
    return _number([text], 0) is not None


def _number(cells: list[str], at: int) -> float | None:
    try:
        value = float(cells[at])
    except (IndexError, ValueError):
        return None
    return value if abs(value) < float("inf") else None


def _checked(row: _Hours, document: Document, place: Place, mistakes: list[Mistake]) -> bool:
    trouble = row.trouble()
    if trouble is not None:
        mistakes.append(mistake_at(document, place, *trouble))
    return trouble is None


def _curve(
    name: str, row: DemandRow | OwnCurve, status: Literal["verified", "unverified", "conflicting"] = "verified"
) -> DemandCurve:
    return DemandCurve(
        name=name,
        levels=row.levels(),
        days=row.days(),
        status=status,
        **row.model_dump(include={"source", "as_of", "kind", "unit", "note"}),
    )
