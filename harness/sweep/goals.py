"""Goal: what a level of a sweep can be best at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.measure.results import RunResult
from harness.price.results import Economics


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one run at one load: measured and, if it could be, priced. `size`: see Level."""

    size: float
    run: RunResult
    economics: Economics | None
    usd_per_1k_useful: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """`mark` stands behind the best level's row; `within_slos`: only levels whose SLOs hold, if any level's do."""

    key: str
    mark: str
    name: str
    value: Callable[[Outcome], float | None]
    largest: bool = True
    within_slos: bool = False

    def best(self, values: Iterable[float]) -> float:
        """The best of several values."""
        return max(values) if self.largest else min(values)


def _usd_per_mtok(outcome: Outcome) -> float | None:
    """All-in $ per million output tokens of an owner, else a buyer's blended price of the mix that was bought."""
    money = outcome.economics
    if money is None:
        return None
    return money.owner.usd_per_mtok_output_allin or money.buyer.usd_per_mtok_blended


def _told_yield(outcome: Outcome) -> float | None:
    """None for a demand-limited run: its yield says how little was asked, not what the endpoint can earn."""
    held = outcome.run.load.state == "demand_limited" or outcome.economics is None
    return None if held or outcome.economics is None else outcome.economics.yield_ratio


def _goodput(outcome: Outcome) -> float | None:
    return outcome.run.goodput.requests_per_s if outcome.run.goodput else None


#: The first one that any level has a value for is quoted, unless a sweep was asked for another.
GOALS = (
    Goal(key="usd_per_1k_useful", mark="$", name="cost", value=lambda outcome: outcome.usd_per_1k_useful,
         largest=False, within_slos=True),
    Goal(key="tokens_per_s", mark="T", name="tok/s", value=lambda outcome: outcome.run.throughput.output_tokens_per_s),
    Goal(key="interactivity", mark="I", name="tok/s/user",
         value=lambda outcome: outcome.run.throughput.output_tokens_per_s_per_user),
    Goal(key="goodput", mark="G", name="goodput", value=_goodput),
    Goal(key="yield", mark="Y", name="yield", value=_told_yield, within_slos=True),
)  # fmt: skip
#: Found only where a sweep asks for them.
ASKED_GOALS = (
    Goal(key="usd_per_mtok", mark="M", name="$/M", value=_usd_per_mtok, largest=False, within_slos=True),
    Goal(key="load", mark="L", name="load", value=lambda outcome: outcome.size, within_slos=True),
)
GOAL_KEYS = ("usd_per_1k_useful", "usd_per_mtok", "goodput", "yield", "load")


def goal_named(key: str) -> Goal:
    """KeyError for a name that is none."""
    return {goal.key: goal for goal in (*GOALS, *ASKED_GOALS)}[key]
