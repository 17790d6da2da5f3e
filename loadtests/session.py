"""Session: one run, as one load-making process sees it, from its plan to the counts of its last message."""

from dataclasses import dataclass, field
from pathlib import Path

from harness.config import read_key
from harness.load.calls import Target
from harness.load.clock import take_wall, wall_ns
from harness.load.conversations import Setting, setting_of
from harness.load.dialects import resolve_target
from harness.load.prompts import Prompt
from harness.load.scenarios import Plan
from harness.price.spend.budget import Budget
from harness.records import Wall
from loadtests.shipping import Outbox
from loadtests.spool import Spool


@dataclass(slots=True, kw_only=True)
class Session:
    """One run, as this process sees it."""

    plan: Plan
    setting: Setting
    began_ns: int  # on this process's monotonic clock
    key: str | None
    target: Target
    spool: Spool
    outbox: Outbox
    wall: Wall
    budget: Budget | None = None
    calls: int = 0
    conversations: int = 0
    not_sent: int = 0
    clocks: set[str] = field(default_factory=set)
    ahead: dict[int, Prompt] = field(default_factory=dict)  # made before their time, by ordinal
    done: bool = False


def open_session(plan: Plan, began_ns: int, spool: Path, worker: str) -> Session:
    """Everything that a run needs on this machine. InputError where it lacks the key."""
    capped = plan.max_usd is not None or plan.max_requests is not None
    return Session(
        plan=plan,
        setting=setting_of(plan, worker),
        began_ns=began_ns,
        key=read_key(plan.endpoint),
        target=resolve_target(plan.endpoint),
        spool=Spool(spool),
        outbox=Outbox(plan.run_id, worker),
        wall=take_wall(),
        budget=Budget(plan.max_usd, plan.max_requests, plan.endpoint.price_card, wall_ns() / 1e9) if capped else None,
    )
