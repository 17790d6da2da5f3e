"""Whether answers thought as they were told to: a note where they did not, nothing where they did."""

from typing import Any

import pytest
from made_runs import record

from harness.errors import Outcome
from harness.measure.thoughts import against_orders
from harness.records import StreamRecord


def asked(effort: str | None) -> dict[str, Any]:
    return {"workload": {"reasoning_effort": effort}}


def thinking(**changes: Any) -> StreamRecord:
    return record(split_source="usage", **changes)


def silent(**changes: Any) -> StreamRecord:
    return record(**{"first_reasoning_ns": None, "reasoning_tokens": 0, "split_source": "usage"} | changes)


@pytest.mark.parametrize(
    ("effort", "records", "note"),
    [
        ("none", [thinking(), silent(), silent(), silent()], "none, but 25% of answers thought"),
        ("none", [silent()] * 20, None),
        ("none", [*[silent()] * 19, thinking()], None),
        ("high", [silent()] * 3, "high, but no answer thought"),
        ("high", [silent(), thinking()], None),
        ("low", [silent(reasoning_tokens=9)], None),  # hidden, and billed
        ("low", [record(split_source="estimate")], None),  # shown, and not counted
        (None, [thinking()], None),
        ("none", [], None),
        ("none", [thinking(stage="warmup"), silent()], None),
        ("high", [thinking(outcome=Outcome.CUT), silent()], "high, but no answer thought"),
    ],
)
def test_thoughts_against_orders(effort: str | None, records: list[StreamRecord], note: str | None) -> None:
    found = against_orders(asked(effort), records)
    assert len(found) == (note is not None) and all(note in each for each in found if note)


@pytest.mark.parametrize(("tokens", "noted"), [(64, False), (70, False), (71, True)])
def test_a_cap_that_is_not_kept(tokens: int, noted: bool) -> None:
    found = against_orders({"workload": {"max_thinking_tokens": 64}}, [thinking(reasoning_tokens=tokens)])
    assert len(found) == noted and all("100% of answers thought for longer" in each for each in found)


def test_an_older_manifest_says_nothing_of_it() -> None:
    assert against_orders({}, [thinking()]) == [] and against_orders({"workload": None}, [thinking()]) == []
