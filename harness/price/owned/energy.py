"""Energy: a case goes in; joules and electricity per token with the boundary of the power come out.

J/token = W / (tokens/s); 1 kWh per million tokens = 3.6 J per token. Board, node, wall and facility power differ
twofold, so every figure names its boundary. Power that nobody declared is the catalog's (the share of a data centre,
else the board's rating) and is labelled assumed: provisioned watts are no measured watts.
"""

from dataclasses import dataclass

from harness.price.case import Case, no_answers_reason, no_rate_reason
from harness.price.results import Energy
from harness.providers import Deployment, Power

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Power of the whole deployment at work, W, at a boundary; `kind` says who says so."""

    watts: float
    boundary: str
    kind: str
    basis: str
    idle_watts: float | None = None


def joules_per_token(watts: float, tokens_per_s: float) -> float:
    """7,126.2 W at 2,999 tok/s are 2.376 J."""
    return watts / tokens_per_s


def kwh_per_mtok(joules: float) -> float:
    """Energy of a million tokens from that of one."""
    return joules * 1e6 / JOULES_PER_KWH


def electricity_usd(watts: float, seconds: float, usd_per_kwh: float, pue: float = 1.0) -> float:
    """What power costs over a time; `pue` lifts node or wall power to the facility's."""
    return watts * pue * seconds / JOULES_PER_KWH * usd_per_kwh


def draw_of(deployment: Deployment) -> Draw | None:
    """Declared power, else the TCO's, else the catalog's labelled assumed; None where nobody tells any."""
    power, accelerator, count = deployment.power, deployment.accelerator, deployment.count
    if power is not None:
        return Draw(
            watts=power.watts,
            boundary=power.boundary,
            kind=power.kind,
            basis=f"{power.kind} power of the whole deployment",
            idle_watts=power.idle_watts,
        )
    if deployment.tco is not None and deployment.tco.power_kw > 0:
        watts = deployment.tco.power_kw * 1000 * count
        return Draw(watts=watts, boundary="wall", kind="declared", basis=f"{count} x power_kw of `tco:`")
    name = f"{count} x the catalog's {accelerator.name}"
    if accelerator.all_in_w is not None:
        basis = f"{name}, share of a data centre as provisioned, {accelerator.as_of}"
        return Draw(watts=accelerator.all_in_w * count, boundary="facility", kind="assumed", basis=basis)
    if accelerator.tdp_w is not None:
        basis = f"{name}, rated board power, {accelerator.as_of}"
        return Draw(watts=accelerator.tdp_w * count, boundary="board", kind="assumed", basis=basis)
    return None


def energy(case: Case, revenue_usd_per_s: float | None, reasons: dict[str, str]) -> Energy | None:
    """Energy per token at this run's rate, and what a megawatt delivers; None where power is unknown."""
    deployment, rate = case.deployment, case.output_tokens_per_s
    draw = draw_of(deployment) if deployment is not None else None
    if deployment is None or draw is None or rate is None:
        reasons["owner.energy"] = _why_none(case, deployment, draw)
        return None
    joules = joules_per_token(draw.watts, rate)
    price = _usd_per_kwh(deployment)
    pue = _pue(deployment, draw)
    untold = no_answers_reason(case.run, owned=True)
    useful = 0.0 if untold or not case.run.window_s else case.run.useful.count / case.run.window_s
    usd_per_s = None if price is None else electricity_usd(draw.watts, 1.0, price, pue)
    _tell_missing(draw, price, useful, revenue_usd_per_s, reasons)
    if untold and price is not None:
        reasons["owner.energy.usd_per_1k_useful_electricity"] = untold
    return Energy(
        watts=draw.watts,
        boundary=draw.boundary,
        kind=draw.kind,
        basis=draw.basis,
        idle_watts=draw.idle_watts,
        j_per_output_token=joules,
        j_per_output_token_above_idle=None if draw.idle_watts is None else (draw.watts - draw.idle_watts) / rate,
        kwh_per_mtok_output=kwh_per_mtok(joules),
        output_tokens_per_s_per_mw=rate / draw.watts * 1e6,
        usd_per_kwh=price,
        pue=pue,
        usd_per_mtok_output_electricity=None if usd_per_s is None else usd_per_s / rate * 1e6,
        usd_per_1k_useful_electricity=usd_per_s / useful * 1000 if usd_per_s is not None and useful else None,
        revenue_per_mw_hour=None if revenue_usd_per_s is None else revenue_usd_per_s * 3600 / draw.watts * 1e6,
    )


def _why_none(case: Case, deployment: Deployment | None, draw: Draw | None) -> str:
    if deployment is None:
        return "what it runs on is not declared: add `deployment:` to its entry in providers.yaml"
    if draw is None:
        return f"no power is known for {deployment.accelerator.name}: add `power:` to the deployment"
    return no_rate_reason(case.run, "nothing was delivered in the measure window")


def _usd_per_kwh(deployment: Deployment) -> float | None:
    """The price of electricity: beside the power, else in the TCO; a free kWh is never assumed."""
    power: Power | None = deployment.power
    if power is not None and power.usd_per_kwh is not None:
        return power.usd_per_kwh
    return deployment.tco.usd_per_kwh if deployment.tco is not None and deployment.tco.usd_per_kwh > 0 else None


def _pue(deployment: Deployment, draw: Draw) -> float:
    """Facility power holds cooling already; any other is lifted by the TCO's PUE, where one is declared."""
    return 1.0 if draw.boundary == "facility" or deployment.tco is None else deployment.tco.pue


def _tell_missing(
    draw: Draw, price: float | None, useful: float, revenue: float | None, reasons: dict[str, str]
) -> None:
    no_price = "the price of electricity is not declared: add `usd_per_kwh:` to `power:` or `tco:`"
    if price is None:
        names = ("usd_per_kwh", "usd_per_mtok_output_electricity", "usd_per_1k_useful_electricity")
        reasons |= {f"owner.energy.{name}": no_price for name in names}
    elif not useful:
        reasons["owner.energy.usd_per_1k_useful_electricity"] = "no answer was useful"
    if draw.idle_watts is None:
        no_idle = "idle power is not declared: add `idle_watts:` to `power:`"
        reasons |= {f"owner.energy.{name}": no_idle for name in ("idle_watts", "j_per_output_token_above_idle")}
    if revenue is None:
        reasons["owner.energy.revenue_per_mw_hour"] = "there is no revenue: no price card, or nothing was billed"
