"""Encoded records of a live run in, counters and a Prometheus page out.

`LiveRun` counts; the collector asks it for its state when somebody scrapes. Series stay few: endpoint, model and
outcome are the only labels. Words are those of records.jsonl: cached tokens are part of input tokens, reasoning and
answer tokens are parts of output tokens, so each has a counter of its own and no sum counts a token twice.
"""

import platform
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from harness import __version__
from harness.price.spend.cost import request_usd
from harness.providers import Endpoint, PriceCard
from harness.records import ClientLag, StreamRecord, Wall

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_SERIES = 200  # of (endpoint, model): a server that invents model names cannot fill the memory
OTHER = "other"

#: from a local model's first token to an hour of thinking: about three steps a decade
TTFT_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
E2E_BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
TOKEN_KINDS = ("input", "cached", "reasoning", "answer", "output")
_TOKEN_FIELDS = tuple((kind, f"{kind}_tokens") for kind in TOKEN_KINDS)


class SlimRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a record that counters and prices need. Everything else of a line is skipped undecoded."""

    endpoint: str
    model: str
    outcome: str
    stage: str
    started_ns: int
    ended_ns: int
    sent_first_ns: int | None = None
    sent_last_ns: int | None = None
    headers_ns: int | None = None
    first_reasoning_ns: int | None = None
    first_answer_ns: int | None = None
    last_delta_ns: int | None = None
    status: int | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    answer_tokens: int | None = None
    output_tokens: int | None = None
    token_source: str | None = None
    cap_tokens: int | None = None
    usd_reported: float | None = None
    client_lag_ns: ClientLag | None = None
    deltas: int = 0


PriceOf = Callable[[SlimRecord, Wall], float | None]
Labels = tuple[str, str]
_decoder = msgspec.json.Decoder(SlimRecord)


@dataclass(slots=True)
class Histogram:
    """Counts by upper limit, and their sum; the last count is of what lies above every limit."""

    limits: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.limits) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.limits, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus wants them."""
        rows, so_far = [], 0
        for limit, number in zip((*map(str, self.limits), "+Inf"), self.counts, strict=True):
            so_far += number
            rows.append((limit, float(so_far)))
        return rows


@dataclass(slots=True)
class LiveRun:
    """What a run has counted so far.

    `price_of` says what one request cost, None where that is not known; without it the endpoint's own card does.
    """

    endpoint: Endpoint | None = None
    scenario: str = ""
    price_of: PriceOf | None = None
    users: int = 0
    in_flight: int = 0
    awaiting_first: int = 0
    worst_client_lag_s: float | None = None
    unreadable: int = 0
    requests: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    tokens: dict[str, dict[Labels, int]] = field(
        default_factory=lambda: {kind: defaultdict(int) for kind in TOKEN_KINDS}
    )
    spend_usd: dict[Labels, float] = field(default_factory=lambda: defaultdict(float))
    unpriced: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))
    ttft_s: dict[Labels, Histogram] = field(default_factory=dict)
    e2e_s: dict[Labels, Histogram] = field(default_factory=dict)
    _known: set[Labels] = field(default_factory=set)

    def __post_init__(self) -> None:
        card = self.endpoint.price_card if self.endpoint is not None else None
        if self.price_of is None and card is not None:
            self.price_of = _by_card(card)

    def add(self, line: bytes, wall: Wall | None = None) -> SlimRecord | None:
        """Count one encoded record (a line of records.jsonl) and return its fields; None, counted, where it is none."""
        try:
            record = _decoder.decode(line)
        except msgspec.DecodeError:
            self.unreadable += 1
            return None
        labels = self._labels(record)
        self.requests[(*labels, record.outcome)] += 1
        for kind, name in _TOKEN_FIELDS:
            number = getattr(record, name)
            if number is not None:
                self.tokens[kind][labels] += number
        self._time(record, labels)
        self._spend(record, labels, wall)
        if record.client_lag_ns is not None:
            self.worst_client_lag_s = max(self.worst_client_lag_s or 0.0, record.client_lag_ns.max / 1e9)
        return record

    def set_users(self, number: int) -> None:
        self.users = number

    def set_in_flight(self, number: int, awaiting_first: int = 0) -> None:
        """How many requests are open, and how many of them wait for their first token."""
        self.in_flight, self.awaiting_first = number, awaiting_first

    @property
    def total_usd(self) -> float:
        return sum(self.spend_usd.values())

    def _labels(self, record: SlimRecord) -> Labels:
        labels = (record.endpoint, record.model)
        if labels in self._known:
            return labels
        if len(self._known) >= MOST_SERIES:
            return (OTHER, OTHER)
        self._known.add(labels)
        return labels

    def _time(self, record: SlimRecord, labels: Labels) -> None:
        """Latencies of what arrived: a failure or a stream that we cut has no whole answer."""
        sent = record.sent_last_ns
        if sent is None:
            return
        starts = [at for at in (record.first_reasoning_ns, record.first_answer_ns) if at is not None]
        if starts:
            self.ttft_s.setdefault(labels, Histogram(TTFT_BUCKETS_S)).observe((min(starts) - sent) / 1e9)
        if record.outcome in ("ok", "truncated", "cut_in_thought"):
            self.e2e_s.setdefault(labels, Histogram(E2E_BUCKETS_S)).observe((record.ended_ns - sent) / 1e9)

    def _spend(self, record: SlimRecord, labels: Labels, wall: Wall | None) -> None:
        usd = self.price_of(record, wall) if self.price_of is not None and wall is not None else None
        if usd is None:
            self.unpriced[labels] += 1
        else:
            self.spend_usd[labels] += usd


def _by_card(card: PriceCard) -> PriceOf:
    def price_of(record: SlimRecord, wall: Wall) -> float | None:
        # the fields that a bill reads have the same names in both
        return request_usd(card, cast(StreamRecord, record), wall)

    return price_of


class LiveCollector(Collector):
    """Answers a scrape from the state of one LiveRun; before the first run there is none."""

    def __init__(self, live: LiveRun | None) -> None:
        self._live = live

    def collect(self) -> Iterator[Metric]:
        yield _build_info()
        if self._live is None:
            return
        yield _run_info(self._live)
        yield from _counters(self._live)
        yield from _histograms(self._live)
        yield from _gauges(self._live)


def metrics_page(live: LiveRun | None) -> bytes:
    """The page that Prometheus scrapes, in its text format (see CONTENT_TYPE)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LiveCollector(live))
    return generate_latest(registry)


def _build_info() -> Metric:
    info = InfoMetricFamily("trueyield_build", "Version of trueyield and of Python.")
    info.add_metric([], {"version": __version__, "python_version": platform.python_version()})
    return info


def _run_info(live: LiveRun) -> Metric:
    info = InfoMetricFamily("trueyield_run", "What runs: scenario, endpoint and model.")
    endpoint, model = (live.endpoint.name, live.endpoint.model) if live.endpoint is not None else ("", "")
    info.add_metric([], {"scenario": live.scenario, "endpoint": endpoint, "model": model})
    return info


_TOKEN_HELP = {
    "input": "Input tokens as the server counted them, cached ones included.",
    "cached": "Input tokens that the server took from its cache; part of the input tokens.",
    "reasoning": "Reasoning tokens; part of the output tokens.",
    "answer": "Answer tokens; part of the output tokens.",
    "output": "Output tokens as the server counted them, reasoning and answer together.",
}


def _counters(live: LiveRun) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "trueyield_requests", "Requests that ended, by how they ended.", labels=("endpoint", "model", "outcome")
    )
    for labels, number in list(live.requests.items()):
        requests.add_metric(labels, number)
    yield requests
    for kind, help_text in _TOKEN_HELP.items():
        yield _by_endpoint(f"trueyield_{kind}_tokens", help_text, live.tokens[kind])
    yield _by_endpoint("trueyield_spend_usd", "US dollars that the requests cost at the price card.", live.spend_usd)
    yield _by_endpoint("trueyield_unpriced_requests", "Requests that ended, of unknown price.", live.unpriced)
    unreadable = CounterMetricFamily("trueyield_unreadable_records", "Lines that were no record of this version.")
    unreadable.add_metric([], live.unreadable)
    yield unreadable


def _by_endpoint(name: str, text: str, values: dict[Labels, int] | dict[Labels, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=("endpoint", "model"))
    for labels, value in list(values.items()):
        family.add_metric(labels, value)
    return family


def _histograms(live: LiveRun) -> Iterator[Metric]:
    rows = (
        ("trueyield_ttft_seconds", "Request sent until its first reasoning or answer token.", live.ttft_s),
        ("trueyield_e2e_seconds", "Request sent until its stream ended, of requests that were delivered.", live.e2e_s),
    )
    for name, text, values in rows:
        family = HistogramMetricFamily(name, text, labels=("endpoint", "model"))
        for labels, histogram in list(values.items()):
            family.add_metric(labels, histogram.buckets(), histogram.total)
        yield family


def _gauges(live: LiveRun) -> Iterator[Metric]:
    rows = [
        ("trueyield_users", "Users that run now.", float(live.users)),
        ("trueyield_in_flight_requests", "Requests that are open now.", float(live.in_flight)),
        ("trueyield_awaiting_first_token_requests", "Open requests without a first token.", float(live.awaiting_first)),
    ]
    if live.worst_client_lag_s is not None:
        text = "Longest time that our own client took to read what had arrived."
        rows.append(("trueyield_worst_client_lag_seconds", text, live.worst_client_lag_s))
    for name, text, value in rows:
        yield GaugeMetricFamily(name, text, value=value)
