"""`trueyield claims [ID]`: published claims, recomputed, with a verdict each; with --run, beside a run of your own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from harness.claims import Claim
from harness.config.claims import load_claims
from harness.config.rows import near_miss, shown
from harness.errors import InputError, Mistake
from harness.price.claims.ledger import bound_fraction, formula_in_words, recompute
from harness.price.claims.verdict import Verdict

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("claims")
@click.argument("claim_id", metavar="[ID]", required=False)
@click.option("--topic", help="Only claims whose topic contains this text.")
@click.option("--run", "folder", metavar="DIR", type=FOLDER, help="A run or sweep folder to hold against a claim.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(claim_id: str | None, topic: str | None, folder: Path | None, as_json: bool) -> None:
    """Recompute published claims: what was said, what the sum gives, whether it holds and under which condition.

    Without ID: all of them, by topic. With ID (A1, b1b, ...): the whole story of one. With --run: only the conditions
    that the claim and your run share, and the number that travels, each one's share of its own bound.
    """
    claims = load_claims()
    chosen = _chosen(claims, claim_id, topic)
    if folder is not None:
        _beside_run(claims, chosen if claim_id else _with_bound(chosen), folder, as_json)
    elif as_json:
        documents = [_document(claim, recompute(claim)) for claim in chosen]
        _print_json(documents[0] if claim_id else {"claims": documents})
    else:
        _print(chosen, whole=claim_id is not None)


def _chosen(claims: Mapping[str, Claim], claim_id: str | None, topic: str | None) -> list[Claim]:
    if claim_id is not None:
        by_lower = {name.lower(): claim for name, claim in claims.items()}
        if claim_id.lower() not in by_lower:
            expected = near_miss(claim_id.upper(), claims, "a claim")
            hint = "`trueyield claims` lists them all"
            raise InputError([Mistake("trueyield claims", "ID", shown(claim_id), expected)], hint=hint)
        return [by_lower[claim_id.lower()]]
    found = [claim for claim in claims.values() if topic is None or topic.lower() in claim.topic.lower()]
    if not found:
        topics = dict.fromkeys(claim.topic for claim in claims.values())
        expected = near_miss(topic or "", topics, "part of a topic")
        raise InputError([Mistake("trueyield claims", "--topic", shown(topic), expected)])
    return found


def _with_bound(chosen: list[Claim]) -> list[Claim]:
    """Those whose own bound fraction can stand beside a run's."""
    found = [claim for claim in chosen if claim.bound_of == claim.id]
    if not found:
        mistake = Mistake("trueyield claims", "--run", "no claim with a bound of its own", "an ID, or another --topic")
        raise InputError([mistake])
    return found


def _print(chosen: list[Claim], whole: bool) -> None:
    from harness.report.terminal.claim_story import claim_story
    from harness.report.terminal.claims import claim_table

    if whole:
        Console().print(claim_story(chosen[0], recompute(chosen[0]), formula_in_words(chosen[0])))
    else:
        Console().print(claim_table([(claim, recompute(claim)) for claim in chosen]))


def _beside_run(claims: Mapping[str, Claim], chosen: list[Claim], folder: Path, as_json: bool) -> None:
    from harness.price.claims.run import compare
    from harness.report.contents import is_sweep, read_sweep_contents
    from harness.report.screen import frontier
    from harness.report.terminal.claim_run import bounds_and_run, claim_and_run

    if is_sweep(folder):
        best = frontier(read_sweep_contents(folder)).best
        if best is None:
            mistake = Mistake(str(folder), "--run", "a sweep without a level that can be quoted", "a run folder")
            raise InputError([mistake])
        folder = folder / best.name
    found = []
    for claim in chosen:
        travels = recompute(claims[claim.bound_of]) if claim.bound_of else None
        found.append(compare(claim, folder, travels))
    if as_json:
        documents = [msgspec.to_builtins(comparison) for comparison in found]
        _print_json(documents[0] if len(documents) == 1 else {"comparisons": documents})
        return
    Console().print(claim_and_run(found[0]) if len(found) == 1 else bounds_and_run(found))


def _document(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    travels = bound_fraction(verdict)
    return {
        **msgspec.to_builtins(claim),
        "formula_in_words": formula_in_words(claim),
        "verdict": msgspec.to_builtins(verdict),
        "bound_fraction": None if travels is None else list(travels),
    }


def _print_json(document: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
