"""catalog/efficiency.yaml and catalog/measurements.yaml -> TheoryData. Read by what shows theory, not by a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from harness.config.catalog import CATALOG_FOLDER, load_catalog
from harness.config.documents import Document, read_document
from harness.config.layout_rows import layout_contradictions
from harness.config.rows import RowT, check_row, in_file_order, mistake_at, near_miss, shown
from harness.config.theory_rows import MeasurementRow, OverheadsRow, PriorRow, RateMatchRow
from harness.errors import InputError, Mistake
from harness.providers import Catalog, Deployment
from harness.theory.priors import Prior
from harness.theory.published import Conditions, Measurement
from harness.theory.split import RateMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class TheoryData:
    """Priors, fixed costs and rate matching by name; published measurements by name."""

    priors: dict[str, Prior]
    overheads: dict[str, OverheadsRow]
    rate_match: dict[str, RateMatch]
    measurements: dict[str, Measurement]


@lru_cache(maxsize=1)
def load_theory_data() -> TheoryData:
    """The built-in files. Raises InputError where they are damaged."""
    mistakes: list[Mistake] = []
    efficiency = read_document(CATALOG_FOLDER / "efficiency.yaml")
    measured = read_document(CATALOG_FOLDER / "measurements.yaml")
    mistakes += [*efficiency.mistakes, *measured.mistakes]
    priors = {name: row.value(name) for name, row in _rows(efficiency, "priors", PriorRow, mistakes)}
    data = TheoryData(
        priors=priors,
        overheads=dict(_rows(efficiency, "overheads", OverheadsRow, mistakes)),
        rate_match={name: row.value(name) for name, row in _rows(efficiency, "rate_match", RateMatchRow, mistakes)},
        measurements=read_measurements(measured, load_catalog(), priors, mistakes),
    )
    if mistakes:
        raise InputError(in_file_order(mistakes), hint="the built-in catalog is damaged: install trueyield again")
    return data


def read_measurements(
    document: Document, catalog: Catalog, priors: dict[str, Prior], mistakes: list[Mistake]
) -> dict[str, Measurement]:
    """The rows of a document; every mistake is added to `mistakes`."""
    found = {}
    for name, row in _rows(document, "measurements", MeasurementRow, mistakes):
        wrong = _wrong(row, catalog, priors)
        mistakes.extend(mistake_at(document, ("measurements", name, key), what, right) for key, what, right in wrong)
        if not wrong:
            found[name] = _measurement(name, row, catalog, priors)
    return found


def _rows(document: Document, section: str, row: type[RowT], mistakes: list[Mistake]) -> Iterator[tuple[str, RowT]]:
    for name, fields in document.root.get(section, {}).items():
        checked = check_row(row, document, (section, name), fields, mistakes)
        if checked is not None:
            yield name, checked


def _wrong(row: MeasurementRow, catalog: Catalog, priors: dict[str, Prior]) -> list[tuple[str, str, str]]:
    """(key, found, expected): names that there are not, figures that are not there, a layout that cannot be."""
    known = (("model", row.model, catalog.models), ("accelerator", row.accelerator, catalog.accelerators),
             ("prior", row.prior, priors))  # fmt: skip
    wrong = [
        (key, shown(name), near_miss(name, shelf, f"a {key} of the catalog"))
        for key, name, shelf in known
        if name is not None and name not in shelf
    ]
    if (row.tokens_per_s is None) == (row.tokens_per_s_per_user is None):
        wrong.append(("tokens_per_s", "both or none", "one of tokens_per_s and tokens_per_s_per_user"))
    if not row.not_expressible:
        wrong += [(name, "nothing", "a value, or not_expressible with its reason") for name in row.lacks()]
        wrong += layout_contradictions(row.model_dump(), catalog.models.get(row.model or ""))
    return wrong


def _measurement(name: str, row: MeasurementRow, catalog: Catalog, priors: dict[str, Prior]) -> Measurement:
    return Measurement(
        name=name,
        tokens_per_s=row.total_tokens_per_s(),
        model=row.model or row.model_name or "",
        conditions=None if row.not_expressible else _conditions(row, catalog, priors),
        **row.model_dump(include={"title", "task", "accelerator", "not_expressible", "explained", "exceeds_bound"}),
        **row.provenance(),
    )


def _conditions(row: MeasurementRow, catalog: Catalog, priors: dict[str, Prior]) -> Conditions:
    deployment = Deployment(
        accelerator=catalog.accelerators[row.accelerator or ""],
        count=row.count,
        model=catalog.models[row.model or ""],
        precision=row.precision or "",
        kv_precision=row.kv_precision,
        layout=row.layout(),
        **row.steps(),
    )
    return Conditions(
        deployment=deployment, batch=row.batch or 0.0, context=row.context or 0.0, prior=priors[row.prior or ""]
    )
