"""Measured: what another tool's file says about one load. Seconds, tokens, requests; None where it says nothing."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A latency's mean and quantiles, seconds."""

    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One load. Rates are of the whole deployment, never per accelerator."""

    tool: str
    label: str
    model: str | None = None
    date: str | None = None  # as the file has it
    epoch_s: float | None = None  # only where the file tells the zone too
    concurrency: float | None = None
    accelerator: str | None = None
    accelerators: int | None = None
    precision: str | None = None
    requests_ok: int | None = None
    requests_failed: int | None = None
    duration_s: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    input_tokens_per_s: float | None = None
    output_tokens_per_s: float | None = None
    isl_tokens: float | None = None
    osl_tokens: float | None = None
    ttft_s: Spread = field(default_factory=Spread)
    tpot_s: Spread = field(default_factory=Spread)
    notes: tuple[str, ...] = ()

    @property
    def tells_anything(self) -> bool:
        """A rate or a token count: without either there is nothing to price."""
        return self.output_tokens_per_s is not None or self.output_tokens is not None


def rate(total: float | None, seconds: float | None) -> float | None:
    """Total over time, where both are told."""
    return total / seconds if total is not None and seconds else None


def mean(total: float | None, count: float | None) -> float | None:
    """Total over count, where both are told."""
    return total / count if total is not None and count else None


def first(*values: float | None) -> float | None:
    """The first value that is told."""
    return next((value for value in values if value is not None), None)
