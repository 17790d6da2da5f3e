"""RunResult: what a run measured, as values. The shape of run.json (schema 1); `runs` computes it.

`requests` and `tokens` count everything that was sent. `metrics`, `throughput`, `goodput`, `window` and `useful`
count the measure window only. Missing is None, and `reasons` says why, by dotted key.
"""

from dataclasses import dataclass, field
from typing import Literal

RUN_SCHEMA = 1

LoadState = Literal["demand_limited", "at_slo_knee", "saturated", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Spread of one metric over finished requests. A quantile that n does not allow is None (needs 29 for p90,
    59 for p95, 299 for p99, 2,995 for p99.9). `failed`, `censored`: requests that could not give a value."""

    n: int
    failed: int
    censored: int
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledInterval:
    """A 95 % interval of sampling error, printed [low, high]. `high` is None where only a lower bound is known.

    `n`: how many independent values it rests on (blocks, runs, requests). Never a range of declared inputs.
    """

    low: float
    high: float | None
    method: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    state: LoadState
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """ok + failed + censored = total. ok means delivered whole, not yet useful (see errors.DELIVERED)."""

    planned: int | None
    total: int
    ok: int
    failed: int
    censored: int
    not_sent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Sums over records that know them; `unknown` counts the finished records without a server count."""

    input: int = 0
    cached: int = 0
    reasoning: int = 0
    answer: int = 0
    output: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    requests_per_s: float | None = None
    output_tokens_per_s: float | None = None
    input_tokens_per_s: float | None = None
    output_tokens_per_s_per_user: float | None = None  # median of 1 / TPOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    requests_per_s: float
    output_tokens_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Useful:
    """Answers of the measure window that were worth paying for; `why_not` sums with `count` to `total`.

    `why_not` keys: failed, empty, truncated, cut_in_thought, slo_missed, wrong. `graded`: how many had a checker.
    """

    total: int
    count: int
    share: float | None
    share_low: float | None  # Wilson 95 %
    share_high: float | None
    graded: int
    right: int
    why_not: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The window's mean request and the batch that really ran: the inputs of every bound."""

    isl_tokens: float | None = None
    osl_tokens: float | None = None
    reasoning_share: float | None = None  # of output tokens
    cached_share: float | None = None  # of input tokens; None where the endpoint does not tell
    mean_in_flight: float | None = None  # open requests, time average over the window
    mean_decoding: float | None = None  # of these, those past their first token
    tokens_per_delta: float | None = None
    shared_read_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of the run's conversations, over the delivered requests of the measure window; counts from 1."""

    turn: int
    n: int
    input_tokens: float | None  # mean: the history is inside
    cached_share: float | None  # of these; None where the endpoint does not tell
    ttft_p50_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointResult:
    """The same figures for one endpoint of the run."""

    requests: Requests
    outcomes: dict[str, int]
    tokens: Tokens
    metrics: dict[str, Distribution]
    throughput: Throughput
    goodput: Goodput | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How fast a figure moves, in its unit per hour, with a 95 % interval over `n` blocks; `level`: its mean."""

    per_hour: float
    low: float
    high: float
    n: int
    level: float

    @property
    def drift_per_hour(self) -> float | None:
        """The most that it can move in an hour, at 95 %, over its level: what a soak may limit."""
        return max(abs(self.low), abs(self.high)) / self.level if self.level > 0 else None


#: what can move through a window; see steady.py
Moved = Literal["output tokens/s", "median TTFT", "requests in flight"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowUse:
    """Which part of the measure window the figures stand for.

    `cut_s`: so much was left out at its beginning, because a queue was still being filled or the figures still moved
    there (`reason` says which).
    `moved`: what moved through all of it, so that no part stands for the run. `plan`: the load itself was planned to
    move (levels, curve, trace), and every average is one over that plan. `visible`: by series, the ramp through this
    window that would have been found four times in five, as a share of its median.
    """

    whole_s: float | None = None
    cut_s: float = 0.0
    reason: str | None = None
    moved: tuple[Moved, ...] = ()
    plan: str | None = None
    visible: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    run_id: str
    valid: bool
    invalid_reasons: tuple[str, ...]
    load: Load
    window_s: float | None
    requests: Requests
    outcomes: dict[str, int]
    tokens: Tokens
    window_tokens: Tokens
    metrics: dict[str, Distribution]
    throughput: Throughput
    goodput: Goodput | None
    useful: Useful
    mix: Mix
    endpoints: dict[str, EndpointResult]
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    response_models: tuple[str, ...] = ()
    clock: str | None = None  # kernel | user | mixed
    #: long answers are under-represented (`reasons` says why): OSL, think time, accuracy, $ per answer are None
    length_biased: bool = False
    #: sampling error by dotted key (and `useful_per_s`); None: `reasons["intervals.<key>"]` says why
    intervals: dict[str, SampledInterval | None] = field(default_factory=dict)
    slos: dict[str, float] = field(default_factory=dict)  # metric name -> upper limit; judged goodput and useful
    #: throughput and TTFT stood still across the window (what is left of it: `window`); False, or None where it cannot
    #: be told or was not planned to stand still: `reasons["steady"]` says why
    steady: bool | None = None
    turns: tuple[Turn, ...] = ()  # of conversations
    window: WindowUse = WindowUse()
    #: movement per hour of a long run by name; None: `reasons["slopes.<name>"]` says why
    slopes: dict[str, Slope | None] = field(default_factory=dict)
    schema: int = RUN_SCHEMA
