"""Thoughts: did the model think as it was told? Records and what was asked for in, notes out.

A server may take a level and do nothing with it, where its chat template does not know the word. Nothing in an answer
says so but its thoughts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.errors import DELIVERED
from harness.records import StreamRecord

#: Of answers: a model may let a word slip.
MOST_DISOBEDIENT = 0.05
#: An engine ends a thought with words of its own.
BEYOND_CAP = 1.1


def against_orders(scenario: Mapping[str, Any], records: Iterable[StreamRecord]) -> list[str]:
    """Notes where answers thought though they were told not to, or for longer, or none did that were told to."""
    workload = scenario.get("workload") or {}
    told = [record for record in records if record.outcome in DELIVERED and record.stage == "measure"]
    if not told:
        return []
    return [*_effort(workload.get("reasoning_effort"), told), *_cap(workload.get("max_thinking_tokens"), told)]


def _effort(effort: str | None, told: Sequence[StreamRecord]) -> list[str]:
    if effort is None:
        return []
    thought = sum(map(_thought, told)) / len(told)
    if effort == "none" and thought > MOST_DISOBEDIENT:
        return [f"reasoning_effort none, but {thought:.0%} of answers thought: the model or its template ignores it"]
    if effort != "none" and not thought:
        return [f"reasoning_effort {effort}, but no answer thought: the model does not, hides it, or ignores the level"]
    return []


def _cap(cap: int | None, told: Sequence[StreamRecord]) -> list[str]:
    if cap is None:
        return []
    longer = sum((record.reasoning_tokens or 0) > BEYOND_CAP * cap for record in told) / len(told)
    if longer <= MOST_DISOBEDIENT:
        return []
    return [f"max_thinking_tokens {cap}, but {longer:.0%} of answers thought for longer: the engine ignores it"]


def _thought(record: StreamRecord) -> bool:
    """Usage counts hidden thoughts, too; a server that tells no split may still show them."""
    if record.split_source == "usage":
        return bool(record.reasoning_tokens)
    return record.first_reasoning_ns is not None
