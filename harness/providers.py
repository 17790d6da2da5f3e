"""Who answers, what it charges and what it runs on: Endpoint, PriceCard, Deployment, Accelerator, ModelCard, Catalog.

Values only. They are checked once, in `config`, and trusted everywhere else.
Units stand in the names: `usd_per_mtok` is US dollars per 1e6 tokens, `bytes_per_s` is 1e0 bytes per second,
`flops_per_s` is dense (never sparse) floating point operations per second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Literal

Dialect = Literal["openai", "vllm", "deepseek", "ollama", "llamacpp"]
Precision = Literal["bf16", "fp16", "fp8", "int8", "fp4", "mxfp4", "q4_k_m"]
#: How far a catalog row may be trusted: only `verified` rows are used without a word.
Status = Literal["verified", "unverified", "conflicting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Prices of one moment, US dollars per million tokens. Missing cached rate means: as uncached input."""

    usd_per_mtok_input: float
    usd_per_mtok_output: float
    usd_per_mtok_input_cached: float | None = None
    usd_per_mtok_cache_write: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceWindow:
    """Daily UTC windows in which other rates hold (a peak, a discount).

    `spans`: ("HH:MM", "HH:MM") pairs, the end exclusive, a span that ends before it begins wraps midnight.
    `weekdays`: 0 = Monday .. 6 = Sunday, of the day on which the span began. `except_dates`: ISO days (holidays).
    """

    name: str
    rates: Rates
    spans: tuple[tuple[str, str], ...]
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    except_dates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePeriod:
    """Rates valid from `valid_from` (inclusive) to `valid_to` (exclusive), ISO 8601 UTC; None is open-ended."""

    rates: Rates
    name: str = "list"
    valid_from: str | None = None
    valid_to: str | None = None
    windows: tuple[PriceWindow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCard:
    """What a provider charges for one model. `status`: only `verified` rows may be used without a word."""

    name: str
    provider: str
    model: str
    source: str
    as_of: str
    periods: tuple[PricePeriod, ...]
    currency: str = "USD"
    status: Status = "verified"
    note: str = ""
    #: True where the provider bills the tokens of a stream that it or the network cut.
    bills_cut_streams: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One GPU (or CPU, or Mac): capacity, bandwidth, dense math rates by precision, links, power."""

    name: str
    hbm_bytes: float
    hbm_bytes_per_s: float
    flops_per_s: Mapping[str, float]
    tdp_w: float | None
    scale_up_bytes_per_s: float | None
    scale_up_domain: int
    scale_out_bytes_per_s: float | None
    source: str
    as_of: str
    status: Status = "verified"
    #: share of the whole data centre's power per accelerator, W, where published
    all_in_w: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuHour:
    """What an hour of one accelerator costs on one basis (rent, list, owner); `low`, `high`: span of the sources."""

    name: str
    accelerator: str
    usd_per_gpu_hour: float
    basis: str
    source: str
    as_of: str
    low: float | None = None
    high: float | None = None
    status: Status = "verified"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """The architecture fields from which parameters, KV bytes and FLOPs are computed (see `theory`)."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    source: str
    as_of: str
    attention: Literal["gqa", "mla"] = "gqa"
    tied_embeddings: bool = False
    attention_bias: bool = False
    context: int | None = None
    # mixture of experts
    experts: int = 0
    experts_per_token: int = 0
    shared_experts: int = 0
    expert_ffn: int = 0
    dense_layers: int = 0  # leading layers without experts
    # multi-head latent attention
    kv_lora_rank: int = 0
    q_lora_rank: int = 0
    rope_head_dim: int = 0
    nope_head_dim: int = 0
    v_head_dim: int = 0
    # sliding window: how many layers see only `window` tokens
    window: int | None = None
    window_layers: int = 0
    status: Status = "verified"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tco:
    """Inputs of an owner's cost per accelerator-hour (economics facts, section 5); money in USD, per accelerator."""

    capex_usd: float
    lifetime_years: float
    residual_usd: float = 0.0
    interest_per_year: float = 0.0
    power_kw: float = 0.0
    pue: float = 1.0
    usd_per_kwh: float = 0.0
    colocation_usd_per_kw_month: float = 0.0
    operations_share_per_year: float = 0.0
    availability: float = 1.0
    #: network, transceivers and cabling on top of capex, as a share of it
    network_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the whole deployment draws at work, W, and where that was read: boards, nodes, the wall, the facility."""

    watts: float
    boundary: Literal["board", "node", "wall", "facility"]
    idle_watts: float | None = None
    usd_per_kwh: float | None = None
    kind: Literal["declared", "measured"] = "declared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How one copy of a model is spread: tp x dp x pp accelerators; `count` of a deployment is a multiple of that.

    tp: accelerators that share each matrix of attention and dense layers. dp: groups that hold attention (and KV) of
    their own requests, as in DP attention. ep: accelerators that the experts are spread over, 1 = experts are split
    like any matrix. pp: stages that hold some of the layers each.
    """

    tp: int = 1
    ep: int = 1
    dp: int = 1
    pp: int = 1
    #: spare copies of hot experts, in all
    redundant_experts: int = 0
    #: fixed time of one collective (all-reduce, dispatch or combine); 0: physics only
    collective_latency_s: float = 0.0
    #: memory per accelerator that neither weights nor KV may take, beside `memory_share`
    reserve_bytes: float = 0.0
    #: True: memory, math and communication of a step hide behind each other; False: they add up
    overlapped: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCurve:
    """Demand over a day (from 00:00 UTC) or a week (from Monday 00:00 UTC) in equal slots; only its form counts.

    `levels` may be shares, nodes or dollars: the peak is what a fleet is built for.
    """

    name: str
    levels: tuple[float, ...]
    source: str
    as_of: str
    days: Literal[1, 7] = 1
    kind: Literal["measured", "declared", "assumed"] = "declared"
    unit: str = "share"
    status: Status = "verified"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTerms:
    """What holds for a day of real traffic and not for a test; declared. Defaults change nothing."""

    monetised_share: float = 1.0  # of the tokens: the rest is given away
    cached_share: float | None = None  # of input tokens; None: as in the run
    balancedness: float = 1.0  # mean / largest load of experts or replicas
    spare_share: float = 0.0  # accelerators kept ready beside those that serve
    idle_reuse: float = 0.0  # 1: idle accelerators find other paid work, 0: they are paid for and idle
    mix: tuple[tuple[PriceCard, float], ...] = ()  # share of the tokens sold on other cards
    units_needed: float | None = None  # deployments like this one; whole ones are bought
    usd_per_gpu_hour: float | None = None  # where the day's accelerators cost other than the test's


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What the endpoint runs on. Exactly one of `usd_per_gpu_hour` and `tco` says what an hour costs (or neither)."""

    accelerator: Accelerator
    count: int
    model: ModelCard
    precision: str
    kv_precision: str = "bf16"
    usd_per_gpu_hour: float | None = None
    tco: Tco | None = None
    price_basis: str = "declared"
    price_as_of: str | None = None
    #: span of the hour's price where its source gives one, US dollars: a range of declared inputs, not an error
    usd_per_gpu_hour_low: float | None = None
    usd_per_gpu_hour_high: float | None = None
    #: largest number of sequences the server runs at once (vLLM --max-num-seqs), None = memory decides
    max_batch: int | None = None
    #: share of accelerator memory that weights and KV may take
    memory_share: float = 0.9
    #: share of a day in which the deployment serves paid traffic, declared; None = not declared
    utilisation: float | None = None
    #: declared or measured power; None: the catalog's, labelled assumed
    power: Power | None = None
    #: accelerators that only prefill (disaggregated serving): the joint cost is then split by node time
    prefill_count: int | None = None
    #: otherwise by this rule
    split: Literal["marginal", "price"] = "marginal"
    #: what an hour of this accelerator rents for in the catalog: what an owner forgoes
    rent: GpuHour | None = None
    #: how the model is spread; None: the cheapest way, with weights and KV held once
    layout: Layout | None = None
    #: tokens that one decode step yields for each sequence (speculation, MTP); of a range the upper end: a ceiling
    tokens_per_step: float = 1.0
    tokens_per_step_low: float | None = None
    #: the same as a curve whose peak is the load of the run; it stands instead of `utilisation`
    demand: DemandCurve | None = None
    day: DayTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """What this endpoint understands beyond the plain request; nothing else is ever sent to it."""

    form: Literal["chat", "completions"] = "chat"  # which of the two: messages, or one prompt
    cap_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    include_usage: bool = True
    continuous_usage: bool = False
    keeps_reasoning: bool = False  # wants the thoughts of earlier turns back, as it sent them; else they are dropped
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One entry of providers.yaml, resolved. The API key is *not* here: only the name of its variable."""

    name: str
    base_url: str
    model: str
    dialect: Dialect = "openai"
    api_key_env: str | None = None
    allow_http: bool = False
    ca_file: str | None = None
    #: URL of an HTTP proxy, or "none"; None: the environment's, and never for loopback
    proxy: str | None = None
    request: RequestOptions = field(default_factory=RequestOptions)
    price_card: PriceCard | None = None
    sell_at: PriceCard | None = None
    compare_with: tuple[PriceCard, ...] = ()
    deployment: Deployment | None = None
    #: simulator preset that `run` and `sweep` start themselves, on a free loopback port, for this entry
    embedded: str | None = None
    #: what the user should know about how this entry was resolved
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Every ageing number by name, each row with its source and date."""

    accelerators: Mapping[str, Accelerator]
    models: Mapping[str, ModelCard]
    prices: Mapping[str, PriceCard]
    gpu_hours: Mapping[str, GpuHour]
    #: section.name of every row that a user's file replaced -> that file
    overridden: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RatedMoment:
    """Rates that hold at one moment, with the names of the period and window they come from."""

    rates: Rates
    label: str


def rates_at(card: PriceCard, epoch_s: float) -> RatedMoment | None:
    """Rates of `card` at a Unix time (s); None where no period covers that time."""
    moment = datetime.fromtimestamp(epoch_s, UTC)
    for period in card.periods:
        if _covers(period, moment):
            for window in period.windows:
                if _inside(window, moment):
                    return RatedMoment(window.rates, f"{period.name}/{window.name}")
            return RatedMoment(period.rates, period.name)
    return None


def _covers(period: PricePeriod, moment: datetime) -> bool:
    begin = period.valid_from and _utc(period.valid_from)
    end = period.valid_to and _utc(period.valid_to)
    return not (begin and moment < begin) and not (end and moment >= end)


@lru_cache(maxsize=1024)
def _utc(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _inside(window: PriceWindow, moment: datetime) -> bool:
    minute = moment.hour * 60 + moment.minute
    for begin_text, end_text in window.spans:
        begin, end = _minutes(begin_text), _minutes(end_text)
        if begin <= end:
            began, hit = moment.date(), begin <= minute < end
        else:  # wraps midnight: after midnight it belongs to the day before
            hit = minute >= begin or minute < end
            began = moment.date() if minute >= begin else date.fromordinal(moment.toordinal() - 1)
        if hit and began.weekday() in window.weekdays and began.isoformat() not in window.except_dates:
            return True
    return False


@lru_cache(maxsize=256)
def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
