"""Conversations: what is said in which turn, what the history holds, when it ends; the same for any workers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FAILED, Outcome
from harness.load.calls import Finished
from harness.load.conversations import (
    Conversation,
    Setting,
    alone,
    begun,
    continued,
    most_turns,
    ordinal_of,
    pause_s,
    prompt_of,
    turns_of,
)
from harness.load.lengths import read_pauses
from harness.load.prompts import FAMILIES, Prompt, make_prompt, problem_of, system_message
from harness.load.ruler import Ruler
from harness.load.scenarios import Workload
from harness.measure.quality import grade
from harness.providers import RequestOptions
from harness.records import StreamRecord

TALK = Workload(families=("arithmetic", "countdown_zh"), difficulty=1, turns="uniform(2,5)", max_tokens=64)
LENGTHS = st.one_of(
    st.integers(1, 9).map(str),
    st.tuples(st.integers(1, 9), st.integers(0, 9)).map(lambda pair: f"uniform({pair[0]},{sum(pair)})"),
    st.lists(st.integers(1, 30), min_size=1, max_size=5).map(lambda each: f"empirical({','.join(map(str, each))})"),
    st.just("lognormal(6,0.8)"),
)


def setting(workload: Workload = TALK, nonce: str = "run.w0", **changes: Any) -> Setting:
    own = {"seed": 7, "ruler": Ruler(), "request": RequestOptions(), "system": system_message(workload, "run")}
    return Setting(workload=workload, run_id="run", nonce=nonce, **(own | changes))


def heard(
    answer: str | None = "Answer: 1", outcome: Outcome = Outcome.OK, **fields: Any
) -> tuple[StreamRecord, Finished]:
    own = {"reasoning": "hm", "field": "reasoning", "input_tokens": 100, "answer_tokens": 20, "output_tokens": 30}
    own |= fields
    reasoning, field = own.pop("reasoning"), own.pop("field")
    record = StreamRecord(
        run_id="r", request_id="q", worker="w0", seq=0, endpoint="e", model="m", scenario="s", stage="measure",
        started_ns=0, ended_ns=1, outcome=outcome, reasoning_field=field, **own,
    )  # fmt: skip
    return record, Finished(0, b"", answer, reasoning)


def held(where: Setting, number: int) -> list[tuple[Prompt, Conversation]]:
    """A whole conversation in which every turn is answered."""
    talk: Conversation | None = begun(where, number)
    turns = []
    while talk is not None:
        prompt = prompt_of(where, talk)
        turns.append((prompt, talk))
        talk = continued(where, talk, prompt, heard(f"said {talk.turn}"))
    return turns


def said(prompt: Prompt) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in prompt.messages]


# -- what is sent


def test_each_turn_holds_all_that_was_said_before_it() -> None:
    where = setting()
    for number in range(20):
        turns = held(where, number)
        assert len(turns) == turns_of(TALK, 7, number)
        for before, (prompt, talk) in zip([None, *turns], turns, strict=False):
            assert (prompt.conversation, prompt.turn) == (number, talk.turn)
            *history, (role, question) = said(prompt)
            assert role == "user" and problem_of(prompt.prompt_id).text in question.splitlines()
            if before is not None:
                assert history == [*said(before[0]), ("assistant", f"said {talk.turn - 1}")]


def test_only_the_first_turn_has_a_line_of_its_own() -> None:
    turns = held(setting(), 3)
    assert said(turns[0][0])[0][1].startswith("[session ")
    assert all(not said(prompt)[-1][1].startswith("[session ") for prompt, _ in turns[1:])
    warm = held(setting(replace(TALK, cache="as_is")), 3)
    assert "[session" not in json.dumps([said(prompt) for prompt, _ in warm])
    assert [said(prompt) for prompt, _ in warm] == [
        said(prompt) for prompt, _ in held(setting(replace(TALK, cache="as_is"), nonce="other.w1"), 3)
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_talked_about_and_each_turn_is_graded(family: str) -> None:
    for prompt, _ in held(setting(replace(TALK, families=(family,), difficulty=1, turns="3")), 5):
        problem = problem_of(prompt.prompt_id)
        assert problem.text in said(prompt)[-1][1]
        assert grade(prompt.prompt_id, problem.sentence).right
        assert not grade(prompt.prompt_id, "Answer: none").right


def test_a_system_prompt_is_the_same_for_all_workers_of_a_run_and_new_in_the_next() -> None:
    workload = replace(TALK, system=500)
    ours = [said(prompt_of(where, begun(where, 1))) for where in (setting(workload), setting(workload, nonce="run.w1"))]
    assert ours[0][0] == ours[1][0] and ours[0][0][0] == "system"
    assert len(ours[0][0][1]) == 4 * 500
    assert ours[0][1][0] == "user" and ours[0][1][1] != ours[1][1][1]
    assert system_message(workload, "run")[0]["content"][:40] != system_message(workload, "later")[0]["content"][:40]
    text = replace(TALK, system="Be brief.", cache="as_is")
    assert said(prompt_of(setting(text), begun(setting(text), 0)))[0] == ("system", "Be brief.")


def test_a_system_prompt_needs_no_conversation() -> None:
    workload = Workload(families=("arithmetic",), system="Be brief.", isl="200")
    where = setting(workload)
    prompt = prompt_of(where, begun(where, 9))
    assert [role for role, _ in said(prompt)] == ["system", "user"]
    assert len(said(prompt)[1][1]) == 4 * 200, "isl is what the user says"
    assert alone(where, 9, workload) == prompt and prompt.conversation is None and prompt.turn is None


@given(number=st.integers(0, 10_000))
def test_without_turns_a_call_is_what_it_always_was(number: int) -> None:
    single = Workload(families=("arithmetic", "dates_zh"), isl="uniform(100,300)", cache="share:0.5")
    where = setting(single)
    talk = begun(where, number)
    assert prompt_of(where, talk) == make_prompt(single, 7, number, "run.w0", Ruler())
    assert continued(where, talk, prompt_of(where, talk), heard()) is None
    assert pause_s(where, talk) == 0.0


def test_rows_of_a_file_are_said_one_after_another(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be kind."}
    rows = [{"messages": [system, {"role": "user", "content": f"question {n}"}], "answer": str(n)} for n in range(9)]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    workload = Workload(families=(), file=str(file), format="jsonl", turns="3", cache="as_is")
    last, _ = held(setting(workload), 1)[-1]
    assert said(last) == [
        ("system", "Be kind."), ("user", "question 3"), ("assistant", "said 1"), ("user", "question 4"),
        ("assistant", "said 2"), ("user", "question 5"),
    ]  # fmt: skip
    assert grade(last.prompt_id, "Answer: 5").right


# -- thoughts of earlier turns


@pytest.mark.parametrize(
    ("keeps", "field", "kept"),
    [
        (False, "reasoning_content", {"content": "4"}),
        (False, "<think>", {"content": "4"}),
        (True, "reasoning_content", {"content": "4", "reasoning_content": "2 and 2"}),
        (True, "reasoning", {"content": "4", "reasoning": "2 and 2"}),
        (True, "<think>", {"content": "2 and 24"}),
        (True, "reasoning_details.summary", {"content": "4"}),
        (True, "reasoning_details", {"content": "4"}),
        (True, None, {"content": "4"}),
    ],
)
def test_thoughts_go_back_where_the_endpoint_says_so(keeps: bool, field: str | None, kept: dict[str, str]) -> None:
    where = setting(request=RequestOptions(keeps_reasoning=keeps))
    talk = begun(where, 0)
    after = continued(where, talk, prompt_of(where, talk), heard("4", reasoning="2 and 2", field=field))
    assert after is not None and after.history[-1] == {"role": "assistant", **kept}
    assert after.tokens == (100 + 30 if keeps else 100 + 20), "what comes back is counted"


# -- when it ends


@pytest.mark.parametrize("outcome", Outcome)
def test_what_left_no_answer_ends_the_conversation(outcome: Outcome) -> None:
    where = setting(replace(TALK, turns="3"))
    talk = begun(where, 0)
    after = continued(where, talk, prompt_of(where, talk), heard("half an answ", outcome))
    assert (after is not None) == (outcome in (Outcome.OK, Outcome.TRUNCATED))
    assert outcome not in FAILED or after is None
    for nothing in ("", None):
        assert continued(where, talk, prompt_of(where, talk), heard(nothing)) is None


def test_a_history_that_would_not_fit_ends_the_conversation() -> None:
    workload = replace(TALK, turns="500", max_tokens=64)
    where = setting(workload, context_tokens=1000)
    talk: Conversation | None = begun(where, 0)
    tokens, turns = 0, 0
    while talk is not None:
        prompt = prompt_of(where, talk)
        sent = sum(len(text) for message in prompt.messages for text in message.values()) // 4
        assert sent + prompt.max_tokens <= 1000, "nothing is sent that the model could not take"
        tokens, turns = sent, turns + 1
        talk = continued(where, talk, prompt, heard("w" * 160, input_tokens=sent, answer_tokens=40))
    assert 3 < turns < 500 and tokens > 700, "and hardly sooner than it must"


def test_without_counts_the_history_is_measured_by_the_ruler() -> None:
    where = setting(replace(TALK, turns="9"), ruler=Ruler(fixed_tokens=10, text_rate=0.5))
    talk = begun(where, 0)
    prompt = prompt_of(where, talk)
    after = continued(where, talk, prompt, heard("w" * 100, input_tokens=None))
    assert after is not None
    chars = sum(len(text) for message in after.history for text in message.values())
    assert after.tokens == round(10 + 0.5 * chars)


# -- the same on one worker and on several


@given(turns=LENGTHS, seed=st.integers(0, 99))
def test_ordinals_count_the_turns_through_without_a_gap(turns: str, seed: int) -> None:
    where = setting(Workload(families=("arithmetic",), turns=turns), seed=seed)
    talks = [begun(where, number) for number in range(12)]
    ordinals = [ordinal_of(where, replace(talk, turn=turn)) for talk in talks for turn in range(1, talk.turns + 1)]
    assert ordinals == list(range(len(ordinals)))
    assert all(1 <= talk.turns for talk in talks)
    assert max(talk.turns for talk in talks) <= max(2 * most_turns(where.workload), 30)


@given(number=st.integers(0, 300), seed=st.integers(0, 5))
def test_the_worker_changes_nothing_but_the_line_of_the_run(number: int, seed: int) -> None:
    workload = replace(TALK, think_time="lognormal(3,0.6)", isl="uniform(60,200)")
    one, other = (setting(workload, nonce=nonce, seed=seed) for nonce in ("a.w0", "b.w3"))
    for (mine, talk), (theirs, again) in zip(held(one, number), held(other, number), strict=True):
        assert mine.prompt_id == theirs.prompt_id and mine.max_tokens == theirs.max_tokens
        assert said(mine)[-1][1].split("]\n")[-1] == said(theirs)[-1][1].split("]\n")[-1]
        assert pause_s(one, talk) == pause_s(other, again)


# -- pauses


@given(mean=st.floats(0.1, 600), sigma=st.floats(0, 1.5), seed=st.integers(0, 9), ordinal=st.integers(0, 10**6))
def test_a_pause_is_never_negative_and_always_the_same(mean: float, sigma: float, seed: int, ordinal: int) -> None:
    where = setting(replace(TALK, think_time=f"lognormal({mean:.3f},{sigma:.3f})"), seed=seed)
    talk = begun(where, ordinal % 1000)
    assert 0 <= pause_s(where, talk) <= 3600
    assert pause_s(where, talk) == pause_s(where, talk)


def test_pauses_follow_their_distribution() -> None:
    where = setting(Workload(families=("arithmetic",), think_time="lognormal(8,0.6)"))
    pauses = sorted(pause_s(where, begun(where, number)) for number in range(10_000))
    assert sum(pauses) / len(pauses) == pytest.approx(8.0, rel=0.02)
    assert pauses[5000] == pytest.approx(read_pauses("lognormal(8,0.6)").at_s(0.5), rel=0.03)
    assert len(set(pauses)) > 9_990, "seconds are not rounded"
    assert {pause_s(replace(where, workload=replace(TALK, think_time="0.25")), begun(where, n)) for n in range(9)} == {
        0.25
    }
