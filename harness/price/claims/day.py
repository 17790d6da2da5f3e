"""DeepSeek's published day: tokens, nodes and prices go in; cost, revenue, yield and break-even come out."""

from harness.claims import Claim
from harness.price.bridge.ratio import Business, Ceiling, Sale, break_even_utilisation
from harness.price.claims.verdict import Figure
from harness.price.spend.cost import Usage, usage_usd
from harness.theory import Shape
from harness.theory.units import NodeRates, Traffic, mixed_output_tokens_per_s

MILLION = 1e6
DAY_S = 86_400


def tokens(claim: Claim) -> Usage:
    """Tokens of the day; cache hits are inside the input."""
    hits, misses = claim.inputs.number("hit_tokens"), claim.inputs.number("miss_tokens")
    return Usage(input_tokens=hits + misses, cached_tokens=hits, output_tokens=claim.inputs.number("output_tokens"))


def cost_usd(claim: Claim) -> float:
    """Mean nodes x GPUs x 24 h x $/GPU-h."""
    inputs = claim.inputs
    gpus = inputs.number("mean_nodes") * inputs.number("gpus_per_node")
    return gpus * 24 * hour_usd(claim)


def hour_usd(claim: Claim) -> float:
    """Price of a GPU-hour: the claim's own figure, else the catalog row that it names."""
    inputs = claim.inputs
    return (
        inputs.numbers["usd_per_gpu_hour"]
        if "usd_per_gpu_hour" in inputs.numbers
        else (inputs.hours["gpu"].usd_per_gpu_hour)
    )


def revenue_usd(claim: Claim, card: str) -> float:
    """The day's tokens on one of the claim's price cards."""
    return usage_usd(claim.inputs.rates[card].rates, tokens(claim))


def business(claim: Claim, card: str, ceiling: Ceiling) -> Business:
    """The day's mix on one card; `ceiling` says what a GPU delivers."""
    day = tokens(claim)
    shape = Shape(
        isl_tokens=day.input_tokens,
        osl_tokens=day.output_tokens,
        cached_share=day.cached_tokens / day.input_tokens,
    )
    return Business(
        shape=shape,
        ceiling=ceiling,
        sales=(Sale(rates=claim.inputs.rates[card].rates),),
        usd_per_gpu_hour=hour_usd(claim),
    )


def delivered(claim: Claim) -> Ceiling:
    """What the fleet delivered per GPU, averaged over the day."""
    gpus = claim.inputs.number("mean_nodes") * claim.inputs.number("gpus_per_node")
    rate = tokens(claim).output_tokens / DAY_S / gpus
    return lambda shape, batch: rate


def day_cost(claim: Claim) -> tuple[Figure, ...]:
    """Cost = mean nodes x GPUs per node x 24 h x price of a GPU-hour."""
    cost, day = cost_usd(claim), tokens(claim)
    return (
        Figure(name="cost", value=cost, unit="USD"),
        Figure(name="all-in per output token", value=cost / day.output_tokens * MILLION, unit="USD/M"),
        Figure(
            name="per token of any kind",
            value=cost / (day.input_tokens + day.output_tokens) * MILLION,
            unit="USD/M",
        ),
    )


def day_revenue(claim: Claim) -> tuple[Figure, ...]:
    """Revenue = hits x cached price + misses x input price + output x output price, all of it at R1's list price."""
    revenue, day = revenue_usd(claim, "R1"), tokens(claim)
    output = day.output_tokens * claim.inputs.rates["R1"].rates.usd_per_mtok_output / MILLION
    return (
        Figure(name="revenue", value=revenue, unit="USD"),
        Figure(name="output share of revenue", value=output / revenue, unit="%"),
    )


def day_yield(claim: Claim) -> tuple[Figure, ...]:
    """Yield = revenue / cost - 1 (its cost profit margin); gross margin = 1 - cost / revenue."""
    revenue, cost = claim.inputs.number("published_revenue_usd"), claim.inputs.number("published_cost_usd")
    return (
        Figure(name="yield", value=revenue / cost - 1, unit="%"),
        Figure(name="gross margin", value=1 - cost / revenue, unit="%"),
        Figure(name="yield of rounded tokens", value=revenue_usd(claim, "R1") / cost_usd(claim) - 1, unit="%"),
        Figure(name="yield if all were V3", value=revenue_usd(claim, "V3") / cost_usd(claim) - 1, unit="%"),
    )


def cache_hits(claim: Claim) -> tuple[Figure, ...]:
    """Share of input tokens that were read from the cache."""
    day = tokens(claim)
    return (Figure(name="cache hits", value=day.cached_tokens / day.input_tokens, unit="%"),)


def income_curve(claim: Claim) -> tuple[Figure, ...]:
    """The hourly incomes read off the published chart, summed; and how even they are."""
    hours = claim.inputs.series["usd_by_hour"]
    return (
        Figure(name="income of the day", value=sum(hours), unit="USD"),
        Figure(name="mean over peak", value=sum(hours) / len(hours) / max(hours), unit="%"),
        Figure(name="trough over peak", value=min(hours) / max(hours), unit="%"),
    )


def barely_covers(claim: Claim) -> tuple[Figure, ...]:
    """All-in cost of an output token over its price, at the load of the published day; electricity beside it."""
    inputs, day = claim.inputs, tokens(claim)
    per_mtok = cost_usd(claim) / day.output_tokens * MILLION
    kwh = inputs.number("mean_nodes") * inputs.number("kw_per_node") * inputs.number("pue") * 24
    power = {name: kwh * inputs.number(f"usd_per_kwh_{name}") / day.output_tokens * MILLION for name in ("low", "high")}
    prices = {card: inputs.rates[card].rates.usd_per_mtok_output for card in ("R1", "V3")}
    mean = {card: _break_even(claim, card, delivered(claim)) for card in prices}
    of_peak = inputs.number("decode_tokens_per_s") / inputs.number("peak_tokens_per_s")
    return (
        *(Figure(name=f"cost over {card} price", value=per_mtok / prices[card], unit="%") for card in prices),
        Figure(name="all-in per output token", value=per_mtok, unit="USD/M"),
        *(Figure(name=f"electricity, {name}", value=usd, unit="USD/M") for name, usd in power.items()),
        *(Figure(name=f"break-even use, {card}", value=use, unit="%") for card, use in mean.items()),
        *(Figure(name=f"the same of a peak, {card}", value=use * of_peak, unit="%") for card, use in mean.items()),
    )


def small_stack(claim: Claim) -> tuple[Figure, ...]:
    """Break-even use u* = n c / sum of T p of nodes that share prefill and decode, at the day's mix and hit share."""
    inputs, day = claim.inputs, tokens(claim)
    rates = NodeRates(
        prefill_tokens_per_s=inputs.number("prefill_tokens_per_s"),
        decode_tokens_per_s=inputs.number("decode_tokens_per_s"),
    )
    computed = Traffic(input_tokens=day.input_tokens - day.cached_tokens, output_tokens=day.output_tokens)
    node = mixed_output_tokens_per_s(computed, rates)
    gpus = inputs.number("gpus_per_node")
    uses = {card: _break_even(claim, card, lambda shape, batch: node / gpus) for card in ("R1", "V3")}
    per_mtok = hour_usd(claim) * gpus / (node * 3600) * MILLION
    return (
        *(Figure(name=f"break-even use, {card}", value=use, unit="%") for card, use in uses.items()),
        Figure(name="output of a node", value=node, unit="tok/s"),
        Figure(name="all-in per output token", value=per_mtok, unit="USD/M"),
    )


def _break_even(claim: Claim, card: str, ceiling: Ceiling) -> float:
    found = break_even_utilisation(business(claim, card, ceiling))
    return float("inf") if found is None else found
