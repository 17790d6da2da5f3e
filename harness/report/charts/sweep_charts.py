"""The levels of a sweep in, plotly figures out: the frontier, cost and latency over load."""

from collections.abc import Sequence

from harness.report import quantities as q
from harness.report.charts.drawing import Chart, Figure, figure, make_charts, round4
from harness.report.contents import Level


def sweep_charts(levels: Sequence[Level]) -> tuple[dict[str, Chart], tuple[str, ...]]:
    """The frontier of a sweep, its cost and its latencies over load."""
    return make_charts(
        {
            "frontier": lambda: frontier(levels),
            "cost": lambda: cost_over_load(levels),
            "ttft": lambda: latency_over_load(levels),
        }
    )


def frontier(levels: Sequence[Level]) -> Chart | None:
    """What one user gets against what all get: measured levels, and the bound at each of them."""
    rows = [(level.users, level.contents) for level in levels if level.contents and level.contents.run.valid]
    measured = [
        (users, found.run.throughput.output_tokens_per_s_per_user, found.run.throughput.output_tokens_per_s)
        for users, found in rows
    ]
    bounds = [
        (users, row.output_tokens_per_s_per_user, row.output_tokens_per_s)
        for users, found in rows
        if found.economics and (row := found.economics.bound.at_this_load)
    ]
    traces = [trace for trace in (_frontier_line("measured", "@measured", measured),
                                  _frontier_line("theory, same load", "@theory", bounds)) if trace]  # fmt: skip
    if not traces:
        return None
    text = "; ".join(
        f"{q.counted(users, 'user')}: {q.rate(each)} tok/s for each, {q.rate(total)} in all"
        for users, each, total in measured
    )
    return Chart(
        key="frontier",
        title="What one user gets, what all users get",
        text=text,
        figure=figure(
            traces,
            xaxis={"title": {"text": "output tokens/s for one user"}, "rangemode": "tozero"},
            yaxis={"title": {"text": "output tokens/s in all"}, "rangemode": "tozero"},
            height=420,
        ),
    )


def _frontier_line(name: str, colour: str, points: Sequence[tuple[int, float | None, float | None]]) -> Figure | None:
    known = [(users, each, total) for users, each, total in points if each is not None and total is not None]
    if not known:
        return None
    return {
        "type": "scatter", "mode": "lines+markers+text", "name": name, "x": [round4(each) for _, each, _ in known],
        "y": [round4(total) for _, _, total in known], "text": [str(users) for users, _, _ in known],
        "textposition": "top right", "cliponaxis": False, "marker": {"size": 9, "color": colour},
        "line": {"color": colour, "width": 2, "dash": "solid" if name == "measured" else "dot"},
        "hovertemplate": "%{text} users: %{x:.3g} tok/s each, %{y:,.4g} in all<extra>" + name + "</extra>",
    }  # fmt: skip


def cost_over_load(levels: Sequence[Level]) -> Chart | None:
    """What 1,000 useful answers cost at each load."""
    rows = [
        (level.users, usd)
        for level in levels
        if level.contents and level.contents.run.valid and (usd := level.contents.usd_per_1k_useful) is not None
    ]
    if not rows:
        return None
    trace = {
        "type": "scatter", "mode": "lines+markers+text", "x": [users for users, _ in rows],
        "y": [round4(usd) for _, usd in rows], "text": [q.usd(usd) for _, usd in rows], "textposition": "top center",
        "cliponaxis": False, "marker": {"size": 9, "color": "@measured"}, "line": {"color": "@measured", "width": 2},
        "hoverinfo": "x+text", "showlegend": False,
    }  # fmt: skip
    return Chart(
        key="cost",
        title="1,000 useful answers cost",
        text="; ".join(f"{q.counted(users, 'user')}: {q.usd(usd)}" for users, usd in rows),
        figure=figure(
            [trace], xaxis={"title": {"text": "users"}}, yaxis={"title": {"text": "USD"}, "rangemode": "tozero"}
        ),
    )


def latency_over_load(levels: Sequence[Level]) -> Chart | None:
    """Time to first token at each load: half of the requests, nine in ten, 99 in 100."""
    found = [(level.users, level.contents.run.metrics.get("ttft_s")) for level in levels if level.contents]
    traces = []
    for name, colour in (("p50", "@measured"), ("p90", "@second"), ("p99", "@loss")):
        points = [(users, value) for users, spread in found if spread and (value := getattr(spread, name)) is not None]
        if points:
            traces.append({
                "type": "scatter", "mode": "lines+markers", "name": name, "x": [users for users, _ in points],
                "y": [round4(value) for _, value in points], "marker": {"size": 8, "color": colour},
                "line": {"color": colour, "width": 2}, "hovertemplate": f"%{{y:.3g}} s<extra>{name}</extra>",
            })  # fmt: skip
    if not traces:
        return None
    text = "; ".join(
        f"{q.counted(users, 'user')}: half within {q.seconds(spread.p50)}" for users, spread in found if spread
    )
    axes: Figure = {
        "xaxis": {"title": {"text": "users"}},
        "yaxis": {"title": {"text": "seconds"}, "rangemode": "tozero"},
    }
    return Chart(key="ttft", title="Time to first token", text=text, figure=figure(traces, **axes))
