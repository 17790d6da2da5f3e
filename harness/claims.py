"""Claim: a published figure, the inputs from which it can be recomputed, and the conditions it was stated under.

Values only: `config` reads them from the catalog, `price.claims` recomputes them, `report` tells the story.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.providers import Accelerator, GpuHour, ModelCard, Rates, Status

#: how the recomputed value must stand to the published one
Relation = Literal["equal", "at_most", "at_least", "within"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published figure, and what the recomputed one must be: equal, `at_least`, `at_most`, or in low..high."""

    name: str
    value: float
    relation: Relation = "equal"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRates:
    """Rates of a price card at one moment, with the card's name and date."""

    card: str
    at: str
    rates: Rates
    source: str
    as_of: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Figures that several claims share, with their source and date."""

    name: str
    numbers: Mapping[str, float]
    source: str
    as_of: str
    status: Status = "verified"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePair:
    """Hours of a new and an old accelerator on one basis at one date."""

    new: GpuHour
    old: GpuHour

    @property
    def ratio(self) -> float:
        """New over old."""
        return self.new.usd_per_gpu_hour / self.old.usd_per_gpu_hour

    @property
    def basis(self) -> str:
        """Whose price."""
        return self.new.basis if self.new.basis == self.old.basis else f"{self.new.basis} / {self.old.basis}"

    @property
    def as_of(self) -> str:
        """Date of the prices."""
        return self.new.as_of if self.new.as_of == self.old.as_of else f"{self.new.as_of} / {self.old.as_of}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a recomputation starts from; units stand in the names of `numbers`."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    accelerators: Mapping[str, Accelerator] = field(default_factory=dict)
    models: Mapping[str, ModelCard] = field(default_factory=dict)
    rates: Mapping[str, CardRates] = field(default_factory=dict)
    hours: Mapping[str, GpuHour] = field(default_factory=dict)
    pairs: tuple[PricePair, ...] = ()

    @property
    def rows(self) -> tuple[Group | Accelerator | ModelCard | GpuHour, ...]:
        """Every row of the catalog and group of figures that stands in it, each once."""
        hours = [*self.hours.values(), *(hour for pair in self.pairs for hour in (pair.new, pair.old))]
        return (*self.groups, *self.accelerators.values(), *self.models.values(), *{h.name: h for h in hours}.values())

    def number(self, name: str) -> float:
        """A figure of the claim itself, else of the groups that it names."""
        if name in self.numbers:
            return self.numbers[name]
        for group in self.groups:
            if name in group.numbers:
                return group.numbers[name]
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """Conditions that a figure holds for; None is unknown."""

    model: str | None = None
    precision: str | None = None
    accelerator: str | None = None
    gpus: int | None = None
    parallelism: str | None = None
    isl_tokens: float | None = None
    osl_tokens: float | None = None
    mean_kv_tokens: float | None = None
    hit_share: float | None = None
    tokens_per_s_per_user: float | None = None
    mtp: bool | None = None
    window: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`formula` names the recomputation; `tolerance` is relative; `holds_if` is what would have to be true.

    `needs`: what is missing where a published figure cannot be recomputed. `bound_of`: the claim whose bound fraction
    may stand beside another measurement's.
    """

    id: str
    topic: str
    short: str
    statement: str
    who: str
    said: str
    formula: str
    published: tuple[Published, ...]
    inputs: Inputs
    tolerance: float
    vector: Vector
    source: str
    as_of: str
    holds_if: str = ""
    remark: str = ""
    needs: str = ""
    bound_of: str | None = None
    status: Status = "verified"
    note: str = ""
