"""What an owner pays: capital, power, hosting and operations go in; dollars per accelerator-hour and token come out.

c = [ A / 8760 + kW PUE $/kWh + kW colocation 12 / 8760 + operations K / 8760 ] / availability, with the annuity
A = (K - S / (1+i)^y) i / (1 - (1+i)^-y); without interest a straight line, (K - S) / y. K holds the network's share.
An hour has three sides: what is paid in cash once the machine is there, the full cost, and the rent that is forgone.
"""

from dataclasses import dataclass

from harness.providers import Deployment, Tco

HOURS_PER_YEAR = 8760


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """Cost of one delivered accelerator-hour, by part; the parts sum to `usd` times availability."""

    capital_usd: float
    power_usd: float
    colocation_usd: float
    operations_usd: float
    usd: float
    cash_usd: float  # without capital: what stops being paid when the machine is switched off


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuHour:
    """Price of one accelerator-hour with the basis and date that must stand beside it."""

    usd: float
    basis: str
    as_of: str | None


def annuity_usd(tco: Tco) -> float:
    """Yearly capital cost: what pays back the investment less residual value over the lifetime at that interest."""
    if tco.interest_per_year == 0:
        return (invested_usd(tco) - tco.residual_usd) / tco.lifetime_years
    growth = (1 + tco.interest_per_year) ** tco.lifetime_years
    owed = invested_usd(tco) - tco.residual_usd / growth
    return float(owed * tco.interest_per_year / (1 - 1 / growth))


def invested_usd(tco: Tco) -> float:
    """Capex and its share of the network, per accelerator."""
    return tco.capex_usd * (1 + tco.network_share)


def hour_of(tco: Tco) -> Hour:
    """One delivered hour of an owned accelerator."""
    capital = annuity_usd(tco) / HOURS_PER_YEAR
    power = tco.power_kw * tco.pue * tco.usd_per_kwh
    colocation = tco.power_kw * tco.colocation_usd_per_kw_month * 12 / HOURS_PER_YEAR
    operations = tco.operations_share_per_year * invested_usd(tco) / HOURS_PER_YEAR
    return Hour(
        capital_usd=capital,
        power_usd=power,
        colocation_usd=colocation,
        operations_usd=operations,
        usd=(capital + power + colocation + operations) / tco.availability,
        cash_usd=(power + colocation + operations) / tco.availability,
    )


def gpu_hour(deployment: Deployment) -> GpuHour | None:
    """The deployment's price of an accelerator-hour: declared, or computed from its TCO inputs; None: neither."""
    if deployment.usd_per_gpu_hour is not None:
        return GpuHour(usd=deployment.usd_per_gpu_hour, basis=deployment.price_basis, as_of=deployment.price_as_of)
    if deployment.tco is not None:
        return GpuHour(usd=hour_of(deployment.tco).usd, basis="TCO", as_of=deployment.price_as_of)
    return None


def idle_saving_usd(deployment: Deployment) -> float:
    """What an hour costs less while an owned accelerator stands idle: power at work less declared idle power.

    0 for a rented hour, and where `idle_watts` is not declared: then idle hours are counted with power as at work.
    """
    tco, power = deployment.tco, deployment.power
    if deployment.usd_per_gpu_hour is not None or tco is None or power is None or power.idle_watts is None:
        return 0.0
    return hour_of(tco).power_usd / tco.availability * max(0.0, 1 - power.idle_watts / power.watts)


def usd_per_worked_hour(deployment: Deployment, usd_per_hour: float, share: float) -> float:
    """Price of an accelerator-hour at work where `share` of the hours is worked and all are paid."""
    return (usd_per_hour - idle_saving_usd(deployment) * (1 - share)) / share


def sides_of(deployment: Deployment) -> dict[str, GpuHour]:
    """An owned accelerator-hour seen three ways: cash, full, rent_opportunity; empty where it is not owned."""
    tco = deployment.tco
    if tco is None:
        return {}
    hour, as_of = hour_of(tco), deployment.price_as_of
    way = f"annuity at {tco.interest_per_year:.3g} a year" if tco.interest_per_year else "straight line"
    sides = {
        "cash": GpuHour(usd=hour.cash_usd, basis="power, colocation and operations; no capital", as_of=as_of),
        "full": GpuHour(usd=hour.usd, basis=f"TCO, {way} over {tco.lifetime_years:g} years", as_of=as_of),
    }
    if deployment.rent is not None:
        rent = deployment.rent
        sides["rent_opportunity"] = GpuHour(
            usd=rent.usd_per_gpu_hour, basis=f"{rent.basis} ({rent.name})", as_of=rent.as_of
        )
    return sides
