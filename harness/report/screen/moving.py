"""RunContents in, the slopes of a long run as short texts out: what a soak is for."""

from harness.measure.results import Slope
from harness.report.contents import RunContents

_NAMES = {"output_tokens_per_s": "output tok/s", "ttft_s": "TTFT", "j_per_output_token": "J/token"}


def moving(contents: RunContents) -> tuple[str, ...]:
    """Per hour, of the figure's own level, with its interval; failures in points. Empty for a short run."""
    slopes = contents.run.slopes
    found = [
        _text(name, slope, 100 / slope.level, "%")
        for key, name in _NAMES.items()
        if (slope := slopes.get(key)) is not None and slope.level > 0
    ]
    failed = slopes.get("failed_share")
    return (*found, _text("failed", failed, 100.0, " points")) if failed is not None else tuple(found)


def _text(name: str, slope: Slope, factor: float, unit: str) -> str:
    figures = [_signed(factor * value) for value in (slope.per_hour, slope.low, slope.high)]
    return f"{name} {figures[0]}{unit} [{figures[1]}, {figures[2]}]"


def _signed(value: float) -> str:
    """+3.1, -0.04, 0: two digits are more than an hour can tell."""
    decimals = 0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2
    text = f"{value:+.{decimals}f}"
    return "0" if float(text) == 0 else text
