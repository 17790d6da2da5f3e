"""What a request was good for: one table of cases, and SLOs on events that never came."""

import pytest
from made_runs import record

from harness.errors import Outcome
from harness.measure.quality import Grade, grade
from harness.measure.runs import use_of
from harness.measure.use import slos_met, why_not

RIGHT, WRONG, NO_CHECKER = Grade(right=True), Grade(right=False), Grade(right=None)


@pytest.mark.parametrize(
    ("changes", "given_grade", "slos", "use", "reason"),
    [
        ({}, None, {}, "useful", None),
        ({}, RIGHT, {"ttft_s": 0.3}, "useful", None),
        ({}, NO_CHECKER, {}, "useful", None),
        ({}, WRONG, {}, "not_useful", "wrong"),
        ({}, RIGHT, {"ttft_s": 0.1}, "not_useful", "slo_missed"),
        ({"outcome": Outcome.TRUNCATED}, RIGHT, {}, "not_useful", "truncated"),
        ({"outcome": Outcome.CUT_IN_THOUGHT}, None, {}, "not_useful", "cut_in_thought"),
        ({"outcome": Outcome.EMPTY}, None, {}, "failed", "empty"),
        ({"outcome": Outcome.STREAM_ERROR}, RIGHT, {}, "failed", "failed"),
        ({"outcome": Outcome.CENSORED}, None, {}, "cut_off", "failed"),
        ({"stage": "warmup"}, RIGHT, {}, "warm_up", None),
        ({"stage": "warmup", "outcome": Outcome.CUT}, None, {}, "warm_up", "failed"),
        ({"stage": "drain", "outcome": Outcome.CENSORED}, None, {}, "drain", "failed"),
    ],
)
def test_use(changes, given_grade, slos, use, reason):
    assert use_of(record(**changes), given_grade, slos) == use
    assert why_not(record(**changes), given_grade, slos) == reason


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_use(outcome):
    assert use_of(record(outcome=outcome), None, {}) in ("useful", "not_useful", "failed", "cut_off")


@pytest.mark.parametrize(
    ("changes", "slos", "met"),
    [
        ({}, {"ttft_s": 0.2}, True),
        ({}, {"ttft_s": 0.19}, False),
        ({}, {"itl_s": 0.1, "tpot_s": 0.05, "e2e_s": 0.5}, True),
        ({}, {"itl_s": 0.09}, False),
        ({"first_answer_ns": None}, {"ttfat_s": 100}, False),  # the answer that the user waits for never came
        ({}, {"ttft_planned_s": 0.001}, True),  # a closed loop has no planned time to miss
        ({"output_tokens": 1}, {"tpot_s": 0.001}, True),  # one token has no time per token
    ],
)
def test_slos(changes, slos, met):
    assert slos_met(record(**changes), slos) is met


def test_grade():
    assert grade("arithmetic:1:9:0", "no idea").right is False
    assert grade(None, "42").right is None
    assert grade("their-own-id", "42").right is None
    assert grade("other:1:2:3", "42").right is None
    assert grade("countdown:1:9:0", None).right is None
    known = grade("countdown:1:9:0", "")
    again = grade("countdown:1:9:0", f"Answer: {known.expected}")
    assert again.right is True and again.extracted == known.expected
