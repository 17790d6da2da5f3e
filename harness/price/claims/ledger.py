"""A claim goes in, its formula is looked up and worked, a verdict comes out."""

import inspect
from collections.abc import Callable, Mapping

from harness.claims import Claim
from harness.errors import InputError, Mistake
from harness.price.claims import comparisons, day, fleet, hardware, inferencex, throughput
from harness.price.claims.verdict import Figure, Verdict, judge

Formula = Callable[[Claim], tuple[Figure, ...]]


def unchecked(claim: Claim) -> tuple[Figure, ...]:
    """Nothing is computed: what it would take is not published, or is not a matter of arithmetic."""
    return ()


_ALL: tuple[Formula, ...] = (
    day.day_cost, day.day_revenue, day.day_yield, day.cache_hits, day.income_curve, day.barely_covers,
    day.small_stack, fleet.cards_of_nodes, fleet.smallest_unit, fleet.sane_threshold, fleet.full_queue,
    fleet.nodes_of_rates, fleet.mean_of_steps, fleet.experts_per_gpu, throughput.expert_decode,
    throughput.exchange_time, throughput.single_user, throughput.generation_drop, throughput.node_cost,
    throughput.implied_baseline, throughput.prefill_mfu, hardware.gpus_for_weights, hardware.macs_for_weights,
    hardware.low_bit_size, hardware.memory_of, hardware.node_of_users, hardware.training_bill, hardware.what_was_run,
    hardware.distill_tells, hardware.math_share, hardware.v2_savings, hardware.active_share, comparisons.quotients,
    comparisons.per_gpu, comparisons.blends, comparisons.price_ratio, comparisons.per_dollar, comparisons.cross_ratios,
    comparisons.software_or_hardware, comparisons.promised_gain, inferencex.gpu_figures, inferencex.generation_gain,
    inferencex.provider_margin, inferencex.energy_per_token, unchecked,
)  # fmt: skip
#: name in the data -> the recomputation
FORMULAS: Mapping[str, Formula] = {formula.__name__: formula for formula in _ALL}


def recompute(claim: Claim) -> Verdict:
    """The verdict on one claim; InputError where the data do not fit the formula that they name."""
    try:
        return judge(claim, FORMULAS[claim.formula](claim))
    except KeyError as missing:
        mistake = Mistake("claims.yaml", f"claims.{claim.id}", f"no {missing}", f"the inputs of {claim.formula}")
        raise InputError([mistake]) from None


def formula_in_words(claim: Claim) -> str:
    """What the recomputation does, in one sentence."""
    return inspect.getdoc(FORMULAS[claim.formula]) or ""


def bound_fraction(verdict: Verdict) -> tuple[float, float] | None:
    """The number that travels: low and high share of the bound that a claim's measurement reached."""
    found = [figure.value for figure in verdict.beside if figure.name.startswith("bound fraction")]
    return (min(found), max(found)) if found else None
