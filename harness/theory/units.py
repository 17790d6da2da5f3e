"""Rates of one node and a traffic mix go in; the nodes needed, what a fleet delivers and the best fleet come out.

Disaggregated serving: prefill nodes and decode nodes come in units (DeepSeek: 4 and 18 nodes), and the slower side sets
the rate of both. The best ratio of the two depends on the mix of input and output, so it is searched, never assumed.
No money stands here: a yield comes in as a function of what a fleet delivers. Nodes may be any equal pieces (nodes,
GPUs) as long as rates and costs are meant per piece.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Side = Literal["prefill", "decode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Tokens of one period: input (cached ones included, as the prefill rate counts them) and output."""

    input_tokens: float
    output_tokens: float

    @property
    def input_per_output(self) -> float:
        """Input tokens for each output token."""
        return self.input_tokens / self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRates:
    """Tokens per second of one node: input tokens where it prefills, output tokens where it decodes.

    `prefill_share`, `decode_share`: what is left of each rate once the two sides work in step (aiconfigurator takes
    0.90 and 0.92); 1 where the rates were measured in service.
    """

    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    prefill_share: float = 1.0
    decode_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Nodes of each side; fractions are allowed, because a need is rarely whole."""

    prefill_nodes: float
    decode_nodes: float

    @property
    def nodes(self) -> float:
        """Both sides."""
        return self.prefill_nodes + self.decode_nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Nodes of the smallest deployable prefill and decode unit."""

    prefill_nodes: int = 1
    decode_nodes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRate:
    """What a fleet delivers of a traffic mix, and how busy each side is; the side at 1 limits."""

    fleet: Fleet
    output_tokens_per_s: float
    input_tokens_per_s: float
    prefill_utilisation: float
    decode_utilisation: float
    limited_by: Side

    @property
    def output_tokens_per_s_per_node(self) -> float:
        """Output rate over all nodes of both sides."""
        return self.output_tokens_per_s / self.fleet.nodes


YieldOf = Callable[[FleetRate], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One whole-unit fleet and its yield."""

    delivers: FleetRate
    yield_ratio: float


def nodes_needed(traffic: Traffic, seconds: float, rates: NodeRates) -> Fleet:
    """Nodes that serve `traffic` within `seconds`, every node busy all the time."""
    return Fleet(
        prefill_nodes=traffic.input_tokens / seconds / _prefill(rates),
        decode_nodes=traffic.output_tokens / seconds / _decode(rates),
    )


def in_whole_units(needed: Fleet, units: Units) -> Fleet:
    """The smallest whole-unit fleet that is at least `needed` on each side."""
    return Fleet(
        prefill_nodes=math.ceil(needed.prefill_nodes / units.prefill_nodes) * units.prefill_nodes,
        decode_nodes=math.ceil(needed.decode_nodes / units.decode_nodes) * units.decode_nodes,
    )


def fleet_rate(fleet: Fleet, traffic: Traffic, rates: NodeRates) -> FleetRate:
    """Most that `fleet` delivers of a mix: out = min(n_d T_d, n_p T_p out/in)."""
    by_decode = fleet.decode_nodes * _decode(rates)
    by_prefill = fleet.prefill_nodes * _prefill(rates) / traffic.input_per_output
    output = min(by_decode, by_prefill)
    return FleetRate(
        fleet=fleet,
        output_tokens_per_s=output,
        input_tokens_per_s=output * traffic.input_per_output,
        prefill_utilisation=output / by_prefill if by_prefill else 0.0,
        decode_utilisation=output / by_decode if by_decode else 0.0,
        limited_by="decode" if by_decode <= by_prefill else "prefill",
    )


def prefill_nodes_per_decode_node(traffic: Traffic, rates: NodeRates) -> float:
    """The ratio at which both sides are busy all the time."""
    return _decode(rates) * traffic.input_per_output / _prefill(rates)


def mixed_output_tokens_per_s(traffic: Traffic, rates: NodeRates) -> float:
    """Output rate of one node whose time is split between both tasks: 1 / (1/T_d + (in/out) / T_p)."""
    return 1.0 / (1.0 / _decode(rates) + traffic.input_per_output / _prefill(rates))


def whole_fleets(units: Units, nodes_at_most: int) -> Iterator[Fleet]:
    """Every fleet of whole units, one of each side at least, smallest first."""
    fleets = [
        Fleet(prefill_nodes=prefill, decode_nodes=decode)
        for decode in range(units.decode_nodes, nodes_at_most + 1, units.decode_nodes)
        for prefill in range(units.prefill_nodes, nodes_at_most - decode + 1, units.prefill_nodes)
    ]
    return iter(sorted(fleets, key=lambda fleet: (fleet.nodes, fleet.decode_nodes)))


def better_with_size(
    units: Units, traffic: Traffic, rates: NodeRates, yield_of: YieldOf, nodes_at_most: int
) -> tuple[Candidate, ...]:
    """Whole-unit fleets whose yield no smaller fleet reaches, smallest first: the steps of growing."""
    steps: list[Candidate] = []
    for fleet in whole_fleets(units, nodes_at_most):
        delivers = fleet_rate(fleet, traffic, rates)
        found = Candidate(delivers=delivers, yield_ratio=yield_of(delivers))
        if not steps or found.yield_ratio > steps[-1].yield_ratio + 1e-12:
            steps.append(found)
    return tuple(steps)


def smallest_fleet(steps: tuple[Candidate, ...], yield_at_least: float) -> Candidate | None:
    """The smallest fleet of `better_with_size` that reaches a yield; None where none does."""
    return next((step for step in steps if step.yield_ratio >= yield_at_least), None)


def flat_yield(usd_per_mtok_output_revenue: float, usd_per_node_hour: float) -> YieldOf:
    """R/C - 1 where all revenue (that of input too) is counted per output token, and every node costs the same."""

    def yield_of(delivers: FleetRate) -> float:
        revenue = delivers.output_tokens_per_s * 3600 * usd_per_mtok_output_revenue / 1e6
        return revenue / (delivers.fleet.nodes * usd_per_node_hour) - 1.0

    return yield_of


def _prefill(rates: NodeRates) -> float:
    return rates.prefill_tokens_per_s * rates.prefill_share


def _decode(rates: NodeRates) -> float:
    return rates.decode_tokens_per_s * rates.decode_share
