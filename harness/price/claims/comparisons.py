"""One thing over another: rates, prices and prices per performance, each price ratio by basis and date."""

from harness.claims import Claim
from harness.price.claims.verdict import Figure
from harness.price.spend.cost import blend_3to1


def quotients(claim: Claim) -> tuple[Figure, ...]:
    """The first figure of each pair over the second."""
    return tuple(Figure(name=name, value=pair[0] / pair[1], unit="x") for name, pair in claim.inputs.series.items())


def per_gpu(claim: Claim) -> tuple[Figure, ...]:
    """Rate of a node / GPUs."""
    inputs = claim.inputs
    return (Figure(name="rate of a GPU", value=inputs.number("tokens_per_s") / inputs.number("gpus"), unit="tok/s"),)


def blends(claim: Claim) -> tuple[Figure, ...]:
    """(3 x input + output) / 4 at list prices, and the ratio of the two blends."""
    rates = claim.inputs.rates
    new, old = blend_3to1(rates["new"].rates), blend_3to1(rates["old"].rates)
    return (
        Figure(name="blend ratio", value=old / new, unit="x"),
        Figure(name="blend, new", value=new, unit="USD/M"),
        Figure(name="blend, old", value=old, unit="USD/M"),
    )


def price_ratio(claim: Claim) -> tuple[Figure, ...]:
    """Price of an hour of one accelerator over the other's, on every basis and date that is known."""
    return tuple(
        Figure(name="price ratio", value=pair.ratio, unit="x", basis=pair.basis, as_of=pair.as_of)
        for pair in claim.inputs.pairs
    )


def per_dollar(claim: Claim) -> tuple[Figure, ...]:
    """Performance ratio / price ratio, on every basis and date; and at the round price ratio that was published."""
    figures: list[Figure] = []
    stated = claim.inputs.numbers.get("stated_price_ratio")
    for speed, ratio in _performance(claim):
        figures += [
            Figure(name=f"per dollar at {speed}", value=ratio / pair.ratio, unit="x",
                   basis=pair.basis, as_of=pair.as_of)
            for pair in claim.inputs.pairs
        ]  # fmt: skip
        if stated:
            figures.append(Figure(name=f"per dollar at {speed}, price {stated:g}x", value=ratio / stated, unit="x"))
    return (*figures, *_price_ratio_needed(claim))


def _performance(claim: Claim) -> list[tuple[str, float]]:
    """(tok/s/user, performance ratio) as the claim states them."""
    speeds, ratios = claim.inputs.series["tokens_per_s_per_user"], claim.inputs.series["performance_ratio"]
    return [(f"{speed:g}", ratio) for speed, ratio in zip(speeds, ratios, strict=True)]


def _price_ratio_needed(claim: Claim) -> tuple[Figure, ...]:
    wanted = claim.inputs.numbers.get("stated_per_dollar")
    if not wanted:
        return ()
    ratio = _performance(claim)[-1][1] / wanted
    return (Figure(name="price ratio that gives it", value=ratio, unit="x"),)


def cross_ratios(claim: Claim) -> tuple[Figure, ...]:
    """Two ratios with the same numerator give the ratio of their denominators; each must keep its sense."""
    series = claim.inputs.series
    chains = {
        "B200 over MI355X": (series["over MI355X"], series["over B200"]),
        "MI355X over H200": (series["over H200"], series["over MI355X"]),
        "B200 over H200": (series["over H200"], series["over B200"]),
    }
    figures = [
        Figure(name=f"{name} at {speed:g}", value=upper / lower, unit="x")
        for name, (uppers, lowers) in chains.items()
        for speed, upper, lower in zip(series["tokens_per_s_per_user"], uppers, lowers, strict=False)
    ]
    least = min(figure.value for figure in figures)
    mi325x = series["over H200"][0] / series["over MI325X"][0]
    megawatt = series["over MI355X"][-1] * claim.inputs.number("old_kw") / claim.inputs.number("new_kw")
    return (
        Figure(name="least ratio between rivals", value=least, unit="x"),
        *figures,
        Figure(name=f"MI325X over H200 at {series['tokens_per_s_per_user'][0]:g}", value=mi325x, unit="x"),
        Figure(name="per megawatt at the last speed", value=megawatt, unit="x"),
        *per_dollar_lines(claim),
    )


def per_dollar_lines(claim: Claim) -> tuple[Figure, ...]:
    """Per dollar against MI355X, on every basis and date."""
    ratios = zip(claim.inputs.series["mi355x_tokens_per_s_per_user"], claim.inputs.series["over MI355X"], strict=True)
    return tuple(
        Figure(name=f"per dollar over MI355X at {speed:g}", value=ratio / pair.ratio, unit="x",
               basis=pair.basis, as_of=pair.as_of)
        for speed, ratio in ratios
        for pair in claim.inputs.pairs
    )  # fmt: skip


def software_or_hardware(claim: Claim) -> tuple[Figure, ...]:
    """The gain of software on one machine over the gain of a newer machine per dollar, at two speeds per user."""
    inputs = claim.inputs
    software = inputs.number("usd_per_mtok_before") / inputs.number("usd_per_mtok_after")
    return (
        *(
            Figure(name=f"software over hardware at {speed:g}", value=software / gain, unit="x")
            for speed, gain in zip(
                inputs.series["tokens_per_s_per_user"], inputs.series["hardware_per_dollar"], strict=True
            )
        ),
        Figure(name="software's gain", value=software, unit="x"),
    )


def promised_gain(claim: Claim) -> tuple[Figure, ...]:
    """Measured rates over each other, per GPU and per megawatt, beside what was promised."""
    inputs = claim.inputs
    energy = inputs.number("new_tokens_per_s_per_mw") / inputs.number("old_tokens_per_s_per_mw")
    return (
        Figure(name="energy", value=energy, unit="x"),
        Figure(name="speed at the best point", value=inputs.number("best_ratio"), unit="x"),
        Figure(name="per dollar, slow users", value=inputs.number("per_dollar_slow"), unit="x"),
        Figure(name="per dollar, fast users", value=inputs.number("per_dollar_fast"), unit="x"),
    )
