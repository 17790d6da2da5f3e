"""Economics: what a run cost, what it should have cost, and the yield. The shape of economics.json (schema 1).

Three ledgers, never mixed: the test bill (everything this test cost), the unit cost (the measure window), the day.
Missing is None, and `reasons` says why, by dotted key.
"""

from dataclasses import dataclass, field
from typing import Literal

from harness.measure.results import SampledInterval

ECONOMICS_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TestBill:
    """USD. `spend` splits usd_known + usd_unknown_max over useful, not_useful, failed, cut_off, warm_up, drain."""

    usd_known: float | None
    usd_unknown_max: float | None
    spend: dict[str, float]
    usd_reported: float | None = None  # the provider's own figures, summed, where it sent any
    reported_requests: int | None = None  # how many requests it named a price for
    usd_of_reported: float | None = None  # our own bill of those same requests
    usd_reported_less_ours: float | None = None  # above 0: the provider charges more than its card
    basis: Literal["price_card", "gpu_time"] | None = None  # tokens on the card, or accelerator time of the whole run


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    usd_per_mtok_input: float | None = None
    usd_per_mtok_output: float | None = None
    usd_per_mtok_blended: float | None = None  # this run's own mix, cached tokens at their price
    usd_per_mtok_blended_half_cached: float | None = None  # what-if: re-priced with half of the input cached
    usd_per_mtok_blend_3to1: float | None = None  # (3 x input + output) / 4, list, no cache
    usd_per_1k_useful: float | None = None
    usd_per_1k_right: float | None = None  # bill of the graded requests over those that were right
    price_card: str | None = None
    price_date: str | None = None
    price_label: str | None = None  # period / window of the card that held
    measured_at: str | None = None  # weekday, date and hours of the window, UTC: a bought API differs by the hour
    places: int | None = None  # how many hosts asked: one place says nothing about another


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerSide:
    """The same window at another way to see an owned hour. `side`: cash | full | rent_opportunity."""

    side: str
    usd_per_gpu_hour: float
    basis: str
    as_of: str | None
    usd_per_mtok_output_allin: float | None
    usd_per_1k_useful: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Power of the whole deployment and what it makes of a token. `boundary`: board | node | wall | facility."""

    watts: float
    boundary: str
    kind: str  # measured | declared | assumed
    basis: str
    j_per_output_token: float
    kwh_per_mtok_output: float
    output_tokens_per_s_per_mw: float
    pue: float  # what lifted this boundary to the facility's for the bill of electricity
    idle_watts: float | None = None
    j_per_output_token_above_idle: float | None = None
    usd_per_kwh: float | None = None
    usd_per_mtok_output_electricity: float | None = None
    usd_per_1k_useful_electricity: float | None = None
    revenue_per_mw_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    usd_per_gpu_hour: float | None = None
    basis: str | None = None
    as_of: str | None = None
    usd_per_mtok_output_allin: float | None = None  # all of the cost on output tokens
    usd_per_mtok_total: float | None = None
    usd_per_mtok_input_computed_split: float | None = None
    usd_per_mtok_input_cached_split: float | None = None
    usd_per_mtok_output_split: float | None = None
    split_rule: str | None = None
    usd_per_1k_useful: float | None = None
    users_per_gpu: float | None = None
    revenue_per_gpu_hour: float | None = None
    sides: tuple[OwnerSide, ...] | None = None
    energy: Energy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRow:
    """A ceiling of the output rate for this run's own mix, and the resource that sets it."""

    output_tokens_per_s: float
    limited_by: str
    batch: float
    output_tokens_per_s_per_user: float
    usd_per_mtok_output_allin: float | None = None
    yield_ratio: float | None = None
    ttft_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    at_this_load: BoundRow | None = None
    at_best_load: BoundRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Theoretical:
    usd_per_mtok_output_allin: float | None = None
    yield_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One step of the waterfall: a change of inputs to R/C. `share`: of the log distance from first to last."""

    factor: str
    ratio: float
    kind: Literal["measured", "declared", "assumed"]
    rc_before: float
    rc_after: float
    evidence: str
    share: float | None = None
    usd_revenue: float | None = None  # of a day of the whole deployment: what the step adds to the revenue
    usd_cost: float | None = None  # ... and to the cost; both sum to end less start


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStep:
    """One step of the buyer's waterfall: `usd` is added to the price of 1,000 answers."""

    factor: str
    ratio: float
    kind: Literal["measured", "declared", "assumed"]
    usd: float
    usd_before: float
    usd_after: float
    evidence: str
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyerWaterfall:
    """From the list price of 1,000 answers at in:out 3:1, thoughts and failures left out, to 1,000 useful ones."""

    usd_per_1k_list_3to1: float
    usd_per_1k_useful: float
    usd_per_mtok_own_mix: float  # list price, own in:out with thoughts, nothing cached
    usd_per_mtok_useful: float  # paid per million tokens of useful answers, input and output
    price_card: str
    price_date: str
    steps: tuple[PriceStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HourPrice:
    """This run's useful answers at one kind of hour of its card, re-priced; `is_this_run`: all were sent then."""

    label: str
    usd_per_1k_useful: float
    share_of_week: float
    is_this_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same useful answers bought elsewhere, at this run's token counts; useful rate assumed equal."""

    price_card: str
    price_date: str
    usd_per_1k_useful: float | None
    yield_ratio: float | None  # seller's, if these tokens were sold on that card
    break_even_utilisation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The only ledger where idle exists: unit cost over a declared use of the day."""

    utilisation: float | None = None
    kind: Literal["declared", "assumed"] | None = None
    usd_per_1k_useful: float | None = None
    yield_ratio: float | None = None
    curve: str | None = None  # the demand curve, where one was declared
    basis: str | None = None  # what the day rests on, in words
    full_load_hours: float | None = None  # hours of this run's load that a day's demand adds up to
    usd_revenue: float | None = None  # of one day of the whole deployment
    usd_cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredRange:
    """What a figure spans over the low and high of a declared input, printed (low..high)."""

    low: float
    high: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Economics:
    run_id: str
    test_bill: TestBill
    buyer: Buyer
    owner: Owner
    bound: Bounds
    bound_fraction: float | None
    theoretical: Theoretical
    yield_ratio: float | None
    yield_basis: Literal["seller", "avoided"] | None
    gross_margin: float | None
    break_even_utilisation: float | None
    day: Day
    comparisons: tuple[Comparison, ...] = ()
    waterfall: tuple[Factor, ...] = ()
    buyer_waterfall: BuyerWaterfall | None = None
    #: a card with windows: the same answers at each of its hours, and over a flat week
    hours: tuple[HourPrice, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    #: sampling error by dotted key; None: `reasons["intervals.<key>"]` says why
    intervals: dict[str, SampledInterval | None] = field(default_factory=dict)
    #: spans that declared inputs give, by dotted key; no sampling error, and never merged with one
    ranges: dict[str, DeclaredRange] = field(default_factory=dict)
    schema: int = ECONOMICS_SCHEMA
