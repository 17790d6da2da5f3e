"""`trueyield price DIR --assume-deployment NAME`: what a bought API may run on, named; its seller's band, printed."""

import re
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.config import default_providers_path, load_providers
from harness.config.asked import Asked, deployment_of
from harness.config.rows import near_miss, shown
from harness.config.theory_data import load_theory_data
from harness.errors import InputError, Mistake
from harness.price.case import Case
from harness.price.decide.assumed import AssumedYield, HourSpan, assumed_yield, hour_span
from harness.providers import Catalog, Deployment
from harness.report import quantities as q
from harness.theory.priors import in_service

_OPTION = "--assume-deployment"
_VERDICTS = {
    "above": "price is above cost floor",
    "below": "price is below cost floor",
    "cannot tell": "price above or below cost: cannot tell",
}
_COUNTED = re.compile(r"([1-9]\d{0,4})x(.+)")


def assume(
    case: Case, name: str, model: str | None, given: tuple[float, float] | None, providers: Path | None
) -> AssumedYield:
    """The band for NAME: an entry of providers.yaml that has a deployment, or COUNTxACCELERATOR of the catalog.

    Engines are expected at what a day of real traffic reached, where that is known. Raises InputError.
    """
    known = load_providers(providers or default_providers_path())
    entry = known.endpoints.get(name)
    if entry is not None and entry.deployment is not None and model is None:
        assumed = entry.deployment
    elif counted := _COUNTED.fullmatch(name):
        served = _model(case, model, known.catalog)
        asked = Asked(model=served, accelerator=counted[2], count=int(counted[1]), layout={})
        try:
            assumed = deployment_of(asked, known.catalog)
        except InputError as error:
            raise InputError([_of_this_option(mistake) for mistake in error.mistakes]) from None
    else:
        entries = [key for key, one in known.endpoints.items() if one.deployment is not None]
        expected = near_miss(name, entries, "an entry with a deployment, or e.g. 8xh200-sxm")
        raise InputError([Mistake("command line", _OPTION, shown(name), expected)])
    hour = _hour(assumed, known.catalog, given, counted=entry is None)
    return assumed_yield(case, assumed, hour, in_service(load_theory_data().priors))


def _model(case: Case, model: str | None, catalog: Catalog) -> str:
    """As asked for; else the model that the run's card or endpoint names, where the catalog has it."""
    if model is not None:
        return model
    card = case.endpoint.price_card
    names = [case.endpoint.model, *([card.model] if card else [])]
    found = next((name for name in names if name in catalog.models), None)
    if found is None:
        said = f"{shown(names[-1])}, which the catalog of models does not know"
        raise InputError([Mistake("command line", "--assume-model", said, "a model of the catalog, e.g. deepseek-v3")])
    return found


def _of_this_option(mistake: Mistake) -> Mistake:
    key = {"--on": _OPTION, "MODEL": "--assume-model"}.get(mistake.key, mistake.key)
    return Mistake(mistake.file, key, mistake.found, mistake.expected)


def _hour(assumed: Deployment, catalog: Catalog, given: tuple[float, float] | None, *, counted: bool) -> HourSpan:
    """A deployment made of the catalog has no contract: its hour spans all that the catalog knows."""
    bare = replace(assumed, usd_per_gpu_hour=None, tco=None) if counted else assumed
    span = hour_span(bare, catalog.gpu_hours.values(), given)
    if span is None:
        found = f"no verified price of an hour of {assumed.accelerator.name}"
        raise InputError([Mistake("command line", "--gpu-hour", found, "one, e.g. --gpu-hour 1.3..4")])
    return span


def show_assumed(say: Callable[[str], None], found: AssumedYield, width: int) -> None:
    """Lines of at most `width` columns."""
    for line in _lines(found):
        for row in textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False):
            say(row)


def _lines(found: AssumedYield) -> list[str]:
    head = "SELLER'S YIELD, ASSUMED (not measurable from outside; never gated)"
    on, hour = f"  if it runs on {found.deployment}", found.hour
    usd = f"({q.usd(hour.low)}..{q.usd(hour.high)})/GPU-h" if hour.low != hour.high else f"{q.usd(hour.low)}/GPU-h"
    basis = f"  at {usd}, {hour.basis}, {hour.as_of}"
    if found.reason is not None:
        return [head, on, basis, f"  no band: {found.reason}"]
    sold = (
        f"  sold at {q.usd(found.usd_per_mtok_output_sold)} per M output with its input, "
        f"card {found.price_card} of {found.price_date}, mean of a flat week"
    )
    costs = f"({q.usd(found.usd_per_mtok_output_low)}..{q.usd(found.usd_per_mtok_output_high)})"
    share = f"({q.fraction(found.fraction_low)}..{q.fraction(found.fraction_high)})"
    priors = ", ".join(f"{name} UNVERIFIED" if name in found.unverified else name for name in found.priors)
    made = f"  costs {costs} to make: {share} of the bound, {found.batch:,.0f} at once ({found.limited_by}); {priors}"
    band = f"  band ({q.signed_percent(found.yield_low)}..{q.signed_percent(found.yield_high)})"
    return [head, on, basis, sold, made, f"{band} -> {_VERDICTS[found.floor]}"]
