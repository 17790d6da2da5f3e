"""Scenario and Plan: the question a user asks, and the resolved intention of one run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from harness.load.ruler import Ruler
from harness.providers import Endpoint

#: How hard a model is to think, least first; what a level means is each model's own.
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS: tuple[str, ...] = get_args(Effort)
#: Calls of a queue, where nobody says otherwise: an endpoint that takes in everything would be asked ever more.
QUEUE_LIMIT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is asked. `families`: names of prompt families; `isl_tokens`: pad prompts to about this length.

    `isl`, `osl`: distributions of lengths (see lengths.py); `isl_tokens` is then the mean of `isl`, `max_tokens` the
    most that `osl` may ask. `cache`: cold, as_is, or share:x (that share of every prompt begins like others do).
    `turns`: how many a conversation has, None: every request stands alone; `think_time`: the user's own, before the
    next turn. `system`: a text, or a length in tokens, before everything a user says; `isl` is then what the user says.
    """

    families: tuple[str, ...]
    file: str | None = None  # a data set on disk instead of families; `format`: see datasets.py
    format: str | None = None
    difficulty: int = 2
    isl_tokens: int | None = None
    isl: str | None = None
    osl: str | None = None
    cache: str = "cold"
    max_tokens: int = 1024
    temperature: float | None = None
    reasoning_effort: Effort | None = None  # None: whatever the endpoint does unasked
    max_thinking_tokens: int | None = None  # of the thought alone; max_tokens is of thought and answer together
    blocks: tuple[int, ...] = ()  # of one prompt of a trace: see blocks.py
    fixed_length: bool = False  # ask the server to ignore end-of-sequence and fill max_tokens
    turns: str | None = None
    think_time: str | None = None
    system: str | int | None = None

    @property
    def shared_share(self) -> float:
        """Share of a prompt's tokens that an earlier prompt of the run began with: 0 but for cache share:x."""
        return float(self.cache.removeprefix("share:")) if self.cache.startswith("share:") else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When requests leave. Closed: when the last answer came. Queued: whenever too few wait for their first token. All
    others: at planned times, whatever the answers do.

    `rate_per_user`: requests a second; times `users` it is the rate of the run, on average over a curve, and where a
    level of `levels` is 1. A Poisson user is a source of its own; for gamma and constant the users only scale. Of a
    workload with turns the beginnings of conversations are planned: rate / mean turns of them each second.
    """

    kind: Literal["closed", "queued", "poisson", "constant", "gamma", "trace"] = "closed"
    rate_per_user: float | None = None
    cv: float = 1.0  # gamma: coefficient of variation of the gaps
    levels: tuple[tuple[float, float], ...] = ()  # (s, factor) joined by straight lines; two at one time: a step
    curve: str | None = None  # name of a demand curve ...
    curve_levels: tuple[float, ...] = ()  # ... and its slots, pressed into run_time_s
    trace: str | None = None  # path of a trace, on every worker
    trace_sha256: str | None = None
    trace_rows: int | None = None
    trace_s: float | None = None  # from its first row to its last, at its own pace
    trace_shared: float | None = None  # share of its input tokens that an earlier prompt of it began with
    time_scale: float = 1.0  # trace: 10 replays ten minutes in one
    stagger_s: float = 0.0  # closed: first calls are spread evenly over this
    ahead: int | None = None  # queued: calls of all workers that wait for their first token, at least
    max_in_flight: int | None = None  # planned requests beyond it are not sent, and counted; a queue ends there

    @property
    def open_loop(self) -> bool:
        """Requests have a planned time."""
        return self.kind not in ("closed", "queued")

    @property
    def users_ask(self) -> bool:
        """Each user sends its own requests; else their process does, for all of them."""
        return self.kind == "closed"

    @property
    def is_global(self) -> bool:
        """One plan of the whole run, shared out by index."""
        return self.kind in ("constant", "gamma", "trace")


def waits_in_vain(workload: Workload, kind: str) -> list[str]:
    """Keys of a workload that arrivals of that kind cannot honour: only a user of a closed loop waits for a single
    answer; one who holds a conversation may also have come at a planned time, or to a queue. A trace has its own."""
    asked = [name for name in ("turns", "think_time") if getattr(workload, name) is not None]
    if kind == "closed" or (kind != "trace" and "turns" in asked):
        return []
    return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One file of loadtests/scenarios: workload + load + SLOs + gates. `slos`: metric name -> upper limit, seconds."""

    name: str
    description: str
    workload: Workload
    users: int = 8
    spawn_rate: float | None = None  # None: all users within one second
    run_time_s: float = 60.0
    warm_up_s: float | None = None  # None: a tenth of run_time_s, at most 10 s
    stop_timeout_s: float = 30.0
    slos: Mapping[str, float] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    stop_when_oversaturated: bool = False  # an open loop ends early once its backlog grows without bound
    arrivals: Arrivals = Arrivals()

    def warm_up_seconds(self) -> float:
        """Length of the warm-up window, s."""
        return min(self.run_time_s / 10, 10.0) if self.warm_up_s is None else self.warm_up_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run before it starts; every worker gets the same one. Holds no key. `workers`: how many were expected."""

    run_id: str
    seed: int
    endpoint: Endpoint
    scenario: Scenario
    workers: int = 1
    keep_deltas: bool = True
    keep_answers: bool = True
    keep_awake: bool = False
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    max_usd: float | None = None
    max_requests: int | None = None
    ruler: Ruler = field(default_factory=Ruler)  # tokens per character, as the preflight learned them
    deadlines: Mapping[str, float] = field(default_factory=dict)  # overrides of calls.Deadlines, by field name
