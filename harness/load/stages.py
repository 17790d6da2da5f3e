"""Elapsed time of a run -> its stage, and the boundaries of the stages on the wall clock."""

from harness.load.scenarios import Scenario
from harness.records import Stage, Stages

_NS = 1_000_000_000


#: The common start of an open loop is announced this much ahead, so that no worker begins late.
LEAD_S = 1.0
#: Rows of a trace that a worker reads in a second, at the very least; it begins to when the run is announced.
_ROWS_PER_S = 50_000


def lead_seconds(scenario: Scenario) -> float:
    """From the announcement of a run to its start, s."""
    return LEAD_S + (scenario.arrivals.trace_rows or 0) / _ROWS_PER_S if scenario.arrivals.open_loop else 0.0


def stage_at(scenario: Scenario, elapsed_ns: int) -> Stage:
    """The stage of a request that starts `elapsed_ns` after the run began."""
    if elapsed_ns < scenario.warm_up_seconds() * _NS:
        return "warmup"
    return "measure" if elapsed_ns < scenario.run_time_s * _NS else "drain"


def planned_stages(scenario: Scenario, began_ns: int) -> Stages:
    """Boundaries as they are known at the start; ends are filled in when they have happened."""
    return Stages(began_ns=began_ns, measure_begin_ns=began_ns + round(scenario.warm_up_seconds() * _NS))


def ended_stages(stages: Stages, scenario: Scenario, *, stopped_ns: int, ended_ns: int) -> Stages:
    """Boundaries of a run that stopped starting requests at `stopped_ns`, at most its planned length after it began."""
    planned_end = stages.began_ns + round(scenario.run_time_s * _NS)
    return Stages(
        began_ns=stages.began_ns,
        measure_begin_ns=stages.measure_begin_ns,
        measure_end_ns=max(stages.measure_begin_ns, min(planned_end, stopped_ns)),
        ended_ns=ended_ns,
    )
