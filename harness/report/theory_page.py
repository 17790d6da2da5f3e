"""An outlook in, one offline page out: what it says in words and tables, and two panels over the load."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.report import quantities as q
from harness.report.charts.theory_charts import marks_of, theory_charts
from harness.report.documents import render_page
from harness.report.terminal.theory_table import bases, layout_text, load_rows
from harness.theory.outlook import Outlook
from harness.theory.priors import Priors
from harness.theory.published import Held, Measurement, hold


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One published measurement beside theory, as text."""

    title: str
    where: str
    cells: tuple[str, ...]
    verdict: str
    source: str


def write_theory_page(path: Path, found: Outlook, priors: Priors, published: Sequence[Measurement]) -> Path:
    """Write the page, whole or not at all."""
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(theory_page(found, priors, published), encoding="utf-8")
    return draft.replace(path)


def theory_page(found: Outlook, priors: Priors, published: Sequence[Measurement]) -> str:
    """The whole page."""
    charts, trouble = theory_charts(found, priors, published)
    heads, rows = load_rows(found)
    return render_page(
        "theory.html.j2",
        charts,
        found=found,
        layout=layout_text(found.deployment.layout).strip(),
        heads=heads,
        marked=bool(marks_of(found, published)),
        rows=rows,
        bases=bases(found),
        published=[_row(held) for row in published if _concerns(found, row) and (held := hold(row)) is not None],
        notes=(*found.notes, *trouble),
    )


def _concerns(found: Outlook, row: Measurement) -> bool:
    at = row.conditions
    same = at is not None and at.deployment.model.hidden == found.deployment.model.hidden
    return bool(same and at and at.deployment.model.layers == found.deployment.model.layers)


def _row(held: Held) -> PublishedRow:
    row, at = held.measurement, held.measurement.conditions
    count = at.deployment.count if at else 1
    verdict = "inside" if held.inside else f"outside: {row.explained}"
    return PublishedRow(
        title=row.title,
        where=f"{count} x {row.accelerator}, {row.task}",
        cells=(
            q.rate(row.tokens_per_s / count),
            q.rate(held.bound / count),
            q.fraction(held.bound_fraction),
            f"({q.rate(held.low / count)}..{q.rate(held.high / count)})",
        ),
        verdict=verdict,
        source=f"{row.source}, {row.as_of}",
    )
