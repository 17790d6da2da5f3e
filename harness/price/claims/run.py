"""A claim and a run folder go in; the stated conditions that agree, differ or are unknown come out.

Two measurements under different conditions are never set against each other. What travels is the share of its own
bound that each reached.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.claims import Claim, Vector
from harness.price.case import Case, read_case
from harness.price.claims.ledger import bound_fraction
from harness.price.claims.verdict import Verdict
from harness.price.economics import economics_of, read_economics

#: Two means closer than this are one condition; a share may differ by so many points.
CLOSE, CLOSE_SHARE = 0.10, 0.05

Value = str | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One field of the vector. `agrees` None: one of the two sides does not tell."""

    name: str
    claim: Value
    run: Value
    agrees: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`comparable`: no stated condition differs. Bound fractions: of the claim `bound_of` (low, high); of the run."""

    claim: str
    run_id: str
    conditions: tuple[Condition, ...]
    comparable: bool
    who: str
    bound_of: str | None
    claim_bound_fraction: tuple[float, float] | None
    run_bound_fraction: float | None
    reason: str = ""

    def named(self, agrees: bool | None) -> tuple[Condition, ...]:
        """The conditions of one kind: agree, differ, unknown."""
        return tuple(condition for condition in self.conditions if condition.agrees is agrees)


def compare(claim: Claim, folder: Path, travels: Verdict | None) -> Comparison:
    """Set a claim's conditions beside those of a run; `travels`: the verdict that holds its bound fraction."""
    case = read_case(folder)
    priced = (folder / "economics.json").is_file()
    economics = read_economics(folder) if priced else economics_of(case)
    conditions = tuple(_conditions(claim.vector, vector_of(case)))
    return Comparison(
        claim=claim.id,
        run_id=case.run.run_id,
        conditions=conditions,
        comparable=all(condition.agrees is not False for condition in conditions),
        who=claim.who.partition(",")[0],
        bound_of=claim.bound_of,
        claim_bound_fraction=bound_fraction(travels) if travels else None,
        run_bound_fraction=economics.bound_fraction,
        reason=economics.reasons.get("bound_fraction", ""),
    )


def vector_of(case: Case) -> Vector:
    """The conditions that a run really had; None where it does not tell."""
    deployment, mix = case.deployment, case.run.mix
    kv = None if mix.isl_tokens is None or mix.osl_tokens is None else mix.isl_tokens + mix.osl_tokens / 2
    seconds = case.run.window_s
    return Vector(
        model=deployment.model.name if deployment else case.endpoint.model,
        precision=deployment.precision if deployment else None,
        accelerator=deployment.accelerator.name if deployment else None,
        gpus=deployment.count if deployment else None,
        isl_tokens=mix.isl_tokens,
        osl_tokens=mix.osl_tokens,
        mean_kv_tokens=kv,
        hit_share=mix.cached_share,
        tokens_per_s_per_user=case.run.throughput.output_tokens_per_s_per_user,
        window=None if seconds is None else f"{seconds:g} s",
        date=datetime.fromisoformat(case.manifest.created_at).date().isoformat(),
    )


def _conditions(claimed: Vector, ran: Vector) -> list[Condition]:
    found = []
    for name in Vector.__slots__:
        claim, run = getattr(claimed, name), getattr(ran, name)
        found.append(Condition(name=name, claim=claim, run=run, agrees=_agrees(name, claim, run)))
    return found


def _agrees(name: str, claim: Value, run: Value) -> bool | None:
    if claim is None or run is None:
        return None
    if isinstance(claim, str) or isinstance(run, str) or name in ("gpus", "mtp"):
        return claim == run
    return abs(run - claim) <= (CLOSE_SHARE if name == "hit_share" else CLOSE * abs(claim))
