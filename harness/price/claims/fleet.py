"""Fleets of prefill and decode units: a traffic mix and rates of nodes go in; nodes, balance and yield come out."""

from harness.claims import Claim
from harness.price.claims.day import DAY_S, cost_usd, hour_usd, revenue_usd, tokens
from harness.price.claims.verdict import Figure
from harness.theory.units import (
    NodeRates,
    Traffic,
    Units,
    YieldOf,
    better_with_size,
    flat_yield,
    mixed_output_tokens_per_s,
    nodes_needed,
    prefill_nodes_per_decode_node,
    smallest_fleet,
)


def _traffic(claim: Claim) -> Traffic:
    day = tokens(claim)
    return Traffic(input_tokens=day.input_tokens, output_tokens=day.output_tokens)


def _rates(claim: Claim) -> NodeRates:
    return NodeRates(
        prefill_tokens_per_s=claim.inputs.number("prefill_tokens_per_s"),
        decode_tokens_per_s=claim.inputs.number("decode_tokens_per_s"),
    )


def _units(claim: Claim) -> Units:
    return Units(
        prefill_nodes=round(claim.inputs.number("prefill_unit_nodes")),
        decode_nodes=round(claim.inputs.number("decode_unit_nodes")),
    )


def _yield_of(claim: Claim) -> YieldOf:
    revenue = revenue_usd(claim, "R1") / tokens(claim).output_tokens * 1e6
    return flat_yield(revenue, hour_usd(claim) * claim.inputs.number("gpus_per_node"))


def cards_of_nodes(claim: Claim) -> tuple[Figure, ...]:
    """Nodes of one prefill and one decode unit x GPUs per node."""
    units = _units(claim)
    nodes = units.prefill_nodes + units.decode_nodes
    return (Figure(name="GPUs", value=nodes * claim.inputs.number("gpus_per_node"), unit="GPUs"),)


def smallest_unit(claim: Claim) -> tuple[Figure, ...]:
    """Out = min(decode nodes x rate, prefill nodes x rate x out / in); the smallest whole-unit fleet is searched."""
    traffic, rates, units, yield_of = _traffic(claim), _rates(claim), _units(claim), _yield_of(claim)
    most = round(claim.inputs.number("nodes_searched"))
    steps = better_with_size(units, traffic, rates, yield_of, most)
    first = steps[0].delivers
    rich = smallest_fleet(steps, claim.inputs.number("wanted_yield"))
    balance = prefill_nodes_per_decode_node(traffic, rates) * units.decode_nodes
    figures = [
        Figure(name="nodes that can be deployed", value=first.fleet.nodes, unit="nodes"),
        Figure(name="yield of that unit", value=steps[0].yield_ratio, unit="%"),
        Figure(name="its decode nodes are busy", value=first.decode_utilisation, unit="%"),
        Figure(name="prefill nodes in balance with one decode unit", value=balance, unit="nodes"),
    ]
    if rich is not None:
        gpus = rich.delivers.fleet.nodes * claim.inputs.number("gpus_per_node")
        figures += [
            Figure(name="nodes for the wanted yield", value=rich.delivers.fleet.nodes, unit="nodes"),
            Figure(name="GPUs of that fleet", value=gpus, unit="GPUs"),
            Figure(name="its yield", value=rich.yield_ratio, unit="%"),
        ]
    return tuple(figures)


def sane_threshold(claim: Claim) -> tuple[Figure, ...]:
    """The smallest whole-unit fleet whose output per node comes within a given share of the best ratio's."""
    traffic, rates = _traffic(claim), _rates(claim)
    best, gpus = mixed_output_tokens_per_s(traffic, rates), claim.inputs.number("gpus_per_node")
    steps = better_with_size(
        _units(claim), traffic, rates, lambda found: found.output_tokens_per_s_per_node / best,
        round(claim.inputs.number("nodes_searched")),
    )  # fmt: skip
    found = smallest_fleet(steps, 1 - claim.inputs.number("balance_within"))
    if found is None:
        return ()
    fleet = found.delivers.fleet
    return (
        Figure(name="GPUs of a balanced fleet", value=fleet.nodes * gpus, unit="GPUs"),
        Figure(name="its prefill nodes", value=fleet.prefill_nodes, unit="nodes"),
        Figure(name="its decode nodes", value=fleet.decode_nodes, unit="nodes"),
        Figure(name="its yield", value=_yield_of(claim)(found.delivers), unit="%"),
    )


def full_queue(claim: Claim) -> tuple[Figure, ...]:
    """Mean over peak nodes; and the yield of the same day had the peak fleet stood there for all of it."""
    inputs = claim.inputs
    peak, mean = inputs.number("peak_nodes"), inputs.number("mean_nodes")
    revenue = inputs.number("published_revenue_usd")
    return (
        Figure(name="use of the peak fleet", value=mean / peak, unit="%"),
        Figure(name="yield of a fixed fleet", value=revenue / (cost_usd(claim) * peak / mean) - 1, unit="%"),
        Figure(name="cost of a fixed fleet", value=cost_usd(claim) * peak / mean, unit="USD"),
    )


def nodes_of_rates(claim: Claim) -> tuple[Figure, ...]:
    """Tokens of the day / 86,400 s / rate of a node, for both sides: what the stated rates must add up to."""
    needed = nodes_needed(_traffic(claim), DAY_S, _rates(claim))
    day, rates = tokens(claim), _rates(claim)
    computed = rates.prefill_tokens_per_s * (1 - day.cached_tokens / day.input_tokens)
    mixed = mixed_output_tokens_per_s(_traffic(claim), rates)
    return (
        Figure(name="nodes", value=needed.nodes, unit="nodes"),
        Figure(name="prefill nodes", value=needed.prefill_nodes, unit="nodes"),
        Figure(name="decode nodes", value=needed.decode_nodes, unit="nodes"),
        Figure(name="computed input of a prefill node", value=computed, unit="tok/s"),
        Figure(name="output of a node, both sides counted", value=mixed, unit="tok/s"),
    )


def mean_of_steps(claim: Claim) -> tuple[Figure, ...]:
    """Nodes x hours over the steps of the published chart / 24 h."""
    hours, nodes = claim.inputs.series["step_hours"], claim.inputs.series["step_nodes"]
    total = sum(length * count for length, count in zip(hours, nodes, strict=True))
    return (
        Figure(name="mean nodes", value=total / sum(hours), unit="nodes"),
        Figure(name="peak nodes", value=max(nodes), unit="nodes"),
    )


def experts_per_gpu(claim: Claim) -> tuple[Figure, ...]:
    """(Routed + redundant experts) / GPUs of the unit."""
    inputs = claim.inputs
    held = inputs.models["model"].experts + inputs.number("redundant_experts")
    return (
        Figure(name="experts on a prefill GPU", value=held / inputs.number("prefill_gpus")),
        Figure(name="experts on a decode GPU", value=held / inputs.number("decode_gpus")),
    )
