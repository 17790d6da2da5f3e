"""Prompts: same arguments, same prompt; another nonce, another first line; the length that was asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.prompts import CHARS_PER_TOKEN, FAMILIES, answers_for, make_prompt, problem_of
from harness.load.scenarios import Workload

ALL = Workload(families=tuple(FAMILIES))


def content(prompt):
    return prompt.messages[0]["content"]


def test_families_take_turns_and_the_id_says_it_all():
    prompts = [make_prompt(ALL, 9, ordinal, "n") for ordinal in range(2 * len(FAMILIES))]
    assert [prompt.family for prompt in prompts] == list(FAMILIES) * 2
    assert prompts[5].prompt_id == f"{list(FAMILIES)[5]}:2:9:5"
    assert problem_of(prompts[5].prompt_id).text in content(prompts[5]).splitlines()


def test_a_cold_prompt_begins_differently_for_every_nonce_and_every_request():
    heads = [content(make_prompt(ALL, 1, ordinal, nonce))[:17] for ordinal in range(50) for nonce in ("a", "b")]
    assert len(set(heads)) == 100
    same = [content(make_prompt(ALL, 1, 3, nonce)).partition("\n")[2] for nonce in ("a", "b")]
    assert same[0] == same[1]


def test_as_is_prompts_ignore_the_nonce():
    warm = Workload(families=("countdown",), cache="as_is")
    assert make_prompt(warm, 1, 0, "a") == make_prompt(warm, 1, 0, "b")
    assert not content(make_prompt(warm, 1, 0, "a")).startswith("[session")


@given(isl=st.integers(120, 5_000), ordinal=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_padding_reaches_the_asked_length_exactly(isl, ordinal):
    workload = Workload(families=("arithmetic", "countdown"), isl_tokens=isl)
    prompt = make_prompt(workload, 2, ordinal, "n")
    assert len(content(prompt)) == isl * CHARS_PER_TOKEN
    assert problem_of(prompt.prompt_id).text in content(prompt).splitlines()


def test_a_length_below_the_problem_adds_nothing():
    short = Workload(families=("countdown",), isl_tokens=5)
    assert content(make_prompt(short, 1, 0, "n")) == content(make_prompt(Workload(families=("countdown",)), 1, 0, "n"))


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_for_the_simulator_are_right_and_stand_in_the_prompt(name):
    workload = Workload(families=(name,), difficulty=3, isl_tokens=200)
    for ordinal, line in enumerate(answers_for(workload, 4, range(200))):
        prompt = make_prompt(workload, 4, ordinal, "n")
        assert line["contains"] in content(prompt).splitlines()
        assert problem_of(prompt.prompt_id).check(line["answer"]).right


@pytest.mark.parametrize("prompt_id", ["nothing", "unknown:1:2:3", "arithmetic:a:b:c", ""])
def test_a_foreign_id_is_refused(prompt_id):
    with pytest.raises((KeyError, ValueError)):
        problem_of(prompt_id)
