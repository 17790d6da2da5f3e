"""What an owner pays: capital, power, hosting and operations go in; dollars per accelerator-hour and token come out.

c = [ A / 8760 + kW PUE $/kWh + kW colocation 12 / 8760 + operations K / 8760 ] / availability, with the annuity
A = (K - S / (1+i)^y) i / (1 - (1+i)^-y). One hour's cost is shared between input and output by a stated rule.
"""

from dataclasses import dataclass

from harness.providers import Deployment, Tco

HOURS_PER_YEAR = 8760
#: Marginal rule: an input token is a quarter of an output token (GKE inference recommender's default). A convention,
#: not a measurement; the split is labelled with it.
INPUT_TOKENS_PER_OUTPUT_TOKEN = 4.0
SPLIT_RULE = "marginal: 4 computed input tokens = 1 output token, cache hits weigh 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """Cost of one delivered accelerator-hour, by part; the parts sum to `usd` times availability."""

    capital_usd: float
    power_usd: float
    colocation_usd: float
    operations_usd: float
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuHour:
    """Price of one accelerator-hour with the basis and date that must stand beside it."""

    usd: float
    basis: str
    as_of: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One joint cost shared between token classes, USD per million; the classes re-sum to the whole."""

    usd_per_mtok_input_computed: float
    usd_per_mtok_input_cached: float
    usd_per_mtok_output: float
    rule: str


def annuity_usd(tco: Tco) -> float:
    """Yearly capital cost: what pays back capex less residual value over the lifetime at that interest."""
    if tco.interest_per_year == 0:
        return (tco.capex_usd - tco.residual_usd) / tco.lifetime_years
    growth = (1 + tco.interest_per_year) ** tco.lifetime_years
    owed = tco.capex_usd - tco.residual_usd / growth
    return float(owed * tco.interest_per_year / (1 - 1 / growth))


def hour_of(tco: Tco) -> Hour:
    """One delivered hour of an owned accelerator."""
    capital = annuity_usd(tco) / HOURS_PER_YEAR
    power = tco.power_kw * tco.pue * tco.usd_per_kwh
    colocation = tco.power_kw * tco.colocation_usd_per_kw_month * 12 / HOURS_PER_YEAR
    operations = tco.operations_share_per_year * tco.capex_usd / HOURS_PER_YEAR
    return Hour(
        capital_usd=capital,
        power_usd=power,
        colocation_usd=colocation,
        operations_usd=operations,
        usd=(capital + power + colocation + operations) / tco.availability,
    )


def gpu_hour(deployment: Deployment) -> GpuHour | None:
    """The deployment's price of an accelerator-hour: declared, or computed from its TCO inputs; None: neither."""
    if deployment.usd_per_gpu_hour is not None:
        return GpuHour(usd=deployment.usd_per_gpu_hour, basis=deployment.price_basis, as_of=deployment.price_as_of)
    if deployment.tco is not None:
        return GpuHour(usd=hour_of(deployment.tco).usd, basis="TCO", as_of=deployment.price_as_of)
    return None


def split(
    usd: float, input_computed: float, input_cached: float, output: float, ratio: float = INPUT_TOKENS_PER_OUTPUT_TOKEN
) -> Split | None:
    """Share `usd` over tokens by weight 1 / ratio (computed input), 0 (cached input), 1 (output); None: no tokens."""
    weight = input_computed / ratio + output
    if weight <= 0:
        return None
    per_output = usd / weight * 1e6
    return Split(
        usd_per_mtok_input_computed=per_output / ratio,
        usd_per_mtok_input_cached=0.0,
        usd_per_mtok_output=per_output,
        rule=SPLIT_RULE if ratio == INPUT_TOKENS_PER_OUTPUT_TOKEN else SPLIT_RULE.replace("4", f"{ratio:g}", 1),
    )
