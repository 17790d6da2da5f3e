"""harness/catalog/*.yaml (and a user's own rows) -> Catalog: accelerators, models, price cards, GPU hours."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.config.catalog_rows import AcceleratorRow, CalendarRow, GpuHourRow, ModelRow, PeriodRow, PriceRow
from harness.config.documents import Document, Place, read_document
from harness.config.rows import RowT, check_row, in_file_order, mistake_at, near_miss, shown
from harness.errors import InputError, Mistake
from harness.providers import Accelerator, Catalog, GpuHour, ModelCard, PriceCard

CATALOG_FOLDER = Path(__file__).parents[1] / "catalog"
SECTIONS = ("calendars", "accelerators", "models", "prices", "gpu_hours")


@dataclass(slots=True)
class Shelves:
    """A catalog that is still being filled."""

    calendars: dict[str, tuple[str, ...]] = field(default_factory=dict)
    accelerators: dict[str, Accelerator] = field(default_factory=dict)
    models: dict[str, ModelCard] = field(default_factory=dict)
    prices: dict[str, PriceCard] = field(default_factory=dict)
    gpu_hours: dict[str, GpuHour] = field(default_factory=dict)
    overridden: dict[str, str] = field(default_factory=dict)  # section.name -> the file that replaced it

    def catalog(self) -> Catalog:
        """What was gathered."""
        return Catalog(
            accelerators=self.accelerators,
            models=self.models,
            prices=self.prices,
            gpu_hours=self.gpu_hours,
            overridden=self.overridden,
        )


@lru_cache(maxsize=8)
def load_catalog(extra: Path | None = None) -> Catalog:
    """The built-in catalog, with the rows of `extra` (a YAML file of the same sections) beside it. Read once.

    A row of `extra` takes the place of a built-in one only where it says `override: true`.
    """
    shelves = _copied(_built_in())
    if extra is not None:
        document = read_document(extra)
        mistakes = list(document.mistakes)
        for name in document.root:
            if name not in SECTIONS:
                mistakes.append(mistake_at(document, (name,), "an unknown section", f"one of {', '.join(SECTIONS)}"))
        fill(shelves, document, mistakes)
        if mistakes:
            raise InputError(in_file_order(mistakes))
    return shelves.catalog()


def built_in_shelves() -> Shelves:
    """A fresh copy of the built-in catalog, to be filled further."""
    return _copied(_built_in())


@lru_cache(maxsize=1)
def _built_in() -> Shelves:
    shelves, mistakes = Shelves(), list[Mistake]()
    for name in ("accelerators", "models", "prices", "gpu_hours"):
        document = read_document(CATALOG_FOLDER / f"{name}.yaml")
        mistakes.extend(document.mistakes)
        fill(shelves, document, mistakes)
    if mistakes:
        raise InputError(mistakes, hint="the built-in catalog is damaged: install trueyield again")
    return shelves


def _copied(shelves: Shelves) -> Shelves:
    copies = {item.name: dict(getattr(shelves, item.name)) for item in dataclasses.fields(shelves)}
    return Shelves(**copies)


def fill(shelves: Shelves, document: Document, mistakes: list[Mistake]) -> None:
    """Add the catalog sections of `document` to `shelves`; every mistake is added to `mistakes`."""
    shelf = _Shelf(document, mistakes, shelves.overridden)
    for name, calendar in shelf.rows("calendars", CalendarRow):
        shelf.put(shelves.calendars, ("calendars", name), tuple(calendar.dates), calendar.override)
    for name, accelerator in shelf.rows("accelerators", AcceleratorRow):
        shelf.put(shelves.accelerators, ("accelerators", name), accelerator.value(name), accelerator.override)
    for name, model in shelf.rows("models", ModelRow):
        for key, found, expected in model.contradictions():
            shelf.tell(("models", name, key), found, expected)
        for each in (name, *model.aliases):
            shelf.put(shelves.models, ("models", name), model.value(each), model.override, each)
    for name, price in shelf.rows("prices", PriceRow):
        shelf.put(shelves.prices, ("prices", name), _price_card(shelf, shelves, name, price), price.override)
    for name, hour in shelf.rows("gpu_hours", GpuHourRow):
        if hour.accelerator not in shelves.accelerators:
            expected = near_miss(hour.accelerator, shelves.accelerators, "an accelerator of the catalog")
            shelf.tell(("gpu_hours", name, "accelerator"), shown(hour.accelerator), expected)
        if not (hour.low or 0) <= hour.usd_per_gpu_hour <= (hour.high or hour.usd_per_gpu_hour):
            shelf.tell(("gpu_hours", name), f"{hour.low} to {hour.high}", "low <= usd_per_gpu_hour <= high")
        shelf.put(shelves.gpu_hours, ("gpu_hours", name), hour.value(name), hour.override)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """One document on its way into the shelves."""

    document: Document
    mistakes: list[Mistake]
    overridden: dict[str, str]

    def rows(self, section: str, row: type[RowT]) -> Iterator[tuple[str, RowT]]:
        """The good rows of a section; the mistakes of the others are kept."""
        found = self.document.root.get(section)
        if found is None:
            return
        if not isinstance(found, dict):
            self.tell((section,), shown(found), "a mapping of names to rows")
            return
        for name, fields in found.items():
            checked = check_row(row, self.document, (section, name), fields, self.mistakes)
            if checked is not None:
                yield name, checked

    def put(self, shelf: dict[str, Any], place: Place, value: Any, override: bool, alias: str = "") -> None:
        """Each name once, built-in names included, unless the row says that it overrides: nobody should have to guess.

        An override of nothing is a mistake too: it is most likely a name mistyped.
        """
        name = alias or str(place[1])
        if name in shelf and not override:
            expected = "a name of its own, or `override: true` in this row to replace the other"
            self.tell(place, f"the name {shown(name)}, which the catalog has already", expected)
        elif override and name not in shelf and name == place[1]:
            expected = near_miss(name, shelf, "a name of the catalog to replace, or no `override`")
            self.tell((*place, "override"), f"true for {shown(name)}, which the catalog has not", expected)
        if override and name in shelf:
            self.overridden[f"{place[0]}.{name}"] = self.document.name
            shelf[name] = value
        shelf.setdefault(name, value)

    def tell(self, place: Place, found: str, expected: str) -> None:
        """One mistake, with its line."""
        self.mistakes.append(mistake_at(self.document, place, found, expected))


def _price_card(shelf: _Shelf, shelves: Shelves, name: str, row: PriceRow) -> PriceCard:
    place: Place = ("prices", name, "periods")
    _check_periods(shelf, place, row.periods)
    periods = []
    for index, period in enumerate(row.periods):
        windows = []
        for at, window in enumerate(period.windows):
            here: Place = (*place, index, "windows", at)
            if any(begin == end for begin, end in window.spans):
                shelf.tell((*here, "spans"), "a span that ends when it begins", "a span with a length")
            windows.append(window.value(_holidays(shelf, shelves, (*here, "except_dates"), window.except_dates)))
        periods.append(period.value(tuple(windows)))
    own = row.model_dump(include={"provider", "model", "currency", "bills_cut_streams"})
    return PriceCard(name=name, periods=tuple(periods), **own, **row.provenance())


def _holidays(shelf: _Shelf, shelves: Shelves, place: Place, calendar: str | None) -> tuple[str, ...]:
    if calendar is None:
        return ()
    if calendar not in shelves.calendars:
        shelf.tell(place, shown(calendar), near_miss(calendar, shelves.calendars, "a calendar"))
    return shelves.calendars.get(calendar, ())


def _check_periods(shelf: _Shelf, place: Place, periods: Sequence[PeriodRow]) -> None:
    """Real moments, oldest first, none overlapping: else one request would have two prices."""
    end: datetime | None = datetime.min.replace(tzinfo=UTC)
    for index, period in enumerate(periods):
        here: Place = (*place, index)
        try:
            begins, ends = _moment(period.valid_from), _moment(period.valid_to)
        except ValueError as error:
            shelf.tell(here, str(error), "moments that exist")
            continue
        if begins is not None and ends is not None and begins >= ends:
            shelf.tell((*here, "valid_to"), shown(period.valid_to), "a moment after valid_from")
        if index and (end is None or begins is None or begins < end):
            shelf.tell(here, "a period that overlaps the one before", "periods from oldest to newest, without overlap")
        end = ends


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
