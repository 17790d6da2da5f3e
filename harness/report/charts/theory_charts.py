"""An outlook in, two figures out: tok/s/GPU and $/M against what one user gets, as the batch grows."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.report import quantities as q
from harness.report.charts.drawing import Chart, Figure, figure, label, log_ticks, make_charts, round4
from harness.theory.outlook import Outlook, Point, point_at, usd_per_mtok
from harness.theory.priors import Priors
from harness.theory.published import Measurement
from harness.theory.steps import decode_step

_CURVE_POINTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One measured point: what one user got, the whole deployment's rate over its accelerators, and its words."""

    per_user: float
    per_gpu: float
    text: str


def theory_charts(
    found: Outlook, priors: Priors, published: Sequence[Measurement]
) -> tuple[dict[str, Chart], tuple[str, ...]]:
    """Both panels; none where the model does not fit."""
    points, marks = curve(found, priors), marks_of(found, published)
    if not points:
        return {}, ()
    makers: dict[str, Callable[[], Chart | None]] = {"rate": lambda: _rate(found, points, marks)}
    if found.deployment.usd_per_gpu_hour is not None:
        makers["cost"] = lambda: _cost(found, points, marks)
    return make_charts(makers)


def curve(found: Outlook, priors: Priors) -> list[Point]:
    """Theory from one sequence to the best load, evenly on a logarithmic scale."""
    if found.at_best_load is None:
        return []
    top = found.at_best_load.batch
    batches = [top ** (step / (_CURVE_POINTS - 1)) for step in range(_CURVE_POINTS)] if top > 1 else [1.0]
    return [point_at(found.deployment, found.shape, batch, priors) for batch in batches]


def marks_of(found: Outlook, published: Sequence[Measurement]) -> list[Mark]:
    """Verified decode figures of this architecture on this accelerator, and on less than twice or half as many of it:
    what one user gets depends on their number."""
    marks = []
    for row in published:
        at = row.conditions
        if at is None or row.task != "decode" or row.status != "verified":
            continue
        count = at.deployment.count
        if max(count, found.count) >= 2 * min(count, found.count):
            continue
        if at.deployment.accelerator.name == found.accelerator and _same_model(at.deployment.model, found):
            words = f"{row.title}: {count} GPUs, {at.batch:,.0f} sequences, {row.as_of}"
            rate = row.tokens_per_s
            marks.append(Mark(per_user=rate / at.batch, per_gpu=rate / count, text=words))
    return marks


def _same_model(model: object, found: Outlook) -> bool:
    mine = found.deployment.model
    keys = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab", "experts", "expert_ffn")
    return all(getattr(model, key) == getattr(mine, key) for key in keys)


def _rate(found: Outlook, points: Sequence[Point], marks: Sequence[Mark]) -> Chart:
    count, alone = found.count, _decode_rates(found, points) if marks else []
    traces = [
        *_bands(points, lambda rate: rate / count),
        _line(points, [point.output_tokens_per_s_per_gpu for point in points], "%{y:,.4g} tok/s/GPU"),
        *_decode_alone(alone, lambda rate: rate / count),
        *_marks(marks, [mark.per_gpu for mark in marks], "%{y:,.4g} tok/s/GPU"),
    ]
    first, last = points[0], points[-1]
    return Chart(
        key="rate",
        title="Output tokens/s of one accelerator",
        text=f"Bound: one user gets {q.rate(first.output_tokens_per_s_per_user)} tok/s alone; "
        f"{last.batch:,.0f} get {q.rate(last.output_tokens_per_s_per_user)} each, "
        f"{q.rate(last.output_tokens_per_s_per_gpu)} a GPU.",
        figure=figure(traces, xaxis=_users(), yaxis={"title": {"text": "output tok/s/GPU"}, "rangemode": "tozero"}),
    )


def _cost(found: Outlook, points: Sequence[Point], marks: Sequence[Mark]) -> Chart:
    count, hour = found.count, found.deployment.usd_per_gpu_hour or 0.0
    costs = [usd_per_mtok(hour, count, point.output_tokens_per_s) for point in points]
    measured = [usd_per_mtok(hour, 1, mark.per_gpu) for mark in marks]
    alone = _decode_rates(found, points) if marks else []
    traces = [
        *_bands(points, lambda rate: usd_per_mtok(hour, count, rate)),
        _line(points, costs, "$%{y:.3g} a million"),
        *_decode_alone(alone, lambda rate: usd_per_mtok(hour, count, rate)),
        *_marks(marks, measured, "$%{y:.3g} a million"),
    ]
    dearest = max(usd_per_mtok(hour, count, point.expected.low) for point in points)
    cheapest = min(*costs, *measured, *(usd_per_mtok(hour, count, rate) for _, rate in alone))
    limits = (math.log10(cheapest / 1.5), math.log10(dearest * 1.5))
    axis: Figure = {"title": {"text": "USD a million output tokens"}, "type": "log", "range": list(limits)}
    return Chart(
        key="cost",
        title="A million output tokens cost, all-in",
        text=f"Bound: {q.usd(costs[0])} for one user alone, {q.usd(costs[-1])} at the best load, "
        f"at {q.usd(hour)}/GPU-h.",
        figure=figure(traces, xaxis=_users(), yaxis={**axis, **log_ticks(limits)}),
    )


def _users() -> Figure:
    return {"title": {"text": "output tok/s for one user"}, "rangemode": "tozero"}


def _line(points: Sequence[Point], heights: Sequence[float], words: str) -> Figure:
    return {
        "type": "scatter", "mode": "lines", "name": "bound",
        "x": [round4(point.output_tokens_per_s_per_user) for point in points], "y": [round4(y) for y in heights],
        "customdata": [[round4(point.batch), point.limited_by] for point in points],
        "line": {"color": "@theory", "width": 3},
        "hovertemplate": f"{words}, %{{x:.3g}} tok/s each<br>%{{customdata[0]:,.3g}} sequences, "
        "limited by %{customdata[1]}<extra>bound</extra>",
    }  # fmt: skip


def _decode_rates(found: Outlook, points: Sequence[Point]) -> list[tuple[float, float]]:
    """(batch, output tok/s) where prefill happens elsewhere."""
    at, context = found.deployment, found.shape.mean_context_tokens
    return [
        (point.batch, point.batch * at.tokens_per_step / decode_step(at, point.batch, context).seconds)
        for point in points
    ]


def _decode_alone(rates: Sequence[tuple[float, float]], height: Callable[[float], float]) -> list[Figure]:
    """The bound of the same accelerators when prefill happens elsewhere: what published decode rates stand beside."""
    if not rates:
        return []
    return [{
        "type": "scatter", "mode": "lines", "name": "bound, decode alone",
        "x": [round4(rate / batch) for batch, rate in rates], "y": [round4(height(rate)) for _, rate in rates],
        "line": {"color": "@theory", "width": 2, "dash": "dash"}, "hoverinfo": "skip",
    }]  # fmt: skip


def _bands(points: Sequence[Point], height: Callable[[float], float]) -> list[Figure]:
    """The expected range as an area, one for each regime: a prior holds for its own batches only."""
    bands: list[Figure] = []
    for part in _regimes(points):
        upper = [(point.expected.high / point.batch, height(point.expected.high)) for point in part]
        lower = [(point.expected.low / point.batch, height(point.expected.low)) for point in reversed(part)]
        bands.append({
            "type": "scatter", "mode": "lines", "name": "expected (bound x prior)", "legendgroup": "expected",
            "x": [round4(x) for x, _ in (*upper, *lower)], "y": [round4(y) for _, y in (*upper, *lower)],
            "fill": "toself", "fillcolor": "@wash", "line": {"color": "@faint", "width": 1}, "hoverinfo": "skip",
            "showlegend": not bands,
        })  # fmt: skip
    return bands


def _regimes(points: Sequence[Point]) -> list[list[Point]]:
    parts: list[list[Point]] = []
    for point in points:
        if not parts or parts[-1][-1].expected.priors != point.expected.priors:
            parts.append([])
        parts[-1].append(point)
    return parts


def _marks(marks: Sequence[Mark], heights: Sequence[float], words: str) -> list[Figure]:
    if not marks:
        return []
    return [{
        "type": "scatter", "mode": "markers", "name": "published, decode alone",
        "x": [round4(mark.per_user) for mark in marks], "y": [round4(y) for y in heights],
        "text": [label(mark.text) for mark in marks], "marker": {"size": 11, "color": "@measured", "symbol": "diamond"},
        "hovertemplate": f"%{{text}}<br>{words}, %{{x:.3g}} tok/s each<extra></extra>",
    }]  # fmt: skip
