"""The levels of a sweep in, plotly figures out: the frontier, cost and latency over load."""

import math
from collections.abc import Sequence

from harness.report import quantities as q
from harness.report.charts.drawing import Chart, Figure, figure, log_ticks, make_charts, round4
from harness.report.contents import LevelContents, RunContents
from harness.sweep.levels import Level
from harness.theory import Shape, bound_at

_CURVE_POINTS = 60


def sweep_charts(levels: Sequence[LevelContents]) -> tuple[dict[str, Chart], tuple[str, ...]]:
    """The frontier of a sweep, its cost and its latencies over load."""
    return make_charts(
        {
            "frontier": lambda: frontier(levels),
            "cost": lambda: cost_over_load(levels),
            "cost_per_mtok": lambda: cost_per_mtok(levels),
            "ttft": lambda: latency_over_load(levels),
        }
    )


def frontier(levels: Sequence[LevelContents]) -> Chart | None:
    """What one user gets against what all get (each GPU gives, where they are declared): measured levels, and the
    bound at each of them."""
    rows = [(one.level, one.contents) for one in levels if one.contents and one.contents.run.valid]
    gpus = next((found.endpoint.deployment.count for _, found in rows if found.endpoint.deployment), None)
    measured = [
        (
            level,
            found.run.throughput.output_tokens_per_s_per_user,
            _each(found.run.throughput.output_tokens_per_s, gpus),
        )
        for level, found in rows
    ]
    bounds = [
        (level, row.output_tokens_per_s_per_user, _each(row.output_tokens_per_s, gpus))
        for level, found in rows
        if found.economics and (row := found.economics.bound.at_this_load)
    ]
    curve = next((found for _, run in reversed(rows) if (found := bound_curve(run)) is not None), None)
    points = _frontier_line("theory, same load", "@theory", bounds)
    if curve is not None and points is not None:
        points |= {"mode": "markers+text"}  # the curve is drawn by the theory itself, not from point to point
    traces = [trace for trace in (_frontier_line("measured", "@measured", measured), points, curve) if trace]
    if not traces:
        return None
    whose = "in all" if gpus is None else "per GPU"
    text = "; ".join(
        f"{level.words}: {q.rate(each)} tok/s for each, {q.rate(total)} {whose}" for level, each, total in measured
    )
    return Chart(
        key="frontier",
        title="What one user gets, what " + ("all users get" if gpus is None else "each GPU gives"),
        text=text,
        figure=figure(
            traces,
            xaxis={"title": {"text": "output tokens/s for one user"}, "rangemode": "tozero"},
            yaxis={"title": {"text": f"output tokens/s {whose}"}, "rangemode": "tozero"},
            height=420,
        ),
    )


def _each(total: float | None, gpus: int | None) -> float | None:
    return None if total is None else total / (gpus or 1)


def bound_curve(contents: RunContents) -> Figure | None:
    """The bound for every batch from one to the best, for the mix of requests of this run."""
    deployment, mix = contents.endpoint.deployment, contents.run.mix
    best = contents.economics.bound.at_best_load if contents.economics else None
    if deployment is None or best is None or not mix.isl_tokens or not mix.osl_tokens or best.batch < 2:
        return None
    shape = Shape(isl_tokens=mix.isl_tokens, osl_tokens=mix.osl_tokens, cached_share=mix.cached_share or 0.0)
    steps = range(_CURVE_POINTS + 1)
    bounds = [bound_at(deployment, shape, best.batch ** (step / _CURVE_POINTS)) for step in steps]
    return {
        "type": "scatter", "mode": "lines", "name": f"theory, batch 1 to {best.batch:.0f}",
        "x": [round4(bound.output_tokens_per_s_per_user) for bound in bounds],
        "y": [round4(bound.output_tokens_per_s / deployment.count) for bound in bounds],
        "customdata": [round4(bound.batch) for bound in bounds],
        "line": {"color": "@theory", "width": 2, "dash": "dot"},
        "hovertemplate": "batch %{customdata:.3g}: %{x:.3g} tok/s each, %{y:,.4g} per GPU<extra>theory</extra>",
    }  # fmt: skip


def _frontier_line(name: str, colour: str, points: Sequence[tuple[Level, float | None, float | None]]) -> Figure | None:
    known = [(level, each, total) for level, each, total in points if each is not None and total is not None]
    if not known:
        return None
    return {
        "type": "scatter", "mode": "lines+markers+text", "name": name, "x": [round4(each) for _, each, _ in known],
        "y": [round4(total) for _, _, total in known], "text": [level.number for level, _, _ in known],
        "hovertext": [level.words for level, _, _ in known],
        "textposition": _sides([total for _, _, total in known]), "cliponaxis": False,
        "marker": {"size": 9, "color": colour},
        "line": {"color": colour, "width": 2, "dash": "solid" if name == "measured" else "dot"},
        "hovertemplate": "%{hovertext}: %{x:.3g} tok/s each, %{y:,.4g}<extra>" + name + "</extra>",
    }  # fmt: skip


def _sides(heights: Sequence[float]) -> list[str]:
    """Where a point's label stands: the upper of two points that almost touch has it above, the lower one below."""
    near = 0.06 * max(heights)
    return [
        "bottom right" if any(0 <= other - own < near for other in heights[place + 1 :]) else "top right"
        for place, own in enumerate(heights)
    ]


def cost_over_load(levels: Sequence[LevelContents]) -> Chart | None:
    """What 1,000 useful answers cost at each load."""
    rows = [
        (one.level, usd)
        for one in levels
        if one.contents and one.contents.run.valid and (usd := one.contents.usd_per_1k_useful) is not None
    ]
    if not rows:
        return None
    trace = {
        "type": "scatter", "mode": "lines+markers+text", "x": [level.size for level, _ in rows],
        "y": [round4(usd) for _, usd in rows], "text": [q.usd(usd) for _, usd in rows],
        "textposition": ["top right", *["top center"] * (len(rows) - 1)],
        "cliponaxis": False, "marker": {"size": 9, "color": "@measured"}, "line": {"color": "@measured", "width": 2},
        "hoverinfo": "x+text", "showlegend": False,
    }  # fmt: skip
    return Chart(
        key="cost",
        title="1,000 useful answers cost",
        text="; ".join(f"{level.words}: {q.usd(usd)}" for level, usd in rows),
        figure=figure(
            [trace], xaxis={"title": {"text": _axis(levels)}}, yaxis={"title": {"text": "USD"}, "rangemode": "tozero"}
        ),
    )


def cost_per_mtok(levels: Sequence[LevelContents]) -> Chart | None:
    """What a million output tokens cost at each load, measured and in theory."""
    measured, bounds = [], []
    for one in levels:
        money = one.contents.economics if one.contents and one.contents.run.valid else None
        if money is not None and money.owner.usd_per_mtok_output_allin is not None:
            measured.append((one.level, money.owner.usd_per_mtok_output_allin))
            row = money.bound.at_this_load
            if row is not None and row.usd_per_mtok_output_allin is not None:
                bounds.append((one.level, row.usd_per_mtok_output_allin))
    if not measured:
        return None
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": [level.size for level, _ in points],
            "y": [round4(usd) for _, usd in points], "marker": {"size": 8, "color": colour},
            "line": {"color": colour, "width": 2, "dash": dash}, "hovertemplate": f"$%{{y:.3g}}<extra>{name}</extra>",
        }
        for name, colour, dash, points in (
            ("measured", "@measured", "solid", measured), ("theory, same load", "@theory", "dot", bounds))
        if points
    ]  # fmt: skip
    top = max(usd for _, usd in (*measured, *bounds))
    low = min(usd for _, usd in (*measured, *bounds))
    axis = {"type": "log", **log_ticks((math.log10(low / 1.5), math.log10(top * 1.5)))} if top > 4 * low else {
        "rangemode": "tozero"}  # fmt: skip
    text = "; ".join(f"{level.words}: {q.usd(usd)}" for level, usd in measured)
    axes: Figure = {"xaxis": {"title": {"text": _axis(levels)}}, "yaxis": {"title": {"text": "USD"}, **axis}}
    return Chart(
        key="cost_per_mtok",
        title="A million output tokens cost, all-in",
        text=text,
        figure=figure(traces, **axes),
    )


def latency_over_load(levels: Sequence[LevelContents]) -> Chart | None:
    """Time to first token at each load: half of the requests, nine in ten, 99 in 100."""
    found = [(one.level, one.contents.run.metrics.get("ttft_s")) for one in levels if one.contents]
    traces = []
    for name, colour in (("p50", "@measured"), ("p90", "@second"), ("p99", "@loss")):
        points = [(level, value) for level, spread in found if spread and (value := getattr(spread, name)) is not None]
        if points:
            traces.append({
                "type": "scatter", "mode": "lines+markers", "name": name, "x": [level.size for level, _ in points],
                "y": [round4(value) for _, value in points], "marker": {"size": 8, "color": colour},
                "line": {"color": colour, "width": 2}, "hovertemplate": f"%{{y:.3g}} s<extra>{name}</extra>",
            })  # fmt: skip
    if not traces:
        return None
    text = "; ".join(f"{level.words}: half within {q.seconds(spread.p50)}" for level, spread in found if spread)
    axes: Figure = {
        "xaxis": {"title": {"text": _axis(levels)}},
        "yaxis": {"title": {"text": "seconds"}, "rangemode": "tozero"},
    }
    return Chart(key="ttft", title="Time to first token", text=text, figure=figure(traces, **axes))


def _axis(levels: Sequence[LevelContents]) -> str:
    """What the loads are counted in."""
    return "requests/s" if levels and levels[0].level.unit == "rate" else "users"
