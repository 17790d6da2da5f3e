"""RunContents in, the chart out that leads a buyer from the list price to what 1,000 useful answers cost."""

import textwrap

from harness.report import quantities as q
from harness.report.charts.drawing import Chart, figure, label
from harness.report.contents import RunContents


def buyer_waterfall(contents: RunContents) -> Chart | None:
    """Steps in dollars, from the list price at in:out 3:1 to the price of 1,000 useful answers."""
    path = contents.economics.buyer_waterfall if contents.economics and contents.run.valid else None
    if path is None or contents.kind != "buyer":
        return None
    names = ["list price, 3:1", *("<br>".join(textwrap.wrap(label(step.factor), 14)) for step in path.steps), "paid"]
    begin, end = path.usd_per_1k_list_3to1, path.usd_per_1k_useful
    floors = [0.0, *(min(step.usd_before, step.usd_after) for step in path.steps), 0.0]
    heights = [begin, *(abs(step.usd) for step in path.steps), end]
    colours = ["@theory", *("@loss" if step.usd > 0 else "@gain" for step in path.steps), "@measured"]
    texts = [q.usd(begin), *(f"x{step.ratio:.2f}" for step in path.steps), q.usd(end)]
    trace = {
        "type": "bar", "x": names, "y": heights, "base": floors, "marker": {"color": colours}, "text": texts,
        "textposition": "outside", "cliponaxis": False, "hoverinfo": "x+text", "showlegend": False,
    }  # fmt: skip
    steps = "; ".join(f"{step.factor} x{step.ratio:.2f}" for step in path.steps)
    return Chart(
        key="buyer_waterfall",
        title="From the list price to a useful answer",
        text=f"1,000 answers cost {q.usd(begin)} at the list price of 3:1 and {q.usd(end)} in the end. Steps: {steps}.",
        figure=figure([trace], yaxis={"title": {"text": "USD per 1,000 useful answers"}, "rangemode": "tozero"},
                      height=380),
    )  # fmt: skip
