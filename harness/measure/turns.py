"""Turns: how a conversation grows. Records in; for each turn its prompts, its cache hits and its TTFT out."""

from collections.abc import Iterable, Mapping
from statistics import fmean, median
from typing import Any

from harness.errors import DELIVERED
from harness.measure.metrics import METRICS
from harness.measure.results import Turn
from harness.records import StreamRecord

#: later turns are told together with this one
LAST_TURN = 32
#: of the stated rate; less is told
ENOUGH = 0.9


def turns_of(records: Iterable[StreamRecord]) -> tuple[Turn, ...]:
    """Delivered turns of the measure window, the first one first; empty where nothing was a conversation."""
    found: dict[int, list[StreamRecord]] = {}
    for record in records:
        if record.turn is not None and record.stage == "measure" and record.outcome in DELIVERED:
            found.setdefault(min(record.turn, LAST_TURN), []).append(record)
    return tuple(_turn(number, found[number]) for number in sorted(found))


def below_rate(scenario: Mapping[str, Any], records: Iterable[StreamRecord], seconds: float | None) -> list[str]:
    """A note where conversations began at planned times, and the window saw fewer requests than the rate stands for.

    `seconds`: length of the window. Levels and curves have no one rate.
    """
    arrivals = scenario.get("arrivals") or {}
    own, moves = arrivals.get("rate_per_user"), arrivals.get("levels") or arrivals.get("curve")
    if not (scenario.get("workload") or {}).get("turns") or not own or moves or not seconds:
        return []
    rate = own * scenario.get("users", 1)
    planned = sum(record.stage == "measure" and record.planned_ns is not None for record in records) / seconds
    if planned >= ENOUGH * rate:
        return []
    return [
        f"{planned:.3g} requests/s were sent in the measure window, the rate stands for {rate:.3g}: conversations that "
        "began before it had not come to all of their turns yet (a longer warm-up), few began, or some ended early"
    ]


def _turn(number: int, records: list[StreamRecord]) -> Turn:
    inputs = [record.input_tokens for record in records if record.input_tokens is not None]
    told = [record for record in records if record.cached_tokens is not None and record.input_tokens]
    asked = sum(record.input_tokens or 0 for record in told)
    waits = [wait for record in records if (wait := METRICS["ttft_s"].value(record)) is not None]
    return Turn(
        turn=number,
        n=len(records),
        input_tokens=fmean(inputs) if inputs else None,
        cached_share=sum(record.cached_tokens or 0 for record in told) / asked if asked else None,
        ttft_p50_s=median(waits) if waits else None,
    )
