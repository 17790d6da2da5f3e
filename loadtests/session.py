"""Session: one run, as one load-making process sees it, from its plan to the counts of its last message."""

from dataclasses import dataclass, field
from pathlib import Path

from harness.config import read_key
from harness.load.calls import Target
from harness.load.clock import take_wall, wall_ns
from harness.load.conversations import Conversation, Setting, setting_of
from harness.load.dialects import resolve_target
from harness.load.machine import Awake, CpuTime, cpu_time
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
    index: int  # of this worker
    setting: Setting
    began_ns: int  # on this process's monotonic clock
    key: str | None
    target: Target
    spool: Spool
    outbox: Outbox
    wall: Wall
    budget: Budget | None = None
    awake: Awake | None = None
    cpu_time: CpuTime | None = field(default_factory=cpu_time)  # when it began
    calls: int = 0
    conversations: int = 0
    not_sent: int = 0
    broken_off: int = 0  # conversations that no user holds and that ended before their last turn
    clocks: set[str] = field(default_factory=set)
    #: made before their time, by ordinal; with the conversation that each belongs to
    ahead: dict[int, tuple[Prompt, Conversation | None]] = field(default_factory=dict)
    done: bool = False

    def next_ordinal(self, place: int = 0) -> int:
        """Of the next call but `place`: workers share the ordinals between them."""
        return self._shared_out(self.calls + place)

    def next_conversation(self, place: int = 0) -> int:
        """Number of the next conversation but `place`; the nonce keeps prompts of late joiners cold, too."""
        return self._shared_out(self.conversations + place)

    def _shared_out(self, place: int) -> int:
        return place * self.plan.workers + self.index % self.plan.workers


def open_session(plan: Plan, began_ns: int, spool: Path, worker: str, index: int) -> Session:
    """Everything that a run needs on this machine. InputError where it lacks the key, or may not keep it awake."""
    capped = plan.max_usd is not None or plan.max_requests is not None
    return Session(
        plan=plan,
        index=index,
        setting=setting_of(plan, worker),
        began_ns=began_ns,
        key=read_key(plan.endpoint),
        target=resolve_target(plan.endpoint),
        spool=Spool(spool),
        outbox=Outbox(plan.run_id, worker),
        wall=take_wall(),
        budget=Budget(plan.max_usd, plan.max_requests, plan.endpoint.price_card, wall_ns() / 1e9) if capped else None,
        awake=Awake() if plan.keep_awake else None,
    )
