"""`trueyield theory MODEL --on ACCELERATOR --count N`: what physics allows, and what engines reach of it."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click

from harness.errors import InputError, Mistake
from harness.providers import Precision


def span(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """1.8 or 1.5..2.0 -> (low, high)."""
    if value is None:
        return None
    low, _, high = value.partition("..")
    try:
        found = float(low), float(high or low)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number nor a range such as 1.5..2.0") from None
    if not 1.0 <= found[0] <= found[1] < float("inf"):
        raise click.BadParameter("a step yields at least one token, and a range ends above its begin")
    return found


def pieces(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """4:18 -> (4, 18)."""
    if value is None:
        return None
    prefill, _, decode = value.partition(":")
    if not (prefill.isdecimal() and decode.isdecimal() and int(prefill) and int(decode)):
        raise click.BadParameter(f"{value!r} is not prefill:decode such as 4:18")
    return int(prefill), int(decode)


_MORE_THAN_0 = click.FloatRange(0, min_open=True)


@click.command(name="theory", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model")
@click.option("--on", required=True, metavar="ACCELERATOR", help="An accelerator of the catalog, e.g. h100-sxm.")
@click.option("--count", type=click.IntRange(1), required=True, metavar="N", help="How many of them.")
@click.option(
    "--precision", type=click.Choice(get_args(Precision)), help="Default: fp8 where the accelerator has it, or bf16."
)
@click.option(
    "--kv-precision",
    type=click.Choice([*get_args(Precision), "int6"]),
    default="bf16",
    show_default=True,
    help="Of the KV cache.",
)
@click.option(
    "--isl", metavar="TOKENS", type=_MORE_THAN_0, default=1000, show_default=True, help="Input tokens of a request."
)
@click.option(
    "--osl", metavar="TOKENS", type=_MORE_THAN_0, default=1000, show_default=True, help="Output tokens of a request."
)
@click.option(
    "--cached-share", metavar="S", type=click.FloatRange(0, 1), default=0, show_default=True, help="Of the input."
)
@click.option("--concurrency", metavar="N", type=_MORE_THAN_0, help="Sequences that decode at once.")
@click.option("--want-tpot", type=_MORE_THAN_0, metavar="S", help="Best load: a token within so many seconds.")
@click.option("--max-batch", metavar="N", type=click.IntRange(1), help="Most sequences that the server runs at once.")
@click.option(
    "--memory-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.9,
    show_default=True,
    metavar="S",
    help="Of memory, for weights and KV.",
)
@click.option("--tp", metavar="N", type=click.IntRange(1), help="Accelerators that share each matrix.")
@click.option("--ep", metavar="N", type=click.IntRange(1), help="Accelerators that share the experts.")
@click.option(
    "--dp-attention", metavar="N", type=click.IntRange(1), help="Groups with attention of their own. Default: EP / TP."
)
@click.option("--pp", metavar="N", type=click.IntRange(1), help="Pipeline stages.")
@click.option("--redundant-experts", metavar="N", type=click.IntRange(0), help="Spare copies of experts, in all.")
@click.option("--pd", callback=pieces, metavar="P:D", help="Prefill and decode apart, in so many equal pieces.")
@click.option("--tokens-per-step", callback=span, metavar="X|X..Y", help="Speculation: tokens a decode step yields.")
@click.option("--overheads", metavar="NAME", help="Fixed costs of catalog/efficiency.yaml, e.g. aiconfigurator.")
@click.option("--in-service", is_flag=True, help="Expect what a day of real traffic reached, where it is known.")
@click.option("--usd-per-gpu-hour", type=click.FloatRange(0), metavar="USD", help="Default: the catalog's rent.")
@click.option("--gpu-hour", metavar="NAME", help="An hour of the catalog, e.g. h100-sxm-coreweave.")
@click.option("--accept-unverified", is_flag=True, help="Use catalog rows that are not verified.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a page with plots."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def command(model: str, **options: Any) -> None:
    """What physics allows MODEL on an accelerator: tokens/s, $/M and J/token, and what limits each.

    Beside each ceiling stands the range that engines are known to reach. MODEL is a model of the catalog,
    such as deepseek-v3 or llama-3.3-70b.
    """
    from harness.config.catalog import load_catalog
    from harness.config.theory_data import load_theory_data
    from harness.theory.priors import in_service

    catalog, data = load_catalog(), load_theory_data()
    if options["in_service"]:  # rates of a service were measured in step
        data = replace(data, priors=in_service(data.priors), rate_match={})
    found = _answer(model, options, catalog, data)
    if options["html"] is not None:
        from harness.report.theory_page import write_theory_page

        write_theory_page(options["html"], found, data.priors, tuple(data.measurements.values()))
    if options["as_json"]:
        import msgspec

        sys.stdout.write(msgspec.json.encode({"schema": 1, **msgspec.to_builtins(found)}).decode() + "\n")
        return
    from rich.console import Console

    from harness.report.terminal.theory_table import theory_table

    Console(highlight=False).print(theory_table(found))
    if not found.fit.fits:
        click.echo("next: a larger --count, or a narrower --precision or --kv-precision", err=True)
    if options["html"] is not None:
        click.echo(f"written: {options['html']}", err=True)


def _answer(model: str, options: dict[str, Any], catalog: Any, data: Any) -> Any:
    from harness.config.asked import Asked, deployment_of
    from harness.theory import Shape
    from harness.theory.outlook import Load, outlook

    asked = Asked(
        model=model,
        accelerator=options["on"],
        layout={name: options[name] for name in ("tp", "ep", "dp_attention", "pp", "redundant_experts")},
        tokens_per_step=options["tokens_per_step"] or (1.0, 1.0),
        **{name: options[name] for name in ("count", "precision", "kv_precision", "max_batch", "memory_share",
                                            "usd_per_gpu_hour", "gpu_hour", "accept_unverified")},
    )  # fmt: skip
    deployment = _with_overheads(deployment_of(asked, catalog), options["overheads"], data)
    shape = Shape(isl_tokens=options["isl"], osl_tokens=options["osl"], cached_share=options["cached_share"])
    load = Load(shape=shape, concurrency=options["concurrency"], tpot_limit_s=options["want_tpot"])
    found = outlook(deployment, load, data.priors)
    return _apart(found, options["pd"], data) if options["pd"] else found


def _with_overheads(deployment: Any, name: str | None, data: Any) -> Any:
    from harness.config.rows import near_miss, shown
    from harness.providers import Layout

    if name is None:
        return deployment
    row = data.overheads.get(name)
    if row is None:
        expected = near_miss(name, data.overheads, "a row of catalog/efficiency.yaml")
        raise InputError([Mistake("command line", "--overheads", shown(name), expected)])
    if deployment.layout is None:
        expected = "a layout beside it: --tp, --ep or --pp"
        raise InputError([Mistake("command line", "--overheads", shown(name), expected)])
    layout: Layout = deployment.layout
    costs = {"collective_latency_s": row.collective_latency_us / 1e6, "reserve_bytes": row.reserve_gb * 1e9}
    return replace(deployment, layout=replace(layout, **costs))


def _apart(found: Any, ratio: tuple[int, int], data: Any) -> Any:
    from harness.theory.split import split_of
    from harness.theory.units import Fleet

    if found.count % sum(ratio):
        expected = f"P + D that divide --count ({found.count})"
        raise InputError([Mistake("command line", "--pd", f"{ratio[0]}:{ratio[1]}", expected)])
    fleet = Fleet(prefill_nodes=ratio[0], decode_nodes=ratio[1])
    match = next(iter(data.rate_match.values()), None)
    split = split_of(found.deployment, found.shape, fleet, match, data.priors)
    if split is None:
        return replace(found, notes=(*found.notes, "--pd: one of the two sides does not hold the model"))
    return replace(found, split=split)
