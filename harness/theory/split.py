"""A deployment and a ratio P:D go in; what its accelerators deliver when prefill and decode are apart comes out."""

import math
from dataclasses import dataclass, replace

from harness.providers import Deployment
from harness.theory.bounds import Shape
from harness.theory.priors import Priors, decode_regime, prefill_math_s, prefill_regime
from harness.theory.published import prefill_bound
from harness.theory.steps import decode_step, kv_limited_batch
from harness.theory.units import Fleet, FleetRate, NodeRates, Traffic, fleet_rate, prefill_nodes_per_decode_node


@dataclass(frozen=True, slots=True, kw_only=True)
class RateMatch:
    """What is left of each side's rate once prefill and decode work in step."""

    name: str
    prefill_share: float
    decode_share: float
    source: str
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Prefill and decode apart. A piece is one of P + D equal shares of the accelerators; rates are of one piece.

    `bound`: the ceiling; `low`, `high`: with the priors of both sides, in step as `match` says (None: at no cost).
    """

    accelerators_per_piece: int
    decode_batch: float
    output_tokens_per_s_per_user: float
    rates: NodeRates
    bound: FleetRate
    low: FleetRate
    high: FleetRate
    best_prefill_per_decode: float
    match: RateMatch | None


def side(deployment: Deployment, count: int) -> Deployment:
    """One side: the same way of spreading, over its own accelerators (EP spreads over all of them)."""
    layout = deployment.layout
    if layout is not None and layout.ep > 1:
        layout = replace(layout, ep=count // layout.pp, dp=max(1, count // layout.pp // layout.tp))
    return replace(deployment, count=count, layout=layout)


def split_of(
    deployment: Deployment, load: Shape, pieces: Fleet, match: RateMatch | None, priors: Priors
) -> Split | None:
    """Both sides at work. None: one side does not hold the model.

    The decode side runs as many sequences as its memory and `max_batch` allow.
    """
    each = round(deployment.count / pieces.nodes)
    prefill = side(deployment, round(each * pieces.prefill_nodes))
    decode = side(deployment, round(each * pieces.decode_nodes))
    batch = math.floor(min(kv_limited_batch(decode, load.mean_context_tokens), deployment.max_batch or math.inf))
    if batch < 1 or kv_limited_batch(prefill, load.isl_tokens) < 1:
        return None
    seconds = decode_step(decode, batch, load.mean_context_tokens).seconds
    gain, least = deployment.tokens_per_step, deployment.tokens_per_step_low or deployment.tokens_per_step
    into = prefill_bound(prefill, load.isl_tokens, load.computed_tokens)
    at_peak = load.isl_tokens / prefill_math_s(prefill, load)
    ahead, behind = priors[prefill_regime(prefill)], priors[decode_regime(decode, batch)]
    traffic = Traffic(input_tokens=load.isl_tokens, output_tokens=load.osl_tokens)

    def rates(into_s: float, out_s: float) -> NodeRates:
        return NodeRates(
            prefill_tokens_per_s=into_s / pieces.prefill_nodes, decode_tokens_per_s=out_s / pieces.decode_nodes
        )

    def in_step(peak_share: float, step_share: float, gained: float) -> NodeRates:
        """A side's expected rate, never above its bound."""
        found = rates(min(into, at_peak * peak_share), batch * gained / seconds * step_share)
        if match is None:
            return found
        return replace(found, prefill_share=match.prefill_share, decode_share=match.decode_share)

    at_most = rates(into, batch * gain / seconds)
    return Split(
        accelerators_per_piece=each,
        decode_batch=batch,
        output_tokens_per_s_per_user=gain / seconds,
        rates=at_most,
        bound=fleet_rate(pieces, traffic, at_most),
        low=fleet_rate(pieces, traffic, in_step(ahead.low, behind.low, least)),
        high=fleet_rate(pieces, traffic, in_step(ahead.high, behind.high, gain)),
        best_prefill_per_decode=prefill_nodes_per_decode_node(traffic, at_most),
        match=match,
    )
