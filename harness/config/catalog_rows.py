"""The rows of the catalog's files as they are written (GB, TB/s, TFLOPS), and the values that they become."""

from typing import Annotated, Any, Literal

from pydantic import Field

from harness.config.rows import AS_OF, CLOCK, DAY, MOMENT, Row
from harness.providers import Accelerator, GpuHour, ModelCard, PricePeriod, PriceWindow, Rates, Status

MathFormat = Literal["fp32", "bf16", "fp16", "fp8", "int8", "fp4"]
Positive = Annotated[float, Field(gt=0)]
Price = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Moment = Annotated[str, Field(pattern=MOMENT)]
AsOf = Annotated[str, Field(pattern=AS_OF)]
Clock = Annotated[str, Field(pattern=CLOCK)]
Day = Annotated[str, Field(pattern=DAY)]

_GIGA, _TERA = 1e9, 1e12


class SourcedRow(Row):
    """What every row of the catalog says about itself."""

    source: Text = Field(description="where the figures come from")
    as_of: AsOf
    status: Status = "verified"
    note: str = ""

    def provenance(self) -> dict[str, Any]:
        """The same four fields, for the value."""
        return {"source": self.source, "as_of": self.as_of, "status": self.status, "note": self.note}


class NamedRow(SourcedRow):
    """A row that a user's file may replace by another of the same name."""

    override: bool = Field(default=False, description="true where this row replaces one of the same name")


class CalendarRow(NamedRow):
    """Days on which a window does not hold."""

    dates: list[Day]


class AcceleratorRow(NamedRow):
    """Datasheet units."""

    hbm_gb: Positive = Field(description="memory, 1e9 bytes")
    hbm_tb_per_s: Positive = Field(description="memory bandwidth, 1e12 bytes per second")
    tflops: dict[MathFormat, Positive] = Field(description="dense rates by precision, e.g. {bf16: 989, fp8: 1979}")
    tdp_w: Positive | None = None
    all_in_kw: Positive | None = None
    scale_up_gb_per_s: Positive | None = None
    scale_up_domain: Count = 1
    scale_out_gb_per_s: Positive | None = None
    usable_memory_share: Share = 1.0

    def value(self, name: str) -> Accelerator:
        """SI units; memory is what the accelerator may really use."""
        return Accelerator(
            name=name,
            hbm_bytes=self.hbm_gb * _GIGA * self.usable_memory_share,
            hbm_bytes_per_s=self.hbm_tb_per_s * _TERA,
            flops_per_s={precision: rate * _TERA for precision, rate in self.tflops.items()},
            tdp_w=self.tdp_w,
            scale_up_bytes_per_s=_scaled(self.scale_up_gb_per_s, _GIGA),
            scale_up_domain=self.scale_up_domain,
            scale_out_bytes_per_s=_scaled(self.scale_out_gb_per_s, _GIGA),
            all_in_w=_scaled(self.all_in_kw, 1e3),
            **self.provenance(),
        )


def _scaled(amount: float | None, factor: float) -> float | None:
    return None if amount is None else amount * factor


class ModelRow(NamedRow):
    """Architecture fields, as in a model's config.json."""

    layers: Count
    hidden: Count
    heads: Count
    kv_heads: Count
    head_dim: Count
    ffn: Count
    vocab: Count
    attention: Literal["gqa", "mla"] = "gqa"
    tied_embeddings: bool = False
    attention_bias: bool = False
    context: Count | None = None
    experts: int = Field(default=0, ge=0)
    experts_per_token: int = Field(default=0, ge=0)
    shared_experts: int = Field(default=0, ge=0)
    expert_ffn: int = Field(default=0, ge=0)
    dense_layers: int = Field(default=0, ge=0)
    kv_lora_rank: int = Field(default=0, ge=0)
    q_lora_rank: int = Field(default=0, ge=0)
    rope_head_dim: int = Field(default=0, ge=0)
    nope_head_dim: int = Field(default=0, ge=0)
    v_head_dim: int = Field(default=0, ge=0)
    window: Count | None = None
    window_layers: int = Field(default=0, ge=0)
    aliases: list[Text] = Field(default=[])
    total_params_b: Positive | None = None

    def value(self, name: str) -> ModelCard:
        """The card; `aliases` become cards of their own, `total_params_b` is a check of the catalog's tests."""
        return ModelCard(name=name, **self.model_dump(exclude={"aliases", "total_params_b", "override"}))

    def contradictions(self) -> list[tuple[str, str, str]]:
        """(field, found, expected) where fields do not fit each other."""
        found = []
        if self.heads % self.kv_heads:
            found.append(("kv_heads", str(self.kv_heads), f"a divisor of heads ({self.heads})"))
        if self.experts and not (self.expert_ffn and 1 <= self.experts_per_token <= self.experts):
            expected = f"experts_per_token of 1 to {self.experts}, and expert_ffn"
            found.append(("experts_per_token", str(self.experts_per_token), expected))
        if self.attention == "mla" and not (self.kv_lora_rank and self.rope_head_dim and self.v_head_dim):
            found.append(("attention", "mla", "kv_lora_rank, rope_head_dim, nope_head_dim and v_head_dim beside it"))
        if max(self.dense_layers, self.window_layers) > self.layers:
            found.append(("layers", str(self.layers), "at least dense_layers and window_layers"))
        if self.window_layers and self.window is None:
            found.append(("window", "nothing", "the tokens that windowed layers see"))
        return found


class RatesRow(Row):
    """US dollars per million tokens."""

    usd_per_mtok_input: Price
    usd_per_mtok_output: Price
    usd_per_mtok_input_cached: Price | None = None
    usd_per_mtok_cache_write: Price | None = None

    def value(self) -> Rates:
        """The same, as a value."""
        return Rates(**self.model_dump())


class WindowRow(Row):
    """Hours in which other rates hold."""

    name: Text
    rates: RatesRow
    spans: list[Annotated[list[Clock], Field(min_length=2, max_length=2)]] = Field(min_length=1)
    weekdays: list[Annotated[int, Field(ge=0, le=6)]] = Field(default=[0, 1, 2, 3, 4, 5, 6], min_length=1)
    except_dates: Text | None = Field(default=None, description="the name of a calendar")

    def value(self, holidays: tuple[str, ...]) -> PriceWindow:
        """`holidays`: the days of the calendar that `except_dates` names."""
        return PriceWindow(
            name=self.name,
            rates=self.rates.value(),
            spans=tuple((begin, end) for begin, end in self.spans),
            weekdays=tuple(self.weekdays),
            except_dates=holidays,
        )


class PeriodRow(Row):
    """Rates between two moments."""

    rates: RatesRow
    name: Text = "list"
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    windows: list[WindowRow] = Field(default=[])

    def value(self, windows: tuple[PriceWindow, ...]) -> PricePeriod:
        """`windows` were made by the caller, who knows the calendars."""
        return PricePeriod(
            rates=self.rates.value(),
            name=self.name,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            windows=windows,
        )


class PriceRow(NamedRow):
    """What one provider charges for one model."""

    provider: Text
    model: Text
    currency: Literal["USD"] = "USD"
    bills_cut_streams: bool = True
    periods: list[PeriodRow] = Field(min_length=1)


class GpuHourRow(NamedRow):
    """What an hour of one accelerator costs."""

    accelerator: Text
    usd_per_gpu_hour: Price
    basis: Text = Field(description="whose price: rent, list, owner")
    low: Price | None = None
    high: Price | None = None

    def value(self, name: str) -> GpuHour:
        """The same, as a value."""
        return GpuHour(name=name, **self.model_dump(exclude={"override"}))
