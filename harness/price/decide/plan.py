"""A measured run goes in; decisions come out: break-even against every card, a fleet, a mix, API or local.

One unit is the deployment that was measured, at the load at which it was measured. Everything is reckoned from that
run and from declared prices and demand; nothing here was measured at another size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import InputError, Mistake
from harness.price.bridge.ratio import break_even_share
from harness.price.case import Case, no_rate_reason, no_shape_reason
from harness.price.day.demand import mean_share
from harness.price.day.fleet import Fleet, day_ledger
from harness.price.decide.comparable import Offer, sells
from harness.price.decide.floor import Floor, Verdict, against_floor
from harness.price.decide.sourcing import HOURS_PER_MONTH, Mix, Sources, cheapest_mix, own_share
from harness.price.owned.tco import idle_saving_usd, usd_per_worked_hour
from harness.providers import DayTerms, DemandCurve, Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The demand to plan for; neither rate nor volume: the measured unit's own peak."""

    curve: DemandCurve
    peak_tokens_per_s: float | None = None  # output tokens
    mtok_per_month: float | None = None  # input and output
    local_share: float = 0.0
    usd_per_rented_hour: float | None = None
    hours_per_day: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """The unit against one card. `own_share`: own capacity that the curve justifies, a share of its peak."""

    price_card: str
    price_date: str
    usd_per_mtok: float  # of this run's mix, input and output, mean of a week
    break_even_utilisation: float
    break_even_mtok_per_month: float
    own_share: float
    floor: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """Whole units for the stated demand, dedicated to it."""

    peak_output_tokens_per_s: float
    mtok_per_month: float
    units: int
    accelerators: int
    utilisation: float
    usd_per_month: float
    usd_per_mtok: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one answer costs in one way."""

    way: str
    usd: float | None
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    run_id: str
    unit: str
    usd_per_gpu_hour: float
    price_basis: str
    price_as_of: str | None
    output_tokens_per_s: float
    capacity_mtok_per_month: float
    curve: str
    curve_kind: str
    versus: tuple[Versus, ...]
    floor: Floor | None
    fleet: FleetPlan
    mix: Mix | None
    mix_card: str | None
    all_own_usd_per_month: float
    all_api_usd_per_month: float | None
    answers: tuple[Answer, ...]
    verdict: str
    notes: tuple[str, ...] = ()


def make_plan(case: Case, found: Sequence[Offer], floor: Floor | None, ask: Ask, reached: float | None) -> Plan:
    """Decide from one run. Raises InputError where the run has no deployment, price of an hour, or rate."""
    unit = _unit(case)
    deployment, hour = case.deployment, case.hour
    assert deployment is not None and hour is not None
    curve, fleet = ask.curve, _fleet(unit, deployment, ask)
    versus = tuple(_versus(unit, offer, deployment.model.name, curve, floor, reached) for offer in found)
    cheapest = min(versus, key=lambda one: one.usd_per_mtok, default=None)
    per_hour = unit.tokens_per_hour / 1e6
    sources = Sources(
        own_usd=unit.usd_per_hour,
        api_usd=None if cheapest is None else cheapest.usd_per_mtok * per_hour,
        rent_usd=None if ask.usd_per_rented_hour is None else ask.usd_per_rented_hour * deployment.count,
        local_share=ask.local_share,
    )
    peak_units = fleet.peak_output_tokens_per_s / unit.output_tokens_per_s
    answers = _answers(case, unit, deployment, ask, found)
    return Plan(
        run_id=case.run.run_id,
        unit=f"{deployment.count}x {deployment.accelerator.name}, {deployment.model.name} {deployment.precision}",
        usd_per_gpu_hour=hour.usd,
        price_basis=hour.basis,
        price_as_of=hour.as_of,
        output_tokens_per_s=unit.output_tokens_per_s,
        capacity_mtok_per_month=per_hour * HOURS_PER_MONTH,
        curve=curve.name,
        curve_kind=curve.kind,
        versus=versus,
        floor=floor,
        fleet=fleet,
        mix=cheapest_mix(curve, peak_units, sources),
        mix_card=cheapest.price_card if cheapest else None,
        all_own_usd_per_month=fleet.usd_per_month,
        all_api_usd_per_month=None if cheapest is None else fleet.mtok_per_month * cheapest.usd_per_mtok,
        answers=answers,
        verdict=_verdict(versus, curve),
        notes=_notes(case, versus),
    )


# -- the unit -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """The measured deployment at full use."""

    output_tokens_per_s: float
    usd_per_hour: float
    input_per_output: float
    output_per_request: float
    idle_saved: float  # share of an hour's price that an idle hour saves

    @property
    def tokens_per_hour(self) -> float:
        """Input and output."""
        return self.output_tokens_per_s * 3600 * (1 + self.input_per_output)

    @property
    def tokens_per_request(self) -> float:
        """Input and output."""
        return self.output_per_request * (1 + self.input_per_output)


def _unit(case: Case) -> _Unit:
    rate, usd_per_s, shape = case.output_tokens_per_s, case.usd_per_s, case.shape
    no_rate = no_rate_reason(case.run, "no output tokens")
    lacks = {
        "endpoint.deployment": ("nothing", "what it runs on, `deployment:` in providers.yaml", case.deployment),
        "endpoint.deployment.usd_per_gpu_hour": ("no price of an hour", "one, above 0", usd_per_s),
        "throughput.output_tokens_per_s": (no_rate, "a run that delivered, and stood still", rate),
        "mix.osl_tokens": (no_shape_reason(case.run), "a run that was long enough for its answers", shape),
    }
    mistakes = [
        Mistake(case.run.run_id, key, found, expected) for key, (found, expected, value) in lacks.items() if not value
    ]
    if mistakes or not rate or not usd_per_s or shape is None:
        raise InputError(
            mistakes, hint="a plan needs a run long enough for its answers, on hardware whose hour has a price"
        )
    return _Unit(
        output_tokens_per_s=rate,
        usd_per_hour=usd_per_s * 3600,
        input_per_output=shape.isl_tokens / shape.osl_tokens,
        output_per_request=shape.osl_tokens,
        idle_saved=idle_saving_usd(case.deployment) / case.hour.usd if case.deployment and case.hour else 0.0,
    )


# -- break-even ---------------------------------------------------------------------------------------------------


def _versus(
    unit: _Unit, offer: Offer, model: str, curve: DemandCurve, floor: Floor | None, reached: float | None
) -> Versus:
    """u* = C / R at full use, V* = c 730 / p; the tokens bought are counted as this run's were.

    The floor is that of the measured model: a card that sells another one is neither above nor below it.
    """
    per_mtok = offer.usd_per_request / unit.tokens_per_request * 1e6
    even = break_even(unit.usd_per_hour, unit.tokens_per_hour, per_mtok)
    if unit.idle_saved:
        even = break_even_share(1 / even, unit.idle_saved)
    return Versus(
        price_card=offer.card.name,
        price_date=offer.card.as_of,
        usd_per_mtok=per_mtok,
        break_even_utilisation=even,
        break_even_mtok_per_month=even * unit.tokens_per_hour * HOURS_PER_MONTH / 1e6,
        own_share=own_share(curve, even),
        floor=against_floor(offer.usd_per_request, floor if sells(offer.card, model) else None, reached),
    )


def break_even(usd_per_hour: float, tokens_per_hour: float, usd_per_mtok: float) -> float:
    """u*: share of the hours that must be worked before owning is cheaper; above 1 it never is."""
    value = tokens_per_hour * usd_per_mtok / 1e6
    return usd_per_hour / value if value else math.inf


def break_even_mtok(usd_per_hour: float, usd_per_mtok: float) -> float:
    """V*: million tokens a month that cost as much on the card as the unit's month."""
    return usd_per_hour * HOURS_PER_MONTH / usd_per_mtok if usd_per_mtok else math.inf


# -- fleet --------------------------------------------------------------------------------------------------------


def _fleet(unit: _Unit, deployment: Deployment, ask: Ask) -> FleetPlan:
    """Whole units for the peak, with the declared imbalance and spares, standing all day."""
    mean = mean_share(ask.curve)
    month_s = HOURS_PER_MONTH * 3600
    if ask.peak_tokens_per_s is not None:
        peak = ask.peak_tokens_per_s
    elif ask.mtok_per_month is not None:
        peak = ask.mtok_per_month * 1e6 / (1 + unit.input_per_output) / month_s / mean
    else:
        peak = unit.output_tokens_per_s
    terms = deployment.day or DayTerms()
    needed = peak / unit.output_tokens_per_s / terms.balancedness
    units = math.ceil(math.ceil(needed - 1e-9) * (1 + terms.spare_share) - 1e-9)
    fleet = Fleet(curve=ask.curve, peak_units=peak / unit.output_tokens_per_s, least_units=units,
                  balancedness=terms.balancedness)  # fmt: skip
    day = day_ledger(fleet, unit.usd_per_hour, lambda slot: 0.0)
    mtok = peak * mean * month_s * (1 + unit.input_per_output) / 1e6
    usd = day.usd_cost / 24 * HOURS_PER_MONTH
    return FleetPlan(
        peak_output_tokens_per_s=peak,
        mtok_per_month=mtok,
        units=units,
        accelerators=units * deployment.count,
        utilisation=day.unit_hours_needed / day.unit_hours_paid,
        usd_per_month=usd,
        usd_per_mtok=usd / mtok,
    )


# -- API or local -------------------------------------------------------------------------------------------------


def _answers(case: Case, unit: _Unit, deployment: Deployment, ask: Ask, found: Sequence[Offer]) -> tuple[Answer, ...]:
    """One mean answer of this run: power alone, the box at N and at 24 hours a day, the cheapest API."""
    shape = case.shape
    assert shape is not None
    seconds = shape.osl_tokens / unit.output_tokens_per_s  # of the whole unit
    tco, rows = deployment.tco, []
    if tco is not None and tco.power_kw and tco.usd_per_kwh:
        watts = tco.power_kw * deployment.count * 1000
        usd = tco.power_kw * deployment.count * tco.pue * tco.usd_per_kwh / 3600 * seconds
        basis = f"declared {watts:,.0f} W at ${tco.usd_per_kwh:g}/kWh"
        rows.append(Answer(way="electricity only", usd=usd, basis=basis))
    else:
        rows.append(Answer(way="electricity only", usd=None, basis="not declared: `tco:` with power"))
    for hours in sorted({ask.hours_per_day, 24.0}):
        rows.append(
            Answer(
                way=f"the box at {hours:g} h/day",
                usd=_worked_hour_usd(case, hours) / 3600 * seconds,
                basis=f"hours are declared; {_idle_words(deployment)}",
            )
        )
    for offer in found[:1]:
        rows.append(Answer(way=offer.card.name, usd=offer.usd_per_request,
                           basis=f"card of {offer.card.as_of}, same token counts"))  # fmt: skip
    return tuple(rows)


def _worked_hour_usd(case: Case, hours_per_day: float) -> float:
    """USD per worked hour of the unit, as the day's ledger has it."""
    assert case.deployment is not None and case.hour is not None
    return usd_per_worked_hour(case.deployment, case.hour.usd, hours_per_day / 24) * case.deployment.count


def _idle_words(deployment: Deployment) -> str:
    if deployment.tco is None or not deployment.tco.power_kw:
        return "paid all day"
    power = deployment.power
    if power is None or power.idle_watts is None:
        return "idle power is not declared: as at work"
    return f"idle at {power.idle_watts:,.0f} W"


def _verdict(versus: Sequence[Versus], curve: DemandCurve) -> str:
    """API or local, against the cheapest card."""
    if not versus:
        return "no card to compare with: name one with --card, or under compare_with"
    cheapest = min(versus, key=lambda one: one.usd_per_mtok)
    even, mean = cheapest.break_even_utilisation, mean_share(curve)
    if even >= 1:
        reasons = "reasons left: data that must stay here, no quota"
        return f"owning never beats {cheapest.price_card} on price at this load; {reasons}"
    hours = f"{24 * even:.1f} h of full load a day"
    word = "is cheaper" if mean >= even else "is dearer"
    return f"owning {word} than {cheapest.price_card} on curve {curve.name} (mean {mean:.0%}); it pays from {hours}"


def _notes(case: Case, versus: Sequence[Versus]) -> tuple[str, ...]:
    notes = []
    if case.run.load.state == "demand_limited":
        notes.append("the run was demand-limited: the unit can do more, so break-even lies lower than shown")
    if not case.run.valid:
        notes.append("the measurement is invalid: nothing may be planned on it")
    if any(one.floor == "below" for one in versus):
        notes.append("a card below the floor is sold at a loss, or is not this model in this precision")
    return tuple(notes)
