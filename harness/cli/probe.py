"""`trueyield probe URL|ENDPOINT`: what it is, how it speaks, and an entry for providers.yaml, found by asking."""

import json
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from harness.config import default_providers_path, load_providers, read_key, resolve_endpoint
from harness.config.endpoints import Providers
from harness.config.rows import near_miss
from harness.errors import InputError, Mistake
from harness.probe.entry import Hardware
from harness.probe.findings import Probe

#: Stands for a model that is still to be found by asking.
_UNKNOWN = "?"


@click.command(name="probe", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("endpoint", metavar="URL|ENDPOINT")
@click.option("--model", help="Model name; needed where a URL serves several.")
@click.option("--accelerator", help="What it runs on, by its name in the catalog: fills in the deployment.")
@click.option("--count", type=click.IntRange(1), help="How many accelerators.")
@click.option("--providers", type=click.Path(path_type=Path), help="providers.yaml to use.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def command(
    endpoint: str,
    model: str | None,
    accelerator: str | None,
    count: int | None,
    providers: Path | None,
    as_json: bool,
) -> None:
    """Ask an endpoint what it is and how it speaks, and print an entry for providers.yaml.

    About a dozen small calls; what they can use is said before, what they did use after.
    """
    from harness.probe.probing import (  # loads the engine: not for --help
        ABOUT_INPUT_TOKENS,
        MOST_CALLS,
        MOST_OUTPUT_TOKENS,
        Subject,
        probe,
    )

    known = load_providers(providers)
    resolved = resolve_endpoint(endpoint, model or (_UNKNOWN if endpoint not in known.endpoints else None), known)
    if resolved.embedded is not None:
        mistake = Mistake("command line", "ENDPOINT", f"{endpoint}, which runs only inside a run", "a URL")
        raise InputError([mistake], "trueyield simulate --port 8000, then probe http://127.0.0.1:8000/v1")
    if resolved.model == _UNKNOWN:
        resolved = replace(resolved, model="")
    subject = Subject(
        endpoint=resolved,
        key=read_key(resolved),
        catalog=known.catalog,
        hardware=_hardware(known, accelerator, count),
    )
    click.echo(
        f"probing {resolved.base_url}: at most {MOST_CALLS} small calls, about {ABOUT_INPUT_TOKENS:,} input tokens "
        f"and at most {MOST_OUTPUT_TOKENS} output tokens",
        err=True,
    )
    found = probe(subject)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2, ensure_ascii=False))
    else:
        _show(found)


def _hardware(known: Providers, accelerator: str | None, count: int | None) -> Hardware | None:
    if accelerator is None:
        return None
    row = known.catalog.accelerators.get(accelerator)
    if row is None:
        expected = near_miss(accelerator, known.catalog.accelerators, "an accelerator of the catalog")
        raise InputError([Mistake("command line", "--accelerator", repr(accelerator), expected)])
    return Hardware(accelerator=row, count=count)


def _show(found: Probe) -> None:
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("finding", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("how", style="dim", overflow="fold")
    for item in found.findings:
        table.add_row(item.name, item.value or "not told", item.how)
    console.print(table)
    spent = found.spent
    unknown = f"; not counted by the server: {spent.calls_without_usage} of them" if spent.calls_without_usage else ""
    console.print(
        f"\nused: {spent.calls} calls, {spent.input_tokens:,} input and {spent.output_tokens} output tokens "
        f"(caps: {spent.cap_tokens}){unknown}"
    )
    console.print(f"\nfor {default_providers_path()}, or a file for --providers:\n", style="bold")
    click.echo(found.entry, nl=False)
