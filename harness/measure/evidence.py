"""Evidence: a study of one run in, how loaded its endpoint was out, and why; honest about not knowing.

Saturated: refused (1 % of requests), or queued (80 % of requests); open loop: in flight grew beyond chance (`queue`);
closed loop: a quarter of the open requests waited, with 3 x the shortest TTFT, or the last half of the load gave at
most a quarter of its share (`gain`) where outputs are longer than inputs. Demand limited: idle in 5 % of the window;
open loop: nothing grew, all was sent, at most half of the requests were queued; closed loop: the last half gave nearly
all of its share, nobody queued, at most 0.8 x the declared max_batch in flight. Anything else is unknown.

A request was queued if it waited longer than 3 x the shortest TTFT of any request at least nine tenths as long: a
longer prompt that was answered sooner shows that it was no prefill that took so long. How often this errs, and in
which direction: docs/windows.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.errors import Outcome
from harness.measure.figures import Study
from harness.measure.gain import Gain, gain_of
from harness.measure.queue import Growth, growth_of
from harness.measure.results import Load, Mix
from harness.measure.sheet import Sheet
from harness.measure.window import Floats, Ints

#: the endpoint had nothing to do in at least this share of the window
IDLE_SHARE = 0.05
#: with this share of requests queued the output is the endpoint's ceiling, or a few per cent below
NEARLY_ALL, HARDLY_ANY = 0.8, 0.1
#: with half of them served at once an open loop was served as it came
OFTEN_FREE = 0.5
#: a queue of a closed loop: so many of its requests waited, so many times as long as the shortest wait of the run
WAITING_SHARE, WAITING_RATIO = 0.25, 3.0
#: a prompt of this share of another's length takes about as long to read
_AS_LONG = 0.9
#: at least this share of requests was turned away (429, or 503 with Retry-After)
REFUSED_SHARE = 0.01
#: what the last half of the load gave of its share: nothing to speak of, or nearly all
NO_GAIN, FULL_GAIN = 0.25, 0.8
#: of the largest batch that was declared: room for more
_ROOM = 0.8
ALONE = "one run cannot show what a higher or lower load would give: use a sweep"
IDLE = "the endpoint stood idle for a part of the window"
#: said where a load was served in full, and the next step might not be
SERVED = "this load was served in full; a limit just above it would not show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What one run shows of its endpoint's load. Shares: `waiting` of open requests, `idle` of the window, `queued` and
    `refused` of the window's requests."""

    in_flight: float
    waiting: float
    idle: float
    queued: float
    refused: float
    not_sent: int
    open_loop: bool
    ttft_ratio: float | None
    growth: Growth | None
    gain: Gain | None
    long_outputs: bool
    max_batch: int | None


def load_of(study: Study, mix: Mix) -> Load:
    """State and evidence from one run alone."""
    if study.seconds is None or mix.mean_in_flight is None or mix.mean_decoding is None:
        return Load(state="unknown", evidence=("there is no measure window",))
    signs = signs_of(study, mix, mix.mean_in_flight, mix.mean_decoding)
    seen = tuple(_seen(signs))
    if (why := _saturated(signs)) is not None:
        return Load(state="saturated", evidence=(why, *seen))
    if signs.idle >= IDLE_SHARE:
        return Load(state="demand_limited", evidence=(IDLE, *seen))
    if (why := _served(signs)) is not None:
        return Load(state="demand_limited", evidence=(why, *seen, SERVED))
    return Load(state="unknown", evidence=(*seen, ALONE))


def signs_of(study: Study, mix: Mix, in_flight: float, decoding: float) -> Signs:
    """Everything that is looked at."""
    sheet, manifest = study.sheet, study.folder.manifest
    open_loop = any(record.planned_ns is not None for record in sheet.records)
    deployment = manifest.endpoint.get("deployment") or {}
    return Signs(
        in_flight=in_flight,
        waiting=1 - decoding / in_flight if in_flight > 0 else 0.0,
        idle=1 - sheet.window.busy_s(sheet.sent_ns, sheet.ended_ns) / sheet.window.seconds,
        queued=queued_share(sheet),
        refused=_refused_share(sheet),
        not_sent=sum(worker.not_sent for worker in manifest.workers.values()),
        open_loop=open_loop,
        ttft_ratio=_ttft_ratio(sheet),
        growth=growth_of(sheet),
        gain=None if open_loop else gain_of(sheet, study.tokens_inside, in_flight),
        long_outputs=(mix.isl_tokens or np.inf) * (1 - (mix.cached_share or 0.0)) <= (mix.osl_tokens or 0.0),
        max_batch=deployment.get("max_batch"),
    )


def _saturated(signs: Signs) -> str | None:
    """Why added load would not be served; None where it might be."""
    if signs.refused >= REFUSED_SHARE:
        return f"{signs.refused:.0%} of requests were refused as rate limited"
    if signs.queued >= NEARLY_ALL:
        return f"{signs.queued:.0%} of requests queued in front of the endpoint"
    if signs.open_loop:
        return signs.growth.words if signs.growth is not None and signs.growth.grows else None
    many = signs.waiting >= WAITING_SHARE and signs.in_flight > 2
    if many and signs.ttft_ratio is not None and signs.ttft_ratio >= WAITING_RATIO:
        return "requests queued in front of the endpoint"
    if signs.gain is not None and signs.gain.share <= NO_GAIN and signs.long_outputs:
        return signs.gain.words
    return None


def _served(signs: Signs) -> str | None:
    """Why all that came was served, so that more would be; None where it cannot be told."""
    if signs.open_loop:
        if signs.growth is None or signs.not_sent or signs.queued > OFTEN_FREE:
            return None
        return "what arrived was served: requests in flight did not grow, and most requests met no queue"
    room = signs.max_batch is not None and signs.in_flight <= _ROOM * signs.max_batch
    free = signs.queued <= HARDLY_ANY and (signs.ttft_ratio or np.inf) < WAITING_RATIO
    if signs.gain is None or signs.gain.share < FULL_GAIN or not room or not free:
        return None
    return f"{signs.in_flight:.0f} of {signs.max_batch} of the declared batch were in flight, and each added one gained"


def _seen(signs: Signs) -> Iterator[str]:
    yield f"{signs.in_flight:.1f} requests in flight on average, {signs.waiting:.0%} of them waiting for a first token"
    yield f"no request in flight in {max(signs.idle, 0.0):.0%} of the window; {signs.queued:.0%} of requests queued"
    if signs.ttft_ratio is not None:
        yield f"median TTFT is {signs.ttft_ratio:.1f}x the shortest of this run"
    if signs.not_sent:
        yield f"{signs.not_sent} planned requests were not sent: our own cap"
    if signs.growth is not None and not signs.growth.grows:
        growth = signs.growth
        yield f"in flight {growth.first} at the begin, {growth.last} at the end of the window"
    if signs.gain is not None:
        yield signs.gain.words


def queued_share(sheet: Sheet) -> float:
    """Share of the window's requests that waited too long for their length."""
    rows = np.flatnonzero(sheet.delivered & sheet.seen)
    waits = (sheet.first_ns - sheet.sent_ns)[rows].astype(np.float64)
    measured = sheet.measured[rows]
    if not measured.any():
        return 0.0
    patience = WAITING_RATIO * _shortest_of_as_long(np.nan_to_num(sheet.input[rows]), waits)
    return float((waits > patience)[measured].mean())


def _shortest_of_as_long(lengths: Floats, waits: Floats) -> Floats:
    """For each request the shortest wait of those at least nearly as long."""
    order = np.argsort(lengths, kind="stable")
    shortest = np.minimum.accumulate(waits[order][::-1])[::-1]
    return shortest[np.searchsorted(lengths[order], _AS_LONG * lengths, side="left")]


def _refused_share(sheet: Sheet) -> float:
    measured = [record for record, inside in zip(sheet.records, sheet.measured, strict=True) if inside]
    refused = sum(record.outcome is Outcome.RATE_LIMITED for record in measured)
    return refused / len(measured) if measured else 0.0


def _ttft_ratio(sheet: Sheet) -> float | None:
    """Median TTFT of the window over the shortest of the whole run, warm-up included (the emptiest moment it saw)."""
    usable = sheet.delivered & sheet.seen
    waits: Ints = sheet.first_ns - sheet.sent_ns
    if not (usable & sheet.measured).any() or (shortest := float(waits[usable].min())) <= 0:
        return None
    return float(np.median(waits[usable & sheet.measured])) / shortest
