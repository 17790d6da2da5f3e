"""The rows of claims.yaml as they are written: figures by name, catalog rows by name."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from harness.claims import Published, Vector
from harness.config.catalog_rows import AsOf, Count, Moment, Positive, SourcedRow, Text
from harness.config.rows import Row

Number = Annotated[float, Field()]


class PublishedRow(Row):
    """What the recomputed value must be: `equal`, on one side of a limit, or in a span."""

    equal: Number | None = None
    at_most: Number | None = None
    at_least: Number | None = None
    within: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of equal, at_most, at_least, within")
        return self

    def value(self, name: str) -> Published:
        """The same, as a value; a span is quoted by its middle."""
        if self.within is not None:
            low, high = self.within
            return Published(name=name, value=(low + high) / 2, relation="within", low=low, high=high)
        for relation, value in (("at_most", self.at_most), ("at_least", self.at_least)):
            if value is not None:
                return Published(name=name, value=value, relation="at_most" if relation == "at_most" else "at_least")
        return Published(name=name, value=self.equal or 0.0)


class RatesAtRow(Row):
    """A price card at one moment."""

    card: Text
    at: Moment


class PairRow(Row):
    """Names of two rows of gpu_hours."""

    new: Text
    old: Text


class InputsRow(Row):
    """Numbers, and catalog rows by their names."""

    numbers: dict[Text, Number] = Field(default={})
    series: dict[Text, list[Number]] = Field(default={})
    groups: list[Text] = Field(default=[])
    accelerators: dict[Text, Text] = Field(default={})
    models: dict[Text, Text] = Field(default={})
    rates: dict[Text, RatesAtRow] = Field(default={})
    hours: dict[Text, Text] = Field(default={})
    pairs: list[PairRow] = Field(default=[])


class VectorRow(Row):
    """Stated conditions; left out is unknown."""

    model: Text | None = None
    precision: Text | None = None
    accelerator: Text | None = None
    gpus: Count | None = None
    parallelism: Text | None = None
    isl_tokens: Positive | None = None
    osl_tokens: Positive | None = None
    mean_kv_tokens: Positive | None = None
    hit_share: Annotated[float, Field(ge=0, le=1)] | None = None
    tokens_per_s_per_user: Positive | None = None
    mtp: bool | None = None
    window: Text | None = None
    date: Text | None = None

    def value(self) -> Vector:
        """The same, as a value."""
        return Vector(**self.model_dump())


class GroupRow(SourcedRow):
    """Figures that several claims share."""

    numbers: dict[Text, Number] = Field(min_length=1)


class ClaimRow(SourcedRow):
    """One published claim."""

    topic: Text
    short: Annotated[str, Field(min_length=1, max_length=29)]
    statement: Text
    who: Text
    said: AsOf
    formula: Text
    published: dict[Text, PublishedRow | Number] = Field(default={})
    inputs: InputsRow = InputsRow()
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.01
    vector: VectorRow = VectorRow()
    holds_if: str = ""
    remark: str = ""
    needs: str = ""
    bound_of: Text | None = None
