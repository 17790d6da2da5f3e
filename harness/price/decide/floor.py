"""The price floor: what the cheapest deployment of the catalog could ask for a run's mean request, by theory.

A card below the floor at the full bound cannot be what it says it is, or is sold at a loss; one above the floor at the
fraction of the bound that this run reached leaves room for a yield. Between the two nothing can be told.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.providers import Accelerator, Deployment, GpuHour
from harness.theory import Shape, best_bound, math_rate

Verdict = Literal["above", "below", "cannot tell"]
_COUNTS = (1, 2, 4, 8, 16)
#: months: a price of an hour that is older than the newest by this or more is history
_STILL_ASKED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """USD per request at the full bound, and where it would be made."""

    usd_per_request: float
    accelerator: str
    count: int
    gpu_hour: str
    as_of: str


def price_floor(
    deployment: Deployment, shape: Shape, accelerators: Iterable[Accelerator], hours: Iterable[GpuHour]
) -> Floor | None:
    """The cheapest of the catalog's verified accelerators and hours for this model; None where none can hold it."""
    known = {one.name: one for one in accelerators if one.status == "verified"}
    cheapest: dict[str, GpuHour] = {}
    for hour in still_asked([hour for hour in hours if hour.status == "verified"]):
        if hour.status != "verified" or hour.accelerator not in known or not hour.usd_per_gpu_hour:
            continue
        best = cheapest.get(hour.accelerator)
        if best is None or hour.usd_per_gpu_hour < best.usd_per_gpu_hour:
            cheapest[hour.accelerator] = hour
    found = [_floor(deployment, shape, known[name], hour) for name, hour in cheapest.items()]
    return min((one for one in found if one is not None), key=lambda one: one.usd_per_request, default=None)


def still_asked(rows: Sequence[GpuHour]) -> list[GpuHour]:
    """Less those that are a year older than the newest: an old offer cannot be bought any more."""
    newest = max((_months(row.as_of) for row in rows), default=0)
    return [row for row in rows if newest - _months(row.as_of) < _STILL_ASKED]


def _months(day: str) -> int:
    """2026-09, 2026-09-14 or 2026 (its end), in months."""
    year, month, *_ = (*day.split("-"), "12")
    return 12 * int(year) + int(month)


def _floor(deployment: Deployment, shape: Shape, accelerator: Accelerator, hour: GpuHour) -> Floor | None:
    """The best count of one accelerator."""
    if math.isinf(math_rate(accelerator, deployment.precision)):  # it has no rate for the precision
        return None
    best: Floor | None = None
    for count in _COUNTS:
        if count > accelerator.scale_up_domain:
            break
        there = replace(deployment, accelerator=accelerator, count=count, max_batch=None)
        bound = best_bound(there, shape)
        if bound is None:
            continue
        usd = hour.usd_per_gpu_hour * count / 3600 / bound.output_tokens_per_s * shape.osl_tokens
        if best is None or usd < best.usd_per_request:
            best = Floor(usd_per_request=usd, accelerator=accelerator.name, count=count, gpu_hour=hour.name,
                         as_of=hour.as_of)  # fmt: skip
    return best


def against_floor(usd_per_request: float, floor: Floor | None, reached: float | None) -> Verdict:
    """A card's price of a request beside the floor; `reached`: the fraction of its bound that this run attained."""
    if floor is None:
        return "cannot tell"
    if usd_per_request < floor.usd_per_request:
        return "below"
    if reached and usd_per_request >= floor.usd_per_request / min(reached, 1.0):
        return "above"
    return "cannot tell"
