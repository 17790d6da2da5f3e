"""harness/catalog/claims.yaml -> Claim by id, every name in it looked up in the catalog."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from harness.claims import CardRates, Claim, Group, Inputs, PricePair, Published
from harness.config.catalog import CATALOG_FOLDER, load_catalog
from harness.config.claim_rows import ClaimRow, GroupRow, InputsRow, PublishedRow, RatesAtRow
from harness.config.documents import Document, Place, read_document
from harness.config.rows import RowT, check_row, in_file_order, mistake_at, near_miss, shown
from harness.errors import InputError, Mistake
from harness.providers import Catalog, rates_at

_SECTIONS = ("groups", "claims")
NamedT = TypeVar("NamedT")


@lru_cache(maxsize=2)
def load_claims(path: Path = CATALOG_FOLDER / "claims.yaml") -> Mapping[str, Claim]:
    """Every claim of the file, in its order. Raises InputError with every mistake in it."""
    shelf = _Shelf(document=read_document(path), catalog=load_catalog(), mistakes=[])
    shelf.mistakes.extend(shelf.document.mistakes)
    for section in shelf.document.root:
        if section not in _SECTIONS:
            shelf.tell((section,), "an unknown section", f"one of {', '.join(_SECTIONS)}")
    groups = {name: _group(name, row) for name, row in shelf.rows("groups", GroupRow)}
    claims = {name: shelf.claim(name, row, groups) for name, row in shelf.rows("claims", ClaimRow)}
    for name, claim in claims.items():
        if claim.bound_of is not None:
            shelf.named(("claims", name, "bound_of"), claim.bound_of, claims, "a claim of this file")
    if shelf.mistakes:
        raise InputError(in_file_order(shelf.mistakes))
    return claims


def _group(name: str, row: GroupRow) -> Group:
    return Group(name=name, numbers=row.numbers, **row.provenance())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """One file of claims on its way, and the catalog that its names point into."""

    document: Document
    catalog: Catalog
    mistakes: list[Mistake]

    def tell(self, place: Place, found: str, expected: str) -> None:
        """One mistake, with its line."""
        self.mistakes.append(mistake_at(self.document, place, found, expected))

    def rows(self, section: str, row: type[RowT]) -> list[tuple[str, RowT]]:
        """The good rows of a section; the mistakes of the others are kept."""
        found = self.document.root.get(section, {})
        if not isinstance(found, dict):
            self.tell((section,), shown(found), "a mapping of names to rows")
            return []
        checked = [(name, check_row(row, self.document, (section, name), item, self.mistakes))
                   for name, item in found.items()]  # fmt: skip
        return [(name, item) for name, item in checked if item is not None]

    def named(self, place: Place, name: str, known: Mapping[str, NamedT], what: str) -> NamedT | None:
        """The row of that name; a mistake and None where there is none."""
        if name not in known:
            self.tell(place, shown(name), near_miss(name, known, what))
        return known.get(name)

    def claim(self, name: str, row: ClaimRow, groups: Mapping[str, Group]) -> Claim:
        """A claim; where a name in it is unknown, the mistake is told and the input left out."""
        own: dict[str, Any] = row.model_dump(
            include={"topic", "short", "statement", "who", "said", "formula", "tolerance", "holds_if", "remark",
                     "needs", "bound_of"}
        )  # fmt: skip
        return Claim(
            id=name,
            published=tuple(_published(key, item) for key, item in row.published.items()),
            inputs=self.inputs(("claims", name, "inputs"), row.inputs, groups),
            vector=row.vector.value(),
            **own,
            **row.provenance(),
        )

    def inputs(self, place: Place, row: InputsRow, groups: Mapping[str, Group]) -> Inputs:
        """Names -> rows."""
        catalog = self.catalog
        return Inputs(
            numbers=row.numbers,
            series={name: tuple(values) for name, values in row.series.items()},
            groups=self.listed((*place, "groups"), row.groups, groups),
            accelerators=self.keyed((*place, "accelerators"), row.accelerators, catalog.accelerators),
            models=self.keyed((*place, "models"), row.models, catalog.models),
            hours=self.keyed((*place, "hours"), row.hours, catalog.gpu_hours),
            rates=self.rates((*place, "rates"), row.rates),
            pairs=self.pairs((*place, "pairs"), row),
        )

    def listed(self, place: Place, names: list[str], known: Mapping[str, NamedT]) -> tuple[NamedT, ...]:
        found = [self.named((*place, at), name, known, "a group of this file") for at, name in enumerate(names)]
        return tuple(item for item in found if item is not None)

    def keyed(self, place: Place, names: Mapping[str, str], known: Mapping[str, NamedT]) -> dict[str, NamedT]:
        found = {key: self.named((*place, key), name, known, "a row of the catalog") for key, name in names.items()}
        return {key: item for key, item in found.items() if item is not None}

    def pairs(self, place: Place, row: InputsRow) -> tuple[PricePair, ...]:
        found = []
        for at, pair in enumerate(row.pairs):
            both = self.keyed((*place, at), {"new": pair.new, "old": pair.old}, self.catalog.gpu_hours)
            if len(both) == 2:
                found.append(PricePair(new=both["new"], old=both["old"]))
        return tuple(found)

    def rates(self, place: Place, rows: Mapping[str, RatesAtRow]) -> dict[str, CardRates]:
        found = {}
        for key, row in rows.items():
            card = self.named((*place, key, "card"), row.card, self.catalog.prices, "a price card of the catalog")
            moment = datetime.fromisoformat(row.at).timestamp()
            rated = rates_at(card, moment) if card else None
            if card and rated is None:
                self.tell((*place, key, "at"), shown(row.at), f"a moment for which {row.card} has rates")
            if card and rated:
                found[key] = CardRates(
                    card=card.name, at=row.at, rates=rated.rates, source=card.source, as_of=card.as_of,
                    status=card.status,
                )  # fmt: skip
        return found


def _published(name: str, row: PublishedRow | float) -> Published:
    return row.value(name) if isinstance(row, PublishedRow) else Published(name=name, value=row)
