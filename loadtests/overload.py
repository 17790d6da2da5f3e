"""watch_overload: looks at the running test once a second, and ends it early where it is over-saturated and says so."""

from collections.abc import Callable
from typing import Any

import gevent

from harness.load.arrivals.plans import mean_rate
from harness.load.oversaturation import LEAST_PATIENCE_S, Oversaturation
from harness.load.scenarios import Scenario
from loadtests.desk import Desk, Run
from loadtests.ending import end_run

#: An over-saturated run has nothing to gain from a long drain: what is open then is cut off.
DRAIN_S = 3.0
#: A run that is ended before this much of its measure window has passed would have measured nothing.
_LEAST_WINDOW_S = 5.0


def watch_overload(environment: Any, desk: Desk, hurry: Callable[[float], None]) -> None:
    """`hurry` tells everybody how long a drain may take from now on, s."""
    gevent.spawn(_watch, environment, desk, hurry)


def watch_of(scenario: Scenario) -> Oversaturation | None:
    """The watch that a run asks for; None where it asks for none, or plans nothing."""
    rate = mean_rate(scenario)
    if not scenario.stop_when_oversaturated or not rate:
        return None
    limits = [limit for name, limit in scenario.slos.items() if name in ("ttft_s", "ttft_planned_s")]
    return Oversaturation(rate=rate, patience_s=max(limits, default=LEAST_PATIENCE_S))


def _watch(environment: Any, desk: Desk, hurry: Callable[[float], None]) -> None:
    run: Run | None = None
    watch: Oversaturation | None = None
    while True:
        gevent.sleep(1)
        if desk.run is not run:
            run = desk.run
            watch = None if run is None else watch_of(run.plan.scenario)
        if run is None or watch is None or desk.is_stopping:
            continue
        words = watch.look(run.seen())
        if words is not None and run.answered and _measured_s(run) >= _LEAST_WINDOW_S:
            desk.note(f"stopped early: {words}")
            hurry(DRAIN_S)
            end_run(environment)


def _measured_s(run: Run) -> float:
    return run.elapsed_ns / 1e9 - run.plan.scenario.warm_up_seconds()
