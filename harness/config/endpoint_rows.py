"""The entries of providers.yaml as they are written."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.config.catalog_rows import AsOf, Count, Positive, Price, Share, Text
from harness.config.layout_rows import LayoutKeys
from harness.config.rows import Row
from harness.providers import DayTerms, Dialect, Power, Precision, PriceCard, RequestOptions, Tco


class TcoRow(Row):
    """Inputs of an owner's cost per accelerator-hour; money in US dollars, per accelerator."""

    capex_usd: Positive
    lifetime_years: Positive
    residual_usd: Price = 0.0
    interest_per_year: Price = 0.0
    power_kw: Price = 0.0
    pue: Annotated[float, Field(ge=1)] = 1.0
    usd_per_kwh: Price = 0.0
    colocation_usd_per_kw_month: Price = 0.0
    operations_share_per_year: Price = 0.0
    availability: Share = 1.0
    network_share: Price = 0.0

    def value(self) -> Tco:
        """The same, as a value."""
        return Tco(**self.model_dump())


class DayRow(Row):
    """What holds for a day of real traffic and not for a test."""

    monetised_share: Share = 1.0
    cached_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    balancedness: Share = 1.0
    spare_share: Price = 0.0
    idle_reuse: Annotated[float, Field(ge=0, le=1)] = 0.0
    mix: dict[str, Share] = Field(default={}, description="price cards and the share of the tokens sold on each")
    units_needed: Positive | None = None
    usd_per_gpu_hour: Positive | None = None

    def value(self, prices: Mapping[str, PriceCard]) -> DayTerms:
        """The same, as a value."""
        mix = tuple((prices[name], share) for name, share in self.mix.items())
        return DayTerms(mix=mix, **self.model_dump(exclude={"mix"}))


class PowerRow(Row):
    """Power of the whole deployment."""

    watts: Positive = Field(description="what the whole deployment draws at work, in watts")
    boundary: Literal["board", "node", "wall", "facility"] = Field(description="where that was read")
    idle_watts: Price | None = None
    usd_per_kwh: Price | None = None
    kind: Literal["declared", "measured"] = "declared"

    def value(self) -> Power:
        """The same, as a value."""
        return Power(**self.model_dump())


class DeploymentRow(LayoutKeys):
    """What an endpoint runs on."""

    accelerator: Text = Field(description="an accelerator of the catalog, e.g. h100-sxm")
    count: Count = Field(description="how many accelerators serve this endpoint")
    model: Text = Field(description="a model of the catalog, e.g. llama-3.1-8b")
    precision: Precision
    kv_precision: Precision | Literal["int6"] = "bf16"
    usd_per_gpu_hour: Price | None = None
    gpu_hour: Text | None = None
    tco: TcoRow | None = None
    price_basis: Text | None = None
    price_as_of: AsOf | None = None
    max_batch: Count | None = None
    memory_share: Share = 0.9
    utilisation: Share | None = None
    demand: Text | None = Field(default=None, description="a demand curve, e.g. office-hours, or a file of hours")
    day: DayRow | None = None
    power: PowerRow | None = None
    prefill_count: Count | None = None
    split: Literal["marginal", "price"] = "marginal"


class RequestRow(Row):
    """What goes beyond the plain request."""

    form: Literal["chat", "completions"] = "chat"
    cap_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    include_usage: bool = True
    continuous_usage: bool = False
    keeps_reasoning: bool = False
    extra_body: dict[str, Any] = Field(default={})
    headers: dict[str, str] = Field(default={})

    def value(self) -> RequestOptions:
        """The same, as a value."""
        return RequestOptions(**self.model_dump())


class EndpointRow(Row):
    """One entry."""

    model: Text = Field(description="the model's name as this server knows it")
    base_url: Text | None = None
    embedded: Text | None = None
    dialect: Dialect = "openai"
    api_key_env: Text | None = Field(default=None, description="NAME_OF_A_VARIABLE, in capitals")
    allow_http: bool = False
    ca_file: Text | None = None
    proxy: Text | None = Field(default=None, description="http://host:port, or none")
    accept_unverified: bool = False
    price_card: Text | None = None
    sell_at: Text | None = None
    compare_with: list[Text] = Field(default=[])
    deployment: DeploymentRow | None = None
    request: RequestRow = Field(default=RequestRow())
