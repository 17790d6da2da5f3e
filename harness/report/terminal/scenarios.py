"""Scenarios in, lines of a terminal out: two lines each, the question it answers and the load that asks it."""

from collections.abc import Sequence

from rich.text import Text

from harness.load.scenarios import Scenario
from harness.report import quantities as q
from harness.report.terminal.lines import WIDTH, ClosingTable, cut, left, styled, whole_words

_NAME, _LOAD, _LASTS = 17, 31, 9
_LIMITS = WIDTH - _NAME - _LOAD - _LASTS - 1
_SHORT = {"_s": "", "_planned": " planned", "_reasoning": " thoughts", "_answer": " answer"}


def scenario_table(scenarios: Sequence[Scenario]) -> ClosingTable:
    """Every scenario: name and question; load, length of the run, limits of one answer."""
    lines = [
        styled((f" {left('scenario', _NAME)}which question it answers", "dim")),
        Text(" " + left("", _NAME) + left("load", _LOAD) + left("lasts", _LASTS) + "SLOs", style="dim"),
        Text("-" * WIDTH, style="dim"),
    ]
    for scenario in scenarios:
        lines += _rows(scenario)
    lines += [
        Text("-" * WIDTH, style="dim"),
        Text(" One in full: trueyield run NAME --endpoint E --dry-run; all of them: --json", style="dim"),
    ]
    return ClosingTable(lines=tuple(lines))


def _rows(scenario: Scenario) -> list[Text]:
    name = left(cut(q.plain(scenario.name), _NAME - 1), _NAME)
    question = whole_words(q.plain(scenario.description), WIDTH - _NAME - 1)
    load = left(cut(load_in_words(scenario), _LOAD - 1), _LOAD)
    lasts = left(q.duration(scenario.run_time_s), _LASTS)
    limits = ", ".join(f"{_metric(metric)} {_limit(limit)}" for metric, limit in scenario.slos.items())
    return [
        styled(" ", (name, "bold cyan"), question),
        Text(" " * (_NAME + 1) + load + lasts + whole_words(limits or q.MISSING, _LIMITS)),
    ]


def load_in_words(scenario: Scenario) -> str:
    """Users and their turns, a rate and its form, a trace, a queue."""
    arrivals, turns = scenario.arrivals, f", turns {scenario.workload.turns}" if scenario.workload.turns else ""
    if arrivals.kind == "closed":
        return q.counted(scenario.users, "user") + turns
    if arrivals.rate_per_user is not None:
        form = ", a day's curve" if arrivals.curve else ", in levels" if arrivals.levels else ""
        return f"{arrivals.kind} {q.rate(arrivals.rate_per_user * scenario.users)}/s{turns}{form}"
    if arrivals.trace is not None:
        return f"a trace at {arrivals.time_scale:g}x"
    return f"a queue of {arrivals.ahead} or more{turns}" if arrivals.ahead is not None else arrivals.kind


def _metric(name: str) -> str:
    for ending, word in _SHORT.items():
        name = name.replace(ending, word)
    first, *rest = name.split()
    return " ".join([first.upper(), *rest])


def _limit(limit: float) -> str:
    return f"{limit:g} s" if limit >= 1 else f"{1000 * limit:g} ms"
