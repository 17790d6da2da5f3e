"""InferenceX's own arithmetic. It charges the whole cost of a GPU to input and again to output.

So its $/M of input and $/M of output are each an upper limit and must not be added; nothing outside claims uses them.
"""

from harness.claims import Claim
from harness.price.claims.verdict import Figure


def usd_per_mtok(usd_per_gpu_hour: float, tokens_per_s_per_gpu: float) -> float:
    """Whole cost of the GPU over one class of its tokens: c / (0.0036 T). Not additive over classes."""
    return usd_per_gpu_hour / (tokens_per_s_per_gpu * 0.0036)


def gpu_figures(claim: Claim) -> tuple[Figure, ...]:
    """$/M = c / (0.0036 T), not additive with the other class; tok/s/MW = 1000 T / kW; J/tok = 1000 kW / T."""
    rate = claim.inputs.number("tokens_per_s_per_gpu")
    kilowatt = (claim.inputs.accelerators["gpu"].all_in_w or 0.0) / 1000
    usd = usd_per_mtok(claim.inputs.hours["gpu"].usd_per_gpu_hour, rate)
    return (
        Figure(name="cost, not additive", value=usd, unit="USD/M"),
        Figure(name="rate of a megawatt", value=rate * 1000 / kilowatt / 1e6, unit="tok/s/W"),
        Figure(name="energy", value=kilowatt * 1000 / rate, unit="J/tok"),
    )


def generation_gain(claim: Claim) -> tuple[Figure, ...]:
    """$/M = c / (0.0036 T) before and after; not additive with the cost of input."""
    inputs = claim.inputs
    cost = {
        name: usd_per_mtok(inputs.number(f"{name}_usd_per_gpu_hour"), inputs.number(f"{name}_tokens_per_s_per_gpu"))
        for name in ("old", "new")
    }
    hours = inputs.number("new_usd_per_gpu_hour") / inputs.number("old_usd_per_gpu_hour")
    return (
        Figure(name="fall of cost", value=cost["old"] / cost["new"], unit="x"),
        Figure(name="cost before", value=cost["old"], unit="USD/M"),
        Figure(name="cost after", value=cost["new"], unit="USD/M"),
        Figure(name="price of an hour", value=hours, unit="x"),
    )


def provider_margin(claim: Claim) -> tuple[Figure, ...]:
    """Gross margin = 1 - cost / price of each class, each charged with the whole GPU: not additive."""
    inputs = claim.inputs
    return tuple(
        Figure(
            name=f"gross margin, {side}",
            value=1 - inputs.number(f"{side}_usd_per_mtok_cost") / inputs.number(f"{side}_usd_per_mtok_price"),
            unit="%",
        )
        for side in ("input", "output")
    )


def energy_per_token(claim: Claim) -> tuple[Figure, ...]:
    """Power / rate."""
    watts = claim.inputs.number("watts")
    return (Figure(name="energy", value=watts / claim.inputs.number("tokens_per_s"), unit="J/tok"),)
