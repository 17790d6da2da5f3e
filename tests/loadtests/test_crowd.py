"""Who asks next in front of a queue, without a server: a counter with so many places, in virtual time."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heapify, heapreplace
from itertools import count
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Outcome
from harness.load.calls import Finished
from harness.load.conversations import ordinal_of, pause_s, setting_of, turns_of
from harness.load.orders import Order, make_plan
from harness.load.scenarios import Arrivals, Scenario, Workload
from harness.providers import Endpoint
from harness.records import StreamRecord, Wall
from loadtests.crowd import Asked, Crowd
from loadtests.session import Session

TALK = Workload(families=("arithmetic",), difficulty=1, turns="uniform(2,5)", max_tokens=64)
S = 1_000_000_000


def session(workload: Workload = TALK, index: int = 0, workers: int = 1) -> Session:
    endpoint = Endpoint(name="e", base_url="http://127.0.0.1:9/v1", model="m")
    scenario = Scenario(name="s", description="d", workload=workload, arrivals=Arrivals(kind="queued", ahead=3))
    plan = make_plan(Order(endpoint="e", scenario="s"), endpoint, scenario, run_id="r", workers=workers)
    own: Any = {"key": None, "target": None, "spool": None, "outbox": None}  # nothing is sent, nothing kept
    return Session(
        plan=plan, index=index, setting=setting_of(plan, f"w{index}"), began_ns=0,
        wall=Wall(offset_ns=0, error_ns=0, taken_at=""), **own,
    )  # fmt: skip


def record(seq: int, ended_ns: int, outcome: Outcome = Outcome.OK) -> StreamRecord:
    return StreamRecord(
        run_id="r", request_id=f"{seq}", worker="w", seq=seq, endpoint="e", model="m", scenario="s", stage="measure",
        started_ns=0, ended_ns=ended_ns, outcome=outcome,
    )  # fmt: skip


@dataclass(frozen=True)
class Turn:
    number: int
    turn: int
    turns: int
    asked_ns: int
    ended_ns: int
    due_ns: int  # when its user would go on


def counter(crowd: Crowd, where: Session, places: int, seed: int, turns: int) -> Iterator[Turn]:
    """So many turns at a counter with `places`, which are never empty; each takes up to a second."""
    draw, numbers = random.Random(seed), count()
    busy: list[tuple[int, int, int, Asked | None]] = [(0, next(numbers), 0, None) for _ in range(places)]
    heapify(busy)
    while turns:
        ended_ns, seq, asked_ns, asked = busy[0]
        if asked is not None:
            assert asked.talk is not None
            due_ns = ended_ns + round(pause_s(where.setting, asked.talk) * S)
            crowd.hear(asked, record(seq, ended_ns), Finished(0, b"", "said"))
            yield Turn(asked.talk.number, asked.talk.turn, asked.talk.turns, asked_ns, ended_ns, due_ns)
            turns -= 1
        new = crowd.ask(ended_ns)
        where.calls += 1
        heapreplace(busy, (ended_ns + draw.randrange(1, S), next(numbers), ended_ns, new))


@given(
    turns=st.sampled_from(["1", "3", "uniform(2,5)", "lognormal(6,0.8)"]),
    think=st.sampled_from([None, "0", "0.4", "lognormal(2,1)"]),
    places=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_a_free_place_goes_to_who_waits_for_longest_and_to_a_new_one_where_nobody_does(
    turns: str, think: str | None, places: int, seed: int
) -> None:
    where = session(replace(TALK, turns=turns, think_time=think))
    told = sorted(counter(Crowd(where), where, places, seed, 120), key=lambda turn: turn.asked_ns)
    talks: dict[int, list[Turn]] = {}
    for turn in told:
        talks.setdefault(turn.number, []).append(turn)
    for number, held in talks.items():
        assert [turn.turn for turn in held] == list(range(1, len(held) + 1))
        assert held[0].turns == turns_of(where.plan.scenario.workload, where.plan.seed, number) >= len(held)
        assert all(after.asked_ns >= before.due_ns for before, after in zip(held, held[1:], strict=False))
    due = {(turn.number, turn.turn + 1): turn.due_ns for turn in told}
    later = [due[turn.number, turn.turn] for turn in told if turn.turn > 1]
    for turn in told:
        if turn.turn == 1:
            overlooked = [
                other for other in told
                if other.turn > 1 and other.asked_ns > turn.asked_ns and due[other.number, other.turn] < turn.asked_ns
            ]  # fmt: skip
            assert not overlooked, "somebody waited, and a new one came first"
    assert later == sorted(later), "first come, first served"
    assert where.broken_off == 0


def test_conversations_begin_as_often_as_their_turns_let_them() -> None:
    """In the long run r requests/s are r / mean turns conversations/s, though users think for ten answers' time."""
    where = session(replace(TALK, think_time="lognormal(5,0.5)"))
    told = list(counter(Crowd(where), where, 8, 3, 4_000))
    begun_share = fmean(turn.turn == 1 for turn in told[1_000:])
    assert begun_share == pytest.approx(1 / 3.5, rel=0.03)


@pytest.mark.parametrize(
    ("outcome", "answer", "broken_off"),
    [
        (Outcome.HTTP_ERROR, None, 1),
        (Outcome.OK, "", 1),
        (Outcome.CENSORED, None, 0),
        (Outcome.TRUNCATED, "half", None),
    ],
)
def test_a_turn_without_an_answer_to_go_on_from_ends_its_conversation(
    outcome: Outcome, answer: str | None, broken_off: int | None
) -> None:
    where = session()
    crowd = Crowd(where)
    asked = crowd.ask(0)
    crowd.hear(asked, record(0, 5, outcome), Finished(0, b"", answer))
    after = crowd.ask(5).talk
    assert after is not None
    assert (after.number, after.turn) == ((0, 2) if broken_off is None else (1, 1))
    assert where.broken_off == (broken_off or 0)


def test_workers_share_the_conversations_between_them() -> None:
    crowds = [Crowd(session(index=index, workers=2)) for index in range(2)]
    begun = [[crowd.ask(0).talk for _ in range(3)] for crowd in crowds]
    assert [[talk.number for talk in talks if talk] for talks in begun] == [[0, 2, 4], [1, 3, 5]]


def test_without_turns_every_call_stands_alone() -> None:
    where = session(replace(TALK, turns=None))
    crowd = Crowd(where)
    for ordinal in range(3):
        asked = crowd.ask(ordinal)
        assert asked.talk is None and asked.prompt.conversation is None
        where.calls += 1
        crowd.hear(asked, record(ordinal, ordinal), Finished(0, b"", "said"))
    talks = Crowd(session())
    first, second = talks.ask(0), talks.ask(0)
    assert first.talk is not None and second.talk is not None
    assert ordinal_of(where.setting, first.talk) == 0 and first.prompt.conversation == 0 and first.prompt.turn == 1
    assert second.prompt.prompt_id != first.prompt.prompt_id
