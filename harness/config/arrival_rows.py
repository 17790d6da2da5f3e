"""The `arrivals:` part of a scenario file -> Arrivals, every mistake at once."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.config.catalog_rows import Count, Positive, Price, Text
from harness.config.demand_rows import curve_named
from harness.config.documents import Document
from harness.config.rows import Row, mistake_at
from harness.errors import InputError, Mistake
from harness.load.scenarios import QUEUE_LIMIT, Arrivals

Level = Annotated[list[Price], Field(min_length=2, max_length=2)]

#: key -> kinds that know it; the others would ignore it without a word
_KINDS_OF = {
    "rate": ("poisson", "constant", "gamma"),
    "cv": ("gamma",),
    "levels": ("poisson", "constant", "gamma"),
    "curve": ("poisson", "constant", "gamma"),
    "trace": ("trace",),
    "time_scale": ("trace",),
    "stagger_s": ("closed",),
    "ahead": ("queued",),
    "max_in_flight": ("queued", "poisson", "constant", "gamma", "trace"),
}
#: kind -> the key that it cannot do without, and what that is
_NEEDED = {
    "poisson": ("rate", "requests per second"),
    "constant": ("rate", "requests per second"),
    "gamma": ("rate", "requests per second"),
    "trace": ("trace", "the path of a trace"),
    "queued": ("ahead", "how many calls always wait for their first token"),
}


class ArrivalsRow(Row):
    """When requests leave."""

    kind: Literal["closed", "queued", "poisson", "constant", "gamma", "trace"] = "closed"
    rate: Positive | None = Field(default=None, description="requests/s of all users together")
    cv: Positive = Field(default=2.0, description="gamma: coefficient of variation of the gaps; above 1: bursts")
    levels: list[Level] = Field(default=[], description="[second, factor] points: ramps, and steps at equal seconds")
    curve: Text | None = Field(default=None, description="a demand curve, pressed into run_time_s")
    trace: Text | None = Field(default=None, description="Mooncake JSONL, Azure LLM or BurstGPT CSV")
    time_scale: Positive = 1.0
    stagger_s: Price = 0.0
    ahead: Count | None = Field(default=None, description="calls that always wait for their first token")
    max_in_flight: Count | None = None

    def value(self, users: int, folder: Path) -> Arrivals:
        """The same, as a value; file names are relative to the scenario's folder. Raises InputError."""
        curve = curve_named(self.curve, folder) if self.curve else None
        return Arrivals(
            kind=self.kind,
            rate_per_user=None if self.rate is None else self.rate / users,
            cv=self.cv,
            levels=tuple((at_s, factor) for at_s, factor in self.levels),
            curve=self.curve,
            curve_levels=curve.levels if curve else (),
            trace=None if self.trace is None else str((folder / Path(self.trace).expanduser()).absolute()),
            time_scale=self.time_scale,
            stagger_s=self.stagger_s,
            ahead=self.ahead,
            max_in_flight=QUEUE_LIMIT if self.kind == "queued" and not self.max_in_flight else self.max_in_flight,
        )


def check_arrivals(document: Document, root: Any, mistakes: list[Mistake]) -> None:
    """Keys that do not belong together, points out of order; wrong forms are told by the row."""
    found = root.get("arrivals")
    if not isinstance(found, dict):
        return
    kind = found.get("kind", "closed")
    for key in found:
        if key in _KINDS_OF and isinstance(kind, str) and kind not in _KINDS_OF[key]:
            expected = f"kind: {' or '.join(_KINDS_OF[key])}"
            mistakes.append(mistake_at(document, ("arrivals", key), f"{key} with kind {kind}", expected))
    needed, expected = _NEEDED.get(kind, ("", "")) if isinstance(kind, str) else ("", "")
    if needed and found.get(needed) is None:
        mistakes.append(mistake_at(document, ("arrivals",), f"no {needed}", expected))
    if found.get("levels") and found.get("curve"):
        mistakes.append(mistake_at(document, ("arrivals", "curve"), "levels and curve", "one of them"))
    _check_levels(document, found.get("levels"), mistakes)
    if isinstance(found.get("curve"), str):
        try:
            curve_named(found["curve"], Path(document.name).parent)
        except InputError as error:
            expected = error.mistakes[0].expected
            mistakes.append(mistake_at(document, ("arrivals", "curve"), found["curve"], expected))


def _check_levels(document: Document, levels: Any, mistakes: list[Mistake]) -> None:
    try:
        seconds = [float(point[0]) for point in levels or ()]
        factors = [float(point[1]) for point in levels or ()]
    except (TypeError, ValueError, IndexError):
        return  # the row tells
    if seconds != sorted(seconds):
        mistakes.append(mistake_at(document, ("arrivals", "levels"), "seconds that go back", "ascending seconds"))
    if factors and not any(factors):
        mistakes.append(mistake_at(document, ("arrivals", "levels"), "only zeros", "at least one factor above 0"))
