"""The rows of catalog/efficiency.yaml and catalog/measurements.yaml as they are written."""

from typing import Literal

from pydantic import Field

from harness.config.catalog_rows import Count, Positive, Price, Share, SourcedRow, Text
from harness.config.layout_rows import LayoutKeys
from harness.providers import Precision
from harness.theory.priors import Basis, Prior
from harness.theory.split import RateMatch


class PriorRow(SourcedRow):
    """Measured / theory of one regime."""

    low: Share
    high: Share
    of: Basis

    def value(self, name: str) -> Prior:
        """The same, as a value."""
        return Prior(name=name, **self.model_dump())


class OverheadsRow(SourcedRow):
    """Fixed costs that theory leaves out unless asked."""

    collective_latency_us: Price
    reserve_gb: Price


class RateMatchRow(SourcedRow):
    """What is left of each side's rate when prefill and decode work in step."""

    prefill_share: Share
    decode_share: Share

    def value(self, name: str) -> RateMatch:
        """The same, as a value."""
        return RateMatch(name=name, **self.model_dump(exclude={"status", "note"}))


class MeasurementRow(SourcedRow, LayoutKeys):
    """A published figure."""

    title: Text
    task: Literal["decode", "prefill"]
    count: Count
    model: Text | None = Field(default=None, description="a model of the catalog")
    model_name: Text | None = Field(default=None, description="what the catalog has no card of")
    accelerator: Text | None = None
    precision: Precision | None = None
    kv_precision: Precision | Literal["int6"] = "bf16"
    batch: Positive | None = None
    context: Price | None = None
    tokens_per_s: Positive | None = None
    per: Count = 1
    tokens_per_s_per_user: Positive | None = None
    prior: Text | None = None
    explained: str = ""
    exceeds_bound: bool = False
    not_expressible: str = ""

    def total_tokens_per_s(self) -> float:
        """The figure for the whole deployment; for one user where the batch is not known."""
        if self.tokens_per_s is not None:
            return self.tokens_per_s * self.count / self.per
        return (self.tokens_per_s_per_user or 0.0) * (self.batch or 1.0)

    def lacks(self) -> list[str]:
        """What an expressible row must name, and this one does not."""
        needed = {"model": self.model, "accelerator": self.accelerator, "precision": self.precision,
                  "context": self.context, "prior": self.prior}  # fmt: skip
        if self.task == "decode":
            needed["batch"] = self.batch
        return [name for name, value in needed.items() if value is None]
