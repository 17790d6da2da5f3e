"""Order -> Plan, and every mistake of an order at once; elapsed time -> stage."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.load.orders import Order, make_plan, mistakes_in, overlay
from harness.load.scenarios import Arrivals, Scenario, Workload
from harness.load.stages import ended_stages, planned_stages, stage_at
from harness.providers import Endpoint

SCENARIO = Scenario(name="s", description="d", workload=Workload(families=("arithmetic",)), users=8, run_time_s=60)
ORDER = Order(endpoint="e", scenario="s")
ENDPOINT = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"endpoint": ""}, "--endpoint"),
        ({"users": 0}, "--users"),
        ({"run_time_s": 0.0}, "--run-time"),
        ({"run_time_s": float("inf")}, "--run-time"),
        ({"temperature": -0.1}, "--temperature"),
        ({"temperature": float("nan")}, "--temperature"),
        ({"max_tokens": 0}, "--max-tokens"),
        ({"max_requests": 0}, "--max-requests"),
        ({"headers": ("no-equals",)}, "--header"),
        ({"headers": ("Bad Name=x",)}, "--header"),
        ({"headers": ("X-A=a\r\nX-B=b",)}, "--header X-A"),
        ({"headers": ("authorization=Bearer x",)}, "--header authorization"),
        ({"extra_body": "{"}, "--extra-body"),
        ({"extra_body": "[]"}, "--extra-body"),
        ({"extra_body": '{"stream": false}'}, "--extra-body stream"),
    ],
)
def test_one_mistake_is_told(change: dict[str, Any], key: str) -> None:
    assert [mistake.key for mistake in mistakes_in(replace(ORDER, **change))] == [key]


def test_all_mistakes_are_told_and_no_secret_is() -> None:
    order = replace(ORDER, endpoint="", users=0, headers=("X-Api-Key=sk-very-secret",), extra_body="{")
    with pytest.raises(InputError) as caught:
        make_plan(order, ENDPOINT, SCENARIO, run_id="r", workers=1)
    assert len(caught.value.mistakes) == 4
    assert "sk-very-secret" not in str(caught.value)


def test_a_cap_needs_one_process_and_a_price() -> None:
    assert [mistake.key for mistake in mistakes_in(replace(ORDER, max_usd=1.0), workers=2)] == ["--max-usd"]
    assert mistakes_in(replace(ORDER, max_usd=1.0), workers=1) == []
    with pytest.raises(InputError, match="no price card"):
        make_plan(replace(ORDER, max_usd=1.0), ENDPOINT, SCENARIO, run_id="r", workers=1)


def test_what_is_not_ordered_comes_from_the_scenario() -> None:
    assert overlay(ORDER, SCENARIO) == SCENARIO
    changed = overlay(replace(ORDER, users=3, run_time_s=5.0, max_tokens=7, temperature=0.0), SCENARIO)
    assert (changed.users, changed.run_time_s) == (3, 5.0)
    assert (changed.workload.max_tokens, changed.workload.temperature) == (7, 0.0)


@given(st.floats(1, 600), st.floats(0, 1), st.floats(1, 600))
def test_a_run_that_is_cut_short_shrinks_its_warm_up(run_s: float, part: float, ordered_s: float) -> None:
    scenario = replace(SCENARIO, run_time_s=run_s, warm_up_s=part * run_s)
    warm_up = overlay(replace(ORDER, run_time_s=ordered_s), scenario).warm_up_seconds()
    assert warm_up <= part * run_s + 1e-9, "never longer than it was"
    if ordered_s >= run_s:
        assert warm_up == part * run_s
    else:
        assert warm_up <= max(part, 0.25) * ordered_s + 1e-9, "never more of the run than it was, or a quarter"
        assert warm_up >= min(part * run_s, ordered_s / 4) - 1e-9, "and enough to be warm"


def test_a_rate_makes_an_open_loop_and_users_keep_theirs() -> None:
    opened = overlay(replace(ORDER, rate=4.0), SCENARIO)
    assert (opened.arrivals.kind, opened.arrivals.rate_per_user) == ("poisson", 0.5)
    more = overlay(replace(ORDER, users=16), opened)
    assert more.arrivals.rate_per_user == 0.5, "users x rate: twice the users are twice the load"
    fixed = overlay(replace(ORDER, users=16, rate=4.0, arrivals="gamma"), opened)
    assert (fixed.arrivals.kind, fixed.arrivals.rate_per_user) == ("gamma", 0.25)


@pytest.mark.parametrize(
    ("change", "arrivals", "key"),
    [
        ({"arrivals": "gamma"}, Arrivals(), "--arrivals"),
        ({"max_in_flight": 5}, Arrivals(), "--max-in-flight"),
        ({"rate": 5.0}, Arrivals(kind="trace", trace="t.jsonl"), "--rate"),
        ({"rate": 0.0}, Arrivals(), "--rate"),
        ({"rate": 2.0}, Arrivals(kind="queued", ahead=3), "--rate"),
        ({"queue": 3, "rate": 2.0}, Arrivals(), "--rate"),
        ({"queue": 3, "arrivals": "gamma"}, Arrivals(), "--queue"),
        ({"queue": 3, "time_scale": 2.0}, Arrivals(), "--time-scale"),
        ({"queue": 0}, Arrivals(), "--queue"),
        ({"time_scale": 2.0}, Arrivals(), "--time-scale"),
        ({"trace": "t.jsonl", "arrivals": "gamma"}, Arrivals(), "--arrivals"),
        ({"trace": "t.jsonl", "rate": 1.0}, Arrivals(), "--rate"),
        ({"stop_when_oversaturated": True}, Arrivals(), "--stop-when-oversaturated"),
    ],
)
def test_arrivals_that_cannot_be(change: dict[str, Any], arrivals: Arrivals, key: str) -> None:
    with pytest.raises(InputError) as caught:
        make_plan(replace(ORDER, **change), ENDPOINT, replace(SCENARIO, arrivals=arrivals), run_id="r", workers=1)
    assert [mistake.key for mistake in caught.value.mistakes] == [key]


@pytest.mark.parametrize(
    ("waits", "kind"),
    [
        ({"think_time": "2"}, "poisson"),
        ({"turns": "3"}, "trace"),
        ({"turns": "3", "think_time": "2"}, "trace"),
        ({"think_time": "2"}, "queued"),
    ],
)
def test_only_conversations_and_closed_loops_wait_for_answers(waits: dict[str, str], kind: Any) -> None:
    scenario = replace(SCENARIO, workload=replace(SCENARIO.workload, **waits))
    assert make_plan(ORDER, ENDPOINT, scenario, run_id="r", workers=1).scenario.workload == scenario.workload
    arrivals = Arrivals(kind=kind, rate_per_user=1.0, trace="t.jsonl" if kind == "trace" else None, ahead=3)
    with pytest.raises(InputError) as caught:
        make_plan(ORDER, ENDPOINT, replace(scenario, arrivals=arrivals), run_id="r", workers=1)
    (mistake,) = caught.value.mistakes
    assert kind in mistake.found and all(name in mistake.found for name in waits) and "--users" in mistake.expected


@pytest.mark.parametrize(
    ("change", "arrivals", "limit"),
    [
        ({}, Arrivals(), 1024),
        ({"max_in_flight": 64}, Arrivals(kind="poisson", rate_per_user=1.0, max_in_flight=7), 64),
        ({}, Arrivals(kind="poisson", rate_per_user=1.0, max_in_flight=7), 1024),
        ({}, Arrivals(kind="queued", ahead=3, max_in_flight=7), 7),
    ],
)
def test_a_queue_takes_the_place_of_any_arrivals(change: dict[str, Any], arrivals: Arrivals, limit: int) -> None:
    order, scenario = replace(ORDER, queue=5, **change), replace(SCENARIO, arrivals=arrivals)
    planned = make_plan(order, ENDPOINT, scenario, run_id="r", workers=1).scenario
    assert planned.arrivals == Arrivals(kind="queued", ahead=5, max_in_flight=limit)
    assert planned.users == 1, "a queue is not made of users"


def test_a_queue_for_users_who_only_think_is_refused_at_its_flag() -> None:
    scenario = replace(SCENARIO, workload=replace(SCENARIO.workload, think_time="2"))
    with pytest.raises(InputError, match="--queue: found queued arrivals for a workload with think_time"):
        make_plan(replace(ORDER, queue=5), ENDPOINT, scenario, run_id="r", workers=1)


def test_how_hard_to_think_is_the_orders_or_the_scenarios() -> None:
    scenario = replace(SCENARIO, workload=replace(SCENARIO.workload, reasoning_effort="low"))
    assert overlay(ORDER, scenario).workload.reasoning_effort == "low"
    assert overlay(replace(ORDER, reasoning_effort="none"), scenario).workload.reasoning_effort == "none"
    assert overlay(ORDER, SCENARIO).workload.reasoning_effort is None


def test_a_cap_of_the_thought_alone_needs_an_engine_that_has_one() -> None:
    order = replace(ORDER, max_thinking_tokens=64)
    with pytest.raises(InputError, match="--max-thinking-tokens: found dialect openai; expected dialect vllm"):
        make_plan(order, replace(ENDPOINT, dialect="openai"), SCENARIO, run_id="r", workers=1)
    plan = make_plan(order, replace(ENDPOINT, dialect="vllm"), SCENARIO, run_id="r", workers=1)
    assert plan.scenario.workload.max_thinking_tokens == 64


def test_a_bare_prompt_cannot_say_how_hard_to_think() -> None:
    endpoint = replace(ENDPOINT, request=replace(ENDPOINT.request, form="completions"))
    with pytest.raises(InputError, match="--reasoning-effort: found the completions of"):
        make_plan(replace(ORDER, reasoning_effort="low"), endpoint, SCENARIO, run_id="r", workers=1)


def test_conversations_may_wait_in_a_queue() -> None:
    workload = replace(SCENARIO.workload, turns="3", think_time="2")
    queue = Arrivals(kind="queued", ahead=3, max_in_flight=9)
    plan = make_plan(ORDER, ENDPOINT, replace(SCENARIO, workload=workload, arrivals=queue), run_id="r", workers=1)
    assert (plan.scenario.arrivals, plan.scenario.workload) == (queue, workload)


@pytest.mark.parametrize("kind", ["poisson", "constant", "gamma"])
def test_conversations_may_begin_at_planned_times(kind: Any) -> None:
    scenario = replace(SCENARIO, workload=replace(SCENARIO.workload, turns="3", think_time="2"))
    planned = make_plan(replace(ORDER, rate=4.0, arrivals=kind), ENDPOINT, scenario, run_id="r", workers=1).scenario
    assert (planned.arrivals.kind, planned.arrivals.rate_per_user, planned.workload.turns) == (kind, 0.5, "3")


def test_the_plan_knows_its_trace(tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text('{"timestamp": 0, "input_length": 5, "output_length": 1}')
    scenario = replace(SCENARIO, arrivals=Arrivals(kind="trace", trace=str(trace)))
    plan = make_plan(ORDER, ENDPOINT, scenario, run_id="r", workers=1)
    assert plan.scenario.arrivals.trace_sha256 == hashlib.sha256(trace.read_bytes()).hexdigest()
    assert (plan.scenario.arrivals.trace_rows, plan.scenario.arrivals.trace_shared) == (1, None)
    assert (plan.scenario.workload.isl_tokens, plan.scenario.workload.max_tokens) == (5, 1)
    trace.write_text("{}")
    with pytest.raises(InputError, match="line 1"):
        make_plan(ORDER, ENDPOINT, scenario, run_id="r", workers=1)


def test_a_trace_takes_the_place_of_the_scenarios_own_arrivals(tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text(
        '{"timestamp": 0, "input_length": 600, "output_length": 3, "hash_ids": [7, 8]}\n'
        '{"timestamp": 9000, "input_length": 600, "output_length": 9, "hash_ids": [7, 9]}\n'
        '{"timestamp": 900000, "input_length": 600, "output_length": 9, "hash_ids": [7, 8]}\n'
    )
    order = replace(ORDER, trace=str(trace), time_scale=10.0)
    poisson = replace(SCENARIO, arrivals=Arrivals(kind="poisson", rate_per_user=3.0, max_in_flight=50))
    found = make_plan(order, ENDPOINT, poisson, run_id="r", workers=1).scenario
    arrivals = found.arrivals
    assert (arrivals.kind, arrivals.rate_per_user, arrivals.time_scale) == ("trace", None, 10.0)
    assert (arrivals.trace, arrivals.max_in_flight, arrivals.trace_rows) == (str(trace), 50, 3)
    assert arrivals.trace_shared == pytest.approx(512 / 1200), "of the two rows that the minute holds"
    assert (found.workload.isl_tokens, found.workload.max_tokens) == (600, 9)


def test_headers_and_body_reach_the_plan() -> None:
    order = replace(ORDER, headers=("X-A=1=2",), extra_body='{"top_p": 0.5}')
    plan = make_plan(order, ENDPOINT, SCENARIO, run_id="r", workers=1)
    assert plan.extra_headers == {"X-A": "1=2"}
    assert plan.extra_body == {"top_p": 0.5}


@pytest.mark.parametrize(
    ("elapsed_s", "stage"), [(0.0, "warmup"), (5.999, "warmup"), (6.0, "measure"), (59.999, "measure"), (60.0, "drain")]
)
def test_stages_of_a_minute(elapsed_s: float, stage: str) -> None:
    assert stage_at(SCENARIO, round(elapsed_s * 1e9)) == stage


@given(stopped_s=st.floats(0, 200), run_time_s=st.floats(1, 100))
def test_the_measure_window_never_runs_backwards(stopped_s: float, run_time_s: float) -> None:
    scenario = replace(SCENARIO, run_time_s=run_time_s)
    began = 1_000_000_000_000
    stopped = began + round(stopped_s * 1e9)
    stages = ended_stages(planned_stages(scenario, began), scenario, stopped_ns=stopped, ended_ns=stopped + 1)
    assert stages.measure_end_ns is not None
    assert began <= stages.measure_begin_ns <= stages.measure_end_ns
    assert stages.measure_end_ns <= began + round(run_time_s * 1e9)
