"""Values in, charts as plain dictionaries for plotly out: what every chart of a report is made with.

Colours are names with an @ in front ("@measured"); the page puts its own colours in, light or dark.
"""

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report import quantities as q

Figure = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure, its title, and the same in words for those who do not see it."""

    key: str
    title: str
    text: str
    figure: Figure


def make_charts(makers: dict[str, Callable[[], Chart | None]]) -> tuple[dict[str, Chart], tuple[str, ...]]:
    charts, trouble = {}, []
    for key, maker in makers.items():
        try:
            chart = maker()
        except Exception as error:  # one chart that cannot be drawn must never cost the reader the report
            trouble.append(f"chart {key} could not be drawn: {type(error).__name__}: {error}")
            continue
        if chart is not None:
            charts[key] = chart
    return charts, tuple(trouble)


def figure(traces: list[Figure], height: int = 320, **layout: Any) -> Figure:
    return {"data": traces, "layout": {"height": height, **layout}}


def log_ticks(limits: Sequence[float]) -> Figure:
    """1, 2, 5, 10, ... in full: plotly would write the 0.5 of a logarithmic axis as a small 5."""
    decades = range(math.floor(limits[0]), math.ceil(limits[1]) + 1)
    values = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    shown = [value for value in values if limits[0] <= math.log10(value) <= limits[1]]
    return {"tickvals": shown, "ticktext": [f"{value:g}" for value in shown]}


def label(text: str) -> str:
    """Foreign text for a chart: plotly reads a few tags (links among them) in labels, so none may stay one."""
    return html.escape(q.plain(text, 40), quote=False)


def rounded(values: Iterable[float]) -> list[float | None]:
    return [round4(float(value)) for value in values]


def round4(value: float) -> float | None:
    """Four significant digits are more than a screen shows; a file of a million records stays small."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
