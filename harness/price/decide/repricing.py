"""A measured run and other terms go in; the same run re-priced comes out: reckoned, not measured.

Other terms are another date or card, another price of an hour, other cache hits, another day. Cache hits act on both
sides: on the bill through the card, on the rate through prefill, by the ratio of the bounds at the run's own batch.
"""

from dataclasses import dataclass, replace

import msgspec

from harness.errors import InputError, Mistake
from harness.price.case import Case, billed_again
from harness.price.spend.ledger import Entry
from harness.providers import DayTerms, DemandCurve, Deployment, Endpoint, PriceCard
from harness.records import StreamRecord
from harness.theory import bound_at

DAY_S = 86_400
LABEL = "re-priced, not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """None: as in the run. `as_of_s`: Unix time; with `whole_days` the run keeps its time of day on that date."""

    as_of_s: float | None = None
    whole_days: bool = True
    card: PriceCard | None = None
    usd_per_gpu_hour: float | None = None
    cached_share: float | None = None
    curve: DemandCurve | None = None
    utilisation: float | None = None


def altered(case: Case, terms: Terms) -> Case:
    """The case under other terms. Raises InputError where the run lacks what a term changes."""
    mistakes = _missing(case, terms)
    if mistakes:
        raise InputError(mistakes, hint="declare it for the endpoint in providers.yaml and measure again")
    entries, run = case.entries, case.run
    if terms.as_of_s is not None:
        entries = _moved(case, entries, terms.as_of_s, terms.whole_days)
    if terms.cached_share is not None:
        entries = tuple(replace(entry, record=_with_hits(entry, terms.cached_share)) for entry in entries)
        run = replace(run, mix=replace(run.mix, cached_share=terms.cached_share))
        faster = _speed_up(case, terms.cached_share)
        rate = run.throughput.output_tokens_per_s
        run = replace(
            run,
            throughput=replace(run.throughput, output_tokens_per_s=None if rate is None else rate * faster),
            window_s=None if run.window_s is None else run.window_s / faster,
        )
    return billed_again(case, _endpoint(case.endpoint, terms), entries, run)


def changes_in_words(terms: Terms) -> list[str]:
    """What differs from the run, for people."""
    said = []
    if terms.card is not None:
        said.append(f"card {terms.card.name} of {terms.card.as_of}")
    if terms.usd_per_gpu_hour is not None:
        said.append(f"${terms.usd_per_gpu_hour:g}/GPU-h")
    if terms.cached_share is not None:
        said.append(f"{terms.cached_share:.0%} cache hits")
    if terms.curve is not None:
        said.append(f"curve {terms.curve.name} ({terms.curve.kind})")
    if terms.utilisation is not None:
        said.append(f"{terms.utilisation:.0%} of the day")
    return said


def _missing(case: Case, terms: Terms) -> list[Mistake]:
    wanted = {"--gpu-hour": terms.usd_per_gpu_hour, "--curve": terms.curve, "--utilisation": terms.utilisation}
    found = []
    if case.deployment is None:
        found += [
            Mistake(option, "", "a run without a deployment", "a run that declares what it ran on")
            for option, value in wanted.items()
            if value is not None
        ]
    if terms.as_of_s is not None and terms.card is None and case.own is None:
        found.append(Mistake("--as-of", "", "a run without a price card", "a card: add --card NAME"))
    return found


def _endpoint(endpoint: Endpoint, terms: Terms) -> Endpoint:
    if terms.card is not None:
        endpoint = replace(endpoint, price_card=terms.card, sell_at=None)
    deployment = endpoint.deployment
    return endpoint if deployment is None else replace(endpoint, deployment=_deployment(deployment, terms))


def _deployment(deployment: Deployment, terms: Terms) -> Deployment:
    if terms.usd_per_gpu_hour is not None:
        deployment = replace(
            deployment, usd_per_gpu_hour=terms.usd_per_gpu_hour, tco=None, price_basis=LABEL, price_as_of=None,
            usd_per_gpu_hour_low=None, usd_per_gpu_hour_high=None,
        )  # fmt: skip
    if terms.cached_share is not None and deployment.day is not None:
        deployment = replace(deployment, day=replace(deployment.day, cached_share=None))
    if terms.curve is not None:
        deployment = replace(deployment, demand=terms.curve, utilisation=None, day=deployment.day or DayTerms())
    if terms.utilisation is not None:
        deployment = replace(deployment, utilisation=terms.utilisation, demand=None)
    return deployment


def _moved(case: Case, entries: tuple[Entry, ...], as_of_s: float, whole_days: bool) -> tuple[Entry, ...]:
    """Every request sent at another time."""
    first = case.measured_s
    if first is None:
        return entries
    ahead = (as_of_s // DAY_S - first // DAY_S) * DAY_S if whole_days else as_of_s - first
    shift = round(ahead * 1e9)
    return tuple(
        replace(entry, wall=msgspec.structs.replace(entry.wall, offset_ns=entry.wall.offset_ns + shift))
        for entry in entries
    )


def _with_hits(entry: Entry, share: float) -> StreamRecord:
    tokens = entry.record.input_tokens
    return msgspec.structs.replace(entry.record, cached_tokens=None if tokens is None else round(tokens * share))


def _speed_up(case: Case, cached_share: float) -> float:
    """Bound with these hits over the bound with the run's own, at the run's own batch; 1 where it cannot be told."""
    batch, shape = case.run.mix.mean_decoding, case.shape
    if case.deployment is None or shape is None or not batch:
        return 1.0
    then = bound_at(case.deployment, replace(shape, cached_share=cached_share), batch)
    return then.output_tokens_per_s / bound_at(case.deployment, shape, batch).output_tokens_per_s
