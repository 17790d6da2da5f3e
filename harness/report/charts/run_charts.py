"""Arrays and result values in, plotly figures as plain dictionaries out: binned, so that a million records stay small.

Colours are names with an @ in front ("@measured"); the page puts its own colours in, light or dark.
"""

import math
import textwrap
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from harness.price.results import Factor
from harness.report import quantities as q
from harness.report.charts.arrays import Arrays
from harness.report.charts.drawing import Chart, Figure, figure, label, log_ticks, make_charts, round4, rounded
from harness.report.charts.price_charts import buyer_waterfall
from harness.report.contents import RunContents

Floats = npt.NDArray[np.float64]

_POINTS = 240  # of a curve
_BINS = 120  # of time
_BARS = 60  # of a histogram


def run_charts(contents: RunContents, arrays: Arrays | None) -> tuple[dict[str, Chart], tuple[str, ...]]:
    """Every chart that the run has data for, by key; and what went wrong with the others."""
    makers: dict[str, Callable[[], Chart | None]] = {
        "waterfall": lambda: waterfall(contents),
        "buyer_waterfall": lambda: buyer_waterfall(contents),
        "theory": lambda: theory(contents),
        "outcomes": lambda: outcomes(contents),
        "bill": lambda: bill(contents),
    }
    if arrays is not None and arrays.count:
        makers |= {
            "latency": lambda: latency(arrays),
            "gaps": lambda: gaps(arrays),
            "speed": lambda: speed(arrays),
            "throughput": lambda: throughput(arrays),
            "in_flight": lambda: in_flight(arrays),
        }
    return make_charts(makers)


def waterfall(contents: RunContents) -> Chart | None:
    """R/C from theory down to the day, on a logarithmic axis: equal heights are equal factors."""
    factors = contents.economics.waterfall if contents.economics and contents.run.valid else ()
    if not factors:
        return None
    held = contents.run.load.state == "demand_limited"
    names = ["theory, best load", *(_label(factor) for factor in factors), "what is left"]
    begin, end = factors[0].rc_before, factors[-1].rc_after
    floors = [0.0, *(min(factor.rc_before, factor.rc_after) for factor in factors), 0.0]
    tops = [begin, *(max(factor.rc_before, factor.rc_after) for factor in factors), end]
    lowest = min(value for value in (*floors, *tops) if value > 0) / 2
    colours = ["@theory", *("@loss" if factor.ratio <= 1 else "@gain" for factor in factors), "@measured"]
    texts = [f"{begin:.2f}", *(f"x{factor.ratio:.2f}" for factor in factors), f"{end:.2f}"]
    trace = {
        "type": "bar", "x": names, "y": [top - max(floor, lowest) for floor, top in zip(floors, tops, strict=True)],
        "base": [max(floor, lowest) for floor in floors], "marker": {"color": colours}, "text": texts,
        "textposition": "outside", "cliponaxis": False, "hoverinfo": "x+text", "showlegend": False,
    }  # fmt: skip
    high = max(tops)
    limits = [float(np.log10(lowest)), float(np.log10(high)) + 0.15]
    axis = {"type": "log", "title": {"text": "revenue / cost"}, "range": limits, **log_ticks(limits)}
    even = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1,
            "line": {"color": "@ink", "width": 1, "dash": "dot"}}  # fmt: skip
    steps = "; ".join(f"{factor.factor} x{factor.ratio:.2f} ({factor.kind})" for factor in factors)
    return Chart(
        key="waterfall",
        title="Revenue over cost, step by step" + (" (demand-limited: not the endpoint's best)" if held else ""),
        text=f"Revenue over cost falls from {begin:.2f} in theory to {end:.2f}. Steps: {steps}. 1 is break-even.",
        figure=figure([trace], yaxis=axis, shapes=[even], height=380),
    )


def _label(factor: Factor) -> str:
    name = "<br>".join(textwrap.wrap(label(factor.factor), 14))
    return name if factor.kind == "measured" else f"{name}<br>({factor.kind})"


def theory(contents: RunContents) -> Chart | None:
    """Theory and measured output rates as three bars."""
    bound = contents.economics.bound if contents.economics else None
    rate = contents.run.throughput.output_tokens_per_s
    if bound is None or bound.at_this_load is None or rate is None:
        return None
    rows = [("measured", rate, "@measured"), ("theory, this load", bound.at_this_load.output_tokens_per_s, "@theory")]
    if bound.at_best_load is not None:
        rows.append(("theory, best load", bound.at_best_load.output_tokens_per_s, "@faint"))
    trace = {
        "type": "bar", "orientation": "h", "y": [row[0] for row in rows], "x": [round4(row[1]) for row in rows],
        "marker": {"color": [row[2] for row in rows]}, "text": [q.rate(row[1]) for row in rows],
        "textposition": "auto", "hoverinfo": "y+text", "showlegend": False,
    }  # fmt: skip
    return Chart(
        key="theory",
        title="Output rate beside its bounds",
        text="; ".join(f"{name}: {q.rate(value)} output tokens/s" for name, value, _ in rows),
        figure=figure([trace], xaxis={"title": {"text": "output tokens/s"}, "rangemode": "tozero"}, height=210),
    )


def outcomes(contents: RunContents) -> Chart | None:
    found = sorted(contents.run.outcomes.items(), key=lambda pair: pair[1])
    found = [(label(name), number) for name, number in found if number]
    if not found:
        return None
    colours = ["@measured" if name == "ok" else "@faint" if name == "censored" else "@loss" for name, _ in found]
    trace = {
        "type": "bar", "orientation": "h", "y": [name for name, _ in found], "x": [number for _, number in found],
        "marker": {"color": colours}, "text": [f"{number:,}" for _, number in found], "textposition": "auto",
        "hoverinfo": "y+text", "showlegend": False,
    }  # fmt: skip
    return Chart(
        key="outcomes",
        title="How the requests ended",
        text="; ".join(f"{name}: {number:,}" for name, number in reversed(found)),
        figure=figure([trace], xaxis={"title": {"text": "requests"}}, height=110 + 34 * len(found)),
    )


_SPEND_COLOURS = {"useful": "@measured", "not_useful": "@loss", "failed": "@loss", "cut_off": "@theory"}


def bill(contents: RunContents) -> Chart | None:
    """The test bill: one bar, split by what the money bought."""
    spend = contents.economics.test_bill.spend if contents.economics else {}
    parts = [(label(name).replace("_", " "), usd, _SPEND_COLOURS.get(name, "@faint")) for name, usd in spend.items()]
    parts = [part for part in parts if part[1] > 0]
    if not parts:
        return None
    trace = {
        "type": "bar", "x": [name for name, _, _ in parts], "y": [round4(usd) for _, usd, _ in parts],
        "marker": {"color": [colour for _, _, colour in parts]}, "text": [q.usd(usd) for _, usd, _ in parts],
        "textposition": "outside", "cliponaxis": False, "hoverinfo": "x+text", "showlegend": False,
    }  # fmt: skip
    return Chart(
        key="bill",
        title="What this test paid for",
        text="; ".join(f"{name}: {q.usd(usd)}" for name, usd, _ in parts),
        figure=figure([trace], yaxis={"title": {"text": "USD"}}, height=280),
    )


def latency(arrays: Arrays) -> Chart | None:
    """Share of requests that had come so far, for first token, first answer word and whole answer."""
    rows = [("first token", arrays.ttft_s, "@measured"), ("first answer", arrays.ttfat_s, "@second"),
            ("whole answer", arrays.e2e_s, "@theory")]  # fmt: skip
    traces, texts = [], []
    for name, values, colour in rows:
        known = _known(values[arrays.measured])
        if known.size < 2:
            continue
        shares = _shares(known.size)
        traces.append({
            "type": "scatter", "mode": "lines", "name": name, "line": {"color": colour, "shape": "hv", "width": 2},
            "x": rounded(np.quantile(known, shares)), "y": rounded(100 * shares),
            "hovertemplate": f"%{{y:.1f}}% within %{{x:.3g}} s<extra>{name}</extra>",
        })  # fmt: skip
        texts.append(f"{name}: half within {q.seconds(float(np.median(known)))}, "
                     f"90% within {q.seconds(float(np.quantile(known, 0.9)))}, n={known.size:,}")  # fmt: skip
    if not traces:
        return None
    return Chart(
        key="latency",
        title="How long people wait",
        text="; ".join(texts),
        figure=figure(
            traces,
            xaxis={"type": "log", "title": {"text": "seconds after the request was sent"}, **_span_ticks(traces)},
            yaxis={"title": {"text": "% of requests"}, "range": [0, 101]},
        ),
    )


def gaps(arrays: Arrays) -> Chart | None:
    """Histogram of the gaps between arrivals, pooled over requests."""
    if arrays.gaps_s.size < 2:
        return None
    note = "" if arrays.gap_stride == 1 else f" of every {arrays.gap_stride}th request"
    return _histogram("gaps", "Gaps between arrivals (ITL)", arrays.gaps_s * 1e3, f"ms, pooled{note}")


def speed(arrays: Arrays) -> Chart | None:
    """Histogram of time per output token."""
    known = _known(arrays.tpot_s[arrays.measured])
    return (
        None
        if known.size < 2
        else _histogram("speed", "Time per output token (TPOT)", known * 1e3, "ms, one a request")
    )


def _histogram(key: str, title: str, values: Floats, unit: str) -> Chart:
    """Bars up to the 99.5th percentile; the rest is stated in words."""
    top = float(np.quantile(values, 0.995))
    shown = values[values <= top]
    counts, edges = np.histogram(shown, bins=_BARS)
    middles = (edges[:-1] + edges[1:]) / 2
    trace = {
        "type": "bar", "x": rounded(middles), "y": counts.tolist(),
        "marker": {"color": "@measured"},
        "width": [round4(float(edges[1] - edges[0]))] * _BARS, "showlegend": False,
        "hovertemplate": "%{x:.3g} ms: %{y:,}<extra></extra>",
    }  # fmt: skip
    half, most = float(np.median(values)), float(np.quantile(values, 0.9))
    text = f"half below {half:.3g} ms, 90% below {most:.3g} ms, largest {float(values.max()):.3g} ms, n={values.size:,}"
    return Chart(
        key=key,
        title=title,
        text=f"{text}. {values.size - shown.size:,} values above {top:.3g} ms are not drawn.",
        figure=figure([trace], xaxis={"title": {"text": unit}}, yaxis={"title": {"text": "count"}}, bargap=0.05),
    )


def throughput(arrays: Arrays) -> Chart | None:
    """Output tokens per second over the run: each request's tokens spread evenly over its stream."""
    known = ~(np.isnan(arrays.first_s) | np.isnan(arrays.last_s) | np.isnan(arrays.output_tokens))
    if not known.any():
        return None
    begin, end = arrays.first_s[known], np.maximum(arrays.last_s[known], arrays.first_s[known] + 1e-6)
    edges = _edges(arrays)
    rates = _mean_level(begin, end, arrays.output_tokens[known] / (end - begin), edges)
    return _over_time("throughput", "Output tokens per second", "output tokens/s", edges, rates, arrays)


def in_flight(arrays: Arrays) -> Chart | None:
    """Open requests over the run."""
    edges = _edges(arrays)
    ones = np.ones(arrays.count)
    level = _mean_level(arrays.sent_s, np.maximum(arrays.ended_s, arrays.sent_s + 1e-6), ones, edges)
    return _over_time("in_flight", "Requests in flight", "open requests", edges, level, arrays)


def _edges(arrays: Arrays) -> Floats:
    begin, end = float(np.nanmin(arrays.sent_s)), float(np.nanmax(arrays.ended_s))
    return np.linspace(min(begin, 0.0), max(end, begin + 1e-3), _BINS + 1)


def _mean_level(begin: Floats, end: Floats, height: Floats, edges: Floats) -> Floats:
    """Mean over each bin of a sum of boxes (begin, end, height): integrate the steps, then difference at the edges."""
    times = np.concatenate((begin, end))
    order = np.argsort(times, kind="stable")
    times = times[order]
    level = np.cumsum(np.concatenate((height, -height))[order])
    area = np.concatenate(([0.0], np.cumsum(level[:-1] * np.diff(times))))
    means: Floats = np.diff(np.interp(edges, times, area)) / np.diff(edges)
    return np.maximum(means, 0.0)


def _over_time(key: str, title: str, unit: str, edges: Floats, values: Floats, arrays: Arrays) -> Chart:
    middles = (edges[:-1] + edges[1:]) / 2
    trace = {
        "type": "scatter", "mode": "lines", "x": rounded(middles), "y": rounded(values), "fill": "tozeroy",
        "line": {"color": "@measured", "width": 2}, "fillcolor": "@wash", "showlegend": False,
        "hovertemplate": "%{y:.4g} at %{x:.1f} s<extra></extra>",
    }  # fmt: skip
    text = f"between {values.min():.4g} and {values.max():.4g} {unit}"
    inside = values[_measured(middles, arrays)]
    if inside.size:
        text = f"mean {inside.mean():.4g} {unit} in the measure window, {inside.min():.4g} to {inside.max():.4g}"
    if arrays.cut_s:
        text += f"; the {arrays.cut_s:.3g} s before it were cut: the run still moved there, no figure stands for it"
    told = " (shaded: measured)" if arrays.window_s is not None else ""
    axes: Figure = {"xaxis": {"title": {"text": f"seconds of the run{told}"}},
            "yaxis": {"title": {"text": unit}, "rangemode": "tozero"}}  # fmt: skip
    return Chart(key=key, title=title, text=text, figure=figure([trace], **_window(arrays), **axes))


def _measured(middles: Floats, arrays: Arrays) -> npt.NDArray[np.bool_]:
    begin, end = arrays.window_s or (math.inf, math.inf)
    return np.asarray((middles >= begin) & (middles <= end))


def _window(arrays: Arrays) -> Figure:
    """The window that the figures stand for, shaded; what was cut off its beginning, framed and named."""
    if arrays.window_s is None:
        return {"shapes": []}
    begin, end = arrays.window_s
    band = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    measured = {**band, "x0": round4(begin), "x1": round4(end), "fillcolor": "@band", "line": {"width": 0}}
    if not arrays.cut_s:
        return {"shapes": [measured]}
    left_out = {**band, "x0": round4(begin - arrays.cut_s), "x1": round4(begin), "layer": "above",
                "line": {"color": "@muted", "width": 1, "dash": "dot"}}  # fmt: skip
    name = {"text": "cut", "x": round4(begin - arrays.cut_s / 2), "y": 1, "yref": "paper", "yanchor": "bottom",
            "showarrow": False, "font": {"color": "@muted", "size": 12}}  # fmt: skip
    return {"shapes": [measured, left_out], "annotations": [name]}


def _known(values: Floats) -> Floats:
    found: Floats = values[~np.isnan(values)]
    return found


def _shares(size: int) -> Floats:
    """Where a curve of shares is drawn: evenly, and closer and closer towards the last request."""
    body, tail = np.linspace(0, 0.98, _POINTS), 1 - np.geomspace(0.02, 1 / max(size, 51), 40)
    return np.unique(np.concatenate((body, tail, [1.0])))


def _span_ticks(traces: Sequence[Figure]) -> Figure:
    """Ticks of a logarithmic axis over what the traces reach."""
    reached = [value for trace in traces for value in trace["x"] if value]
    return log_ticks((math.log10(min(reached)), math.log10(max(reached)))) if reached else {}
