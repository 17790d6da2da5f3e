"""Turns: the figures of each turn, by hand; none where nothing was a conversation."""

from typing import Any

import pytest
from made_runs import record

from harness.errors import Outcome
from harness.measure.turns import LAST_TURN, below_rate, turns_of


def test_the_figures_of_each_turn_by_hand() -> None:
    records = [
        record(turn=2, conversation=0, input_tokens=300, cached_tokens=150),
        record(turn=1, conversation=0, input_tokens=100, cached_tokens=0),
        record(turn=1, conversation=1, input_tokens=200, cached_tokens=30),
        record(turn=1, conversation=2, input_tokens=999, stage="warmup"),
        record(turn=2, conversation=1, input_tokens=999, outcome=Outcome.CUT),
    ]
    first, second = turns_of(records)
    assert (first.turn, first.n, first.input_tokens) == (1, 2, 150)
    assert first.cached_share == pytest.approx(30 / 300) and second.cached_share == pytest.approx(0.5)
    assert (second.turn, second.n, second.input_tokens) == (2, 1, 300)
    assert first.ttft_p50_s is not None and first.ttft_p50_s > 0


def test_what_is_not_told_is_none_and_what_is_no_conversation_is_nothing() -> None:
    (only,) = turns_of([record(turn=1, conversation=0, input_tokens=None, cached_tokens=None)])
    assert only.input_tokens is None and only.cached_share is None and only.n == 1
    assert turns_of([record()]) == ()


def test_very_late_turns_are_told_together() -> None:
    found = turns_of([record(turn=turn, conversation=0) for turn in (LAST_TURN - 1, LAST_TURN, 200)])
    assert [(turn.turn, turn.n) for turn in found] == [(LAST_TURN - 1, 1), (LAST_TURN, 2)]


TALKS = {
    "users": 4,
    "workload": {"turns": "uniform(2,7)"},
    "arrivals": {"kind": "poisson", "rate_per_user": 0.5, "levels": [], "curve": None},
}


@pytest.mark.parametrize(("count", "told"), [(20, False), (18, False), (17, True), (0, True)])
def test_a_window_that_saw_less_than_the_stated_rate_is_noted(count: int, told: bool) -> None:
    """2 requests/s for ten seconds; what was planned outside of the window does not count."""
    records = [record(planned_ns=1, turn=1, conversation=number) for number in range(count)]
    records += [record(planned_ns=1, turn=1, conversation=99, stage="warmup") for _ in range(30)]
    notes = below_rate(TALKS, records, 10.0)
    assert bool(notes) == told
    assert not told or (f"{count / 10:.3g} requests/s" in notes[0] and "stands for 2:" in notes[0])


@pytest.mark.parametrize(
    "change",
    [
        {"workload": {"turns": None}},
        {"arrivals": {"kind": "closed", "rate_per_user": None}},
        {"arrivals": {"kind": "poisson", "rate_per_user": 0.5, "levels": [[0, 1], [5, 2]]}},
        {"arrivals": {"kind": "poisson", "rate_per_user": 0.5, "curve": "deepseek-day-6-nodes"}},
    ],
)
def test_without_planned_conversations_or_one_rate_there_is_nothing_to_note(change: dict[str, Any]) -> None:
    assert below_rate({**TALKS, **change}, [], 10.0) == [] and below_rate(TALKS, [], None) == []
