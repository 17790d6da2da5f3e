"""Use: what one request was good for. Record, grade and limits in; one word out, shared by run.json and the bill."""

from collections.abc import Iterable, Mapping
from typing import Literal

from harness.errors import FAILED, InputError, Mistake, Outcome
from harness.measure.metrics import METRICS
from harness.measure.quality import Grade
from harness.measure.results import Useful
from harness.measure.stats import wilson
from harness.records import StreamRecord

Use = Literal["useful", "not_useful", "failed", "cut_off", "warm_up", "drain"]
WhyNot = Literal["failed", "empty", "truncated", "cut_in_thought", "slo_missed", "wrong"]
WHY_NOT: tuple[WhyNot, ...] = ("failed", "empty", "truncated", "cut_in_thought", "slo_missed", "wrong")

_OUTCOME_WHY: dict[Outcome, WhyNot] = {
    Outcome.EMPTY: "empty",
    Outcome.TRUNCATED: "truncated",
    Outcome.CUT_IN_THOUGHT: "cut_in_thought",
}


def slos_of(scenario: Mapping[str, object], file: str = "manifest.json") -> dict[str, float]:
    """The limits of a manifest's scenario, metric name -> upper limit; InputError names every unknown metric."""
    declared = scenario.get("slos") or {}
    assert isinstance(declared, Mapping)
    known = ", ".join(METRICS)
    mistakes = [
        Mistake(file, f"scenario.slos.{name}", name, f"one of {known}") for name in declared if name not in METRICS
    ]
    if mistakes:
        raise InputError(mistakes)
    return {name: float(limit) for name, limit in declared.items()}


def slos_met(record: StreamRecord, slos: Mapping[str, float]) -> bool:
    """All limits hold. An awaited event that never came misses its limit; a metric that cannot exist does not."""
    for name, limit in slos.items():
        metric = METRICS[name]
        value = metric.value(record)
        if metric.awaited if value is None else value > limit:
            return False
    return True


def use_of(record: StreamRecord, grade: Grade | None, slos: Mapping[str, float]) -> Use:
    """warm_up and drain by stage, whatever happened; then cut_off (by us), failed, useful or not_useful."""
    if record.stage != "measure":
        return "warm_up" if record.stage == "warmup" else "drain"
    if record.outcome is Outcome.CENSORED:
        return "cut_off"
    if record.outcome in FAILED:
        return "failed"
    return "not_useful" if why_not(record, grade, slos) else "useful"


def why_not(record: StreamRecord, grade: Grade | None, slos: Mapping[str, float]) -> WhyNot | None:
    """The first reason why a finished request is no useful answer; None where it is one."""
    if record.outcome is not Outcome.OK:
        return _OUTCOME_WHY.get(record.outcome, "failed")
    if not slos_met(record, slos):
        return "slo_missed"
    return "wrong" if grade is not None and grade.right is False else None


def useful_of(records: Iterable[StreamRecord], grades: Mapping[str, Grade], slos: Mapping[str, float]) -> Useful:
    """Count the finished requests of the measure window; those that we cut off ourselves are not judged."""
    reasons: dict[str, int] = dict.fromkeys(WHY_NOT, 0)
    total = graded = right = 0
    for record in records:
        if record.stage != "measure" or record.outcome is Outcome.CENSORED:
            continue
        total += 1
        grade = grades.get(record.request_id)
        if grade is not None and grade.right is not None and record.outcome not in FAILED:
            graded += 1
            right += grade.right
        if reason := why_not(record, grade, slos):
            reasons[reason] += 1
    count = total - sum(reasons.values())
    interval = wilson(count, total)
    return Useful(
        total=total,
        count=count,
        share=count / total if total else None,
        share_low=interval.low if interval else None,
        share_high=interval.high if interval else None,
        graded=graded,
        right=right,
        why_not=reasons,
    )
