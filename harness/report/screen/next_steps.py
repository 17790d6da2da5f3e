"""Contents of a run or sweep in, what would make the next one say more out."""

from collections.abc import Sequence

from harness.records import worrying_steal
from harness.report.contents import LevelContents, RunContents


def next_steps(contents: RunContents) -> tuple[str, ...]:
    """What would make the next run say more, most useful first."""
    run, steps = contents.run, []
    if not run.valid:
        steps.append("mend this and run again; the numbers of this run must not be used")
    if run.length_biased:
        steps.append(_longer(contents))
    if run.window.moved and not run.length_biased:
        steps.append("run longer, or with a longer warm-up (warm_up_s): it never stood still")
    if worrying_steal(contents.manifest.workers.values()):
        awake = contents.manifest.options.get("keep_awake")
        steps.append("load from a machine of its own" if awake else "truer times: --keep-awake (root)")
    if contents.kind == "undeclared":
        steps.append("add a deployment or price_card to providers.yaml: cost, theory, yield")
    if run.load.state == "demand_limited":
        steps.append("load it fully (more --users, or `trueyield sweep`) to see its yield")
    steps += _declare(contents)
    ttft = run.metrics.get("ttft_s")
    if ttft is not None and ttft.p99 is None:
        steps.append(f"p99 needs 299 finished requests; this run has {ttft.n}: run longer")
    return tuple(steps)


def sweep_steps(levels: Sequence[LevelContents], quoted: LevelContents | None, searched: bool) -> tuple[str, ...]:
    """What would make the next sweep say more: first where the loads are too few, then what its quoted run lacks."""
    if quoted is None or quoted.contents is None:
        return ("mend this and run again; no level can be used",)
    steps = []
    own = quoted.level
    above = min((one for one in levels if one.usable and one.level > own), default=None, key=lambda one: one.level)
    if quoted.slos_hold is not False and quoted.contents.run.load.state == "demand_limited" and above is None:
        steps.append(f"add levels above {own.words}: this load is not its best yet")
    elif above is not None and above.slos_hold is False and above.level.size > 1.5 * own.size and not searched:
        steps.append(f"look between {own.number} and {above.level.words}: --search")
    elif quoted.slos_hold is False:
        steps.append("add levels below these: the SLOs held at none")
    load_it = [text for text in next_steps(quoted.contents) if not text.startswith("load it fully")]
    return (*steps, *load_it)


def _longer(contents: RunContents) -> str:
    median = contents.run.metrics["e2e_s"].p50 if "e2e_s" in contents.run.metrics else None
    enough = "" if median is None else f" (--run-time {4 * median + 5:.0f}s or more)"
    return f"run longer, so that long answers can finish{enough}"


def _declare(contents: RunContents) -> list[str]:
    """What the endpoint's entry could say besides."""
    compared = bool(contents.economics and contents.economics.comparisons)
    deployment = contents.endpoint.deployment
    steps = []
    if contents.kind == "owner" and not compared:
        steps.append("name a price card (compare_with or sell_at) to see whether owning pays")
    if contents.kind == "buyer" and not compared:
        steps.append("name cards under compare_with to see the same answers' price elsewhere")
    if contents.kind == "seller" and deployment is not None and not (deployment.utilisation or deployment.demand):
        steps.append("declare deployment.utilisation or demand to see the yield of your day")
    return steps
