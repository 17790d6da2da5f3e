"""A run or sweep folder in, report.html out: one file that opens offline, also when it is mailed on its own.

The charts' library travels inside, compressed (about 2 MB a report instead of 4.8). Every text is escaped, and the
page's policy lets no other script run and nothing be loaded, whatever a model or a server put into a record.
"""

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from harness import __version__
from harness.report import quantities as q
from harness.report.charts.arrays import Arrays, read_arrays
from harness.report.charts.drawing import Chart
from harness.report.charts.run_charts import run_charts
from harness.report.charts.sweep_charts import sweep_charts
from harness.report.contents import RunContents, SweepContents, is_sweep, read_run_contents, read_sweep_contents
from harness.report.gates import read_verdicts
from harness.report.glossary import LATENCY_TERMS, TERMS
from harness.report.screen import bill_text, first_screen, frontier, too_low

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class _Library:
    """The charts' library, packed for a page, and the hash that lets it run there."""

    packed: str
    digest: str


def write_report(folder: Path) -> Path:
    """Write report.html of a run or sweep folder, whole or not at all; returns its path."""
    if is_sweep(folder):
        return _written(folder, sweep_page(read_sweep_contents(folder)))
    return write_run_report(read_run_contents(folder))


def write_run_report(contents: RunContents) -> Path:
    """The same of contents that were read before, such as those of a sweep's level that its neighbours judged."""
    return _written(contents.folder, run_page(contents))


def _written(folder: Path, text: str) -> Path:
    draft = folder / "report.html.part"
    draft.write_text(text, encoding="utf-8")
    return draft.replace(folder / "report.html")


def run_page(contents: RunContents) -> str:
    """The whole page of one run."""
    arrays, trouble = _arrays(contents)
    charts, undrawn = run_charts(contents, arrays)
    money, run = contents.economics, contents.run
    return _render(
        "run.html.j2",
        charts,
        screen=first_screen(contents),
        kind=contents.kind,
        run=run,
        money_values=money,
        bill_text=bill_text(money) if money else "",
        arrays=arrays,
        slos=contents.slos,
        too_low=[name for name in run.metrics if too_low(contents, name)],
        verdicts=read_verdicts(contents.folder),
        notes=(*run.notes, *(money.notes if money else ()), *contents.manifest.notes, *trouble, *undrawn),
        missing=sorted({**(money.reasons if money else {}), **run.reasons}.items()),
        provenance=_provenance(contents),
        hashes=sorted(contents.manifest.hashes.items()),
        scenario=contents.manifest.scenario.get("name", ""),
    )


def sweep_page(sweep: SweepContents) -> str:
    """The whole page of a sweep; the level that is best is quoted first."""
    found = frontier(sweep)
    charts, undrawn = sweep_charts(found.runs)
    best = found.best.contents if found.best else None
    if best is not None:
        of_best, more = run_charts(best, None)
        charts, undrawn = charts | of_best, (*undrawn, *more)
    return _render(
        "sweep.html.j2",
        charts,
        found=found,
        screen=first_screen(best) if best else None,
        kind=best.kind if best else "undeclared",
        trouble=undrawn,
        scenario=sweep.scenario,
        sweep_id=sweep.sweep_id,
    )


def render_page(template: str, charts: Mapping[str, Chart], **values: Any) -> str:
    """A page of another kind with the same look and the same policy."""
    return _render(template, charts, **values)


def _arrays(contents: RunContents) -> tuple[Arrays | None, tuple[str, ...]]:
    try:
        return read_arrays(contents.folder, contents.manifest, contents.run.window.cut_s), ()
    except Exception as error:  # odd records cost the reader some charts, never the report
        return None, (f"records could not be read for charts: {type(error).__name__}: {error}",)


def _render(template: str, charts: Mapping[str, Chart], **values: Any) -> str:
    library = _library() if charts else _Library("", "")
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    figures = msgspec.json.encode({key: chart.figure for key, chart in charts.items()}).decode()
    return (
        _environment()
        .get_template(template)
        .render(
            charts=charts,
            terms=TERMS,
            latency_terms=LATENCY_TERMS,
            version=__version__,
            policy=_policy(_digest(script), library.digest),
            css=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            plotly=Markup(library.packed),  # base64
            # inside a script element only "</" and "<!--" can do harm: no "<" is left
            figures=Markup(figures.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")),
            **values,
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "usd": q.usd, "usd_interval": lambda pair: q.usd_interval(*pair),
        "seconds": q.seconds, "percent": q.percent, "rate": q.rate,
        "count": q.count, "plain": q.plain, "sentence": _sentence,
    }  # fmt: skip
    environment.finalize = _harmless
    return environment


def _sentence(text: str) -> str:
    """The first letter large, the others as they are (SLO, TTFT)."""
    return text[:1].upper() + text[1:]


def _harmless(value: Any) -> Any:
    """Every text that a page prints: without control and direction characters; jinja2 escapes it afterwards."""
    return q.plain(value, 600) if type(value) is str else value


def _policy(*digests: str) -> str:
    scripts = " ".join(f"'sha256-{digest}'" for digest in digests if digest)
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _library() -> _Library:
    """plotly.js of the installed package."""
    from plotly.offline import get_plotlyjs  # heavy, and a page without charts does without it

    text: str = get_plotlyjs()
    packed = base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()
    return _Library(packed, _digest(text))


def _provenance(contents: RunContents) -> list[tuple[str, str]]:
    """Who measured what, when, with which versions and which prices."""
    manifest, endpoint = contents.manifest, contents.endpoint
    found = [
        ("Run", f"{manifest.run_id}, {manifest.created_at}, seed {manifest.seed}"),
        ("Endpoint", f"{endpoint.name} at {endpoint.base_url}, model {endpoint.model}, dialect {endpoint.dialect}"),
        ("Answered as", ", ".join(contents.run.response_models) or "not told"),
        ("Scenario", _pairs(manifest.scenario)),
        ("Options", _pairs(manifest.options)),
        ("trueyield", manifest.trueyield_version),
        ("Machine", _pairs(manifest.environment)),
        ("Workers", ", ".join(f"{name} on {entry.host}" for name, entry in manifest.workers.items()) or "unknown"),
    ]
    for title, card in (("Price card", endpoint.price_card), ("Sold at", endpoint.sell_at)):
        if card is not None:
            found.append((title, f"{card.name}, {card.provider}, {card.source}, as of {card.as_of}, {card.status}"))
    deployment = endpoint.deployment
    if deployment is not None:
        for title, row in (("Accelerator", deployment.accelerator), ("Model card", deployment.model)):
            found.append((title, f"{row.name}, {row.source}, as of {row.as_of}"))
        cost, date = q.usd(deployment.usd_per_gpu_hour), deployment.price_as_of or "no date"
        found.append(("Hardware cost", f"{cost}/GPU-h, {deployment.price_basis}, {date}"))
    return [(title, text) for title, text in found if text]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_short(value)}" for key, value in values.items() if value not in (None, "", [], {}))


def _short(value: Any) -> str:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else str(value)
