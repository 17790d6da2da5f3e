"""RunContents in, what would make the next run say more out."""

from harness.report.contents import RunContents


def next_steps(contents: RunContents) -> tuple[str, ...]:
    """What would make the next run say more, most useful first."""
    run, steps = contents.run, []
    if not run.valid:
        steps.append("mend this and run again; the numbers of this run must not be used")
    if contents.kind == "undeclared":
        steps.append("add a deployment or price_card to providers.yaml: cost, theory, yield")
    if run.load.state == "demand_limited":
        steps.append("load it fully (more --users, or `trueyield sweep`) to see its yield")
    if contents.kind == "owner" and not (contents.economics and contents.economics.comparisons):
        steps.append("name a price card (compare_with or sell_at) to see whether owning pays")
    if contents.kind == "buyer" and not (contents.economics and contents.economics.comparisons):
        steps.append("name cards under compare_with to see the same answers' price elsewhere")
    if contents.kind == "seller" and contents.endpoint.deployment and contents.endpoint.deployment.utilisation is None:
        steps.append("declare deployment.utilisation to see your day beside full load")
    ttft = run.metrics.get("ttft_s")
    if ttft is not None and ttft.p99 is None:
        steps.append(f"p99 needs 299 finished requests; this run has {ttft.n}: run longer")
    return tuple(steps)
