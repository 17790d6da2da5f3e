"""The values that a first screen is made of; terminal and HTML both print these, so they cannot say different things.

Texts that came from a server or a file are still raw here: each way of printing makes them harmless in its own way.
"""

from dataclasses import dataclass

from harness.measure.results import Distribution
from harness.price.results import BuyerWaterfall, Factor

#: four heads and four cells beside a row's name; a head's second line stands behind its newline
Four = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    valid: bool
    text: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One way to buy or make 1,000 useful answers. `interval`: sampling error, where it is known, else `no_interval`.
    The upper end is None where only a lower bound is known.

    `too_low`: long answers are missing in this run, so that an answer costs more than this.
    """

    usd: float | None
    interval: tuple[float, float | None] | None
    label: str
    note: str
    no_interval: str = ""
    what: str = "1,000 useful answers of this workload cost"
    too_low: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldLine:
    """The yield, or why there is none. `figures` are (label, text) pairs."""

    title: str
    figures: tuple[tuple[str, str], ...]
    withheld: str | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of theory | measured | fraction; `help` names its glossary entry."""

    name: str
    cells: Four
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    name: str
    key: str
    distribution: Distribution
    too_low: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstScreen:
    endpoint: str
    model: str
    hardware: str
    validity: Validity
    warnings: tuple[str, ...]
    #: why long answers are missing in this run; None where they are not
    length_bias: str | None
    prices: tuple[Price, ...]
    elsewhere: tuple[Price, ...]
    yield_line: YieldLine
    columns: Four
    rows: tuple[Row, ...]
    why: str | None
    #: a bought API: what cache hits would make of its price; reckoned
    what_if: str | None
    rc: tuple[float, float] | None
    factors: tuple[Factor, ...]
    #: the demand curve of the declared day
    curve: str | None
    #: what alone would bring the day to break-even; None where it is there, or where there is no day
    to_break_even: str | None
    #: what a reader must know before the factors: whose doing the steps are
    factors_note: str | None
    #: the step that weighs most, of either bridge, in words
    largest: str | None
    #: a bought API: what stands between the list price and a useful answer
    price_path: BuyerWaterfall | None
    latencies: tuple[Latency, ...]
    useful: str
    useful_parts: tuple[str, ...]
    delivered: tuple[str, ...]
    #: how conversations grew from their first turn on; None where there were none
    turns: str | None
    load: str
    basis: tuple[str, ...]
    next_steps: tuple[str, ...]
    #: slopes per hour of a long run
    moving: tuple[str, ...] = ()
