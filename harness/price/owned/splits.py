"""Splits: one joint cost goes in; a price for each token class comes out, by a named rule, re-summing to the whole.

A shared accelerator makes input and output together, so that any split is a convention: marginal (an input token is a
quarter of an output token), by node time (prefill and decode on machines of their own), or by list price. InferenceX
charges the whole cost to each class; such figures must not be added, and this module makes none.
"""

from dataclasses import dataclass

from harness.price.spend.cost import Usage as Billed
from harness.price.spend.cost import input_usd
from harness.providers import Rates

#: Marginal rule: an input token is a quarter of an output token (GKE inference recommender's default). A convention,
#: not a measurement; the split is labelled with it.
INPUT_TOKENS_PER_OUTPUT_TOKEN = 4.0
SPLIT_RULE = "marginal: 4 computed input tokens = 1 output token, cache hits weigh 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One joint cost shared between token classes, USD per million; the classes re-sum to the whole."""

    usd_per_mtok_input_computed: float
    usd_per_mtok_input_cached: float
    usd_per_mtok_output: float
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Tokens of each class."""

    computed: float
    cached: float
    output: float


def split(
    usd: float,
    input_computed: float,
    input_cached: float,
    output: float,
    ratio: float = INPUT_TOKENS_PER_OUTPUT_TOKEN,
    cached_weight: float = 0.0,
) -> Split | None:
    """Marginal rule: weights 1 / ratio (computed input), that x `cached_weight` (cached), 1 (output). None: no tokens.

    With cached_weight 1 it is GKE's rule itself; DeepSeek's day then costs $0.2721 per M out and $0.0680 per M in.
    """
    weight = (input_computed + cached_weight * input_cached) / ratio + output
    if weight <= 0:
        return None
    per_output = usd / weight * 1e6
    rule = SPLIT_RULE if ratio == INPUT_TOKENS_PER_OUTPUT_TOKEN else SPLIT_RULE.replace("4", f"{ratio:g}", 1)
    if cached_weight:
        rule = rule.replace("cache hits weigh 0", f"a cache hit weighs {cached_weight:g} of a computed one")
    return Split(
        usd_per_mtok_input_computed=per_output / ratio,
        usd_per_mtok_input_cached=per_output / ratio * cached_weight,
        usd_per_mtok_output=per_output,
        rule=rule,
    )


def split_by_node_time(usd: float, tokens: Classes, prefill: float, decode: float) -> Split | None:
    """Disaggregated: input pays the prefill nodes, output the decode nodes, at one price of a node; hits weigh 0.

    None where a side has no node or nothing to do: its cost would fall on nobody.
    """
    if prefill <= 0 or decode <= 0 or tokens.computed <= 0 or tokens.output <= 0:
        return None
    share = prefill / (prefill + decode)
    return Split(
        usd_per_mtok_input_computed=usd * share / tokens.computed * 1e6,
        usd_per_mtok_input_cached=0.0,
        usd_per_mtok_output=usd * (1 - share) / tokens.output * 1e6,
        rule=f"node time: {share:.1%} of it prefills, {1 - share:.1%} decodes; cache hits weigh 0",
    )


def split_by_price(usd: float, tokens: Classes, rates: Rates, card: str) -> Split | None:
    """In proportion to a card's prices: every class then has the same yield. None where the tokens bring nothing."""
    cached = rates.usd_per_mtok_input if rates.usd_per_mtok_input_cached is None else rates.usd_per_mtok_input_cached
    paid = input_usd(
        rates, Billed(input_tokens=tokens.computed + tokens.cached, output_tokens=0, cached_tokens=tokens.cached)
    )
    paid += tokens.output * rates.usd_per_mtok_output / 1e6
    if paid <= 0:
        return None
    return Split(
        usd_per_mtok_input_computed=usd / paid * rates.usd_per_mtok_input,
        usd_per_mtok_input_cached=usd / paid * cached,
        usd_per_mtok_output=usd / paid * rates.usd_per_mtok_output,
        rule=f"by price: in proportion to the rates of {card}",
    )


def node_usd_per_mtok(usd_per_node_hour: float, tokens_per_s: float) -> float:
    """$/M of one node that does one thing only: $16 at 14,800 tok/s are $0.3003 (never add two of these)."""
    return usd_per_node_hour / 3600 / tokens_per_s * 1e6
