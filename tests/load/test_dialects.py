"""Requests as data: every byte of what goes out, and what is refused before it does."""

import json
from dataclasses import replace
from typing import Any

import pytest
from conftest import Question, make_plan

from harness import __version__
from harness.errors import InputError, PreflightError
from harness.load.calls import Call, Identity, Target
from harness.load.dialects import Plain, build_call, build_plain, request_path, resolve_target
from harness.load.scenarios import Plan
from harness.providers import Endpoint, RequestOptions

IDENTITY = Identity(
    run_id="run", request_id="req-7", worker="w", seq=7, endpoint="e", model="m", scenario="s", stage="measure",
    started_ns=1,
)  # fmt: skip
LOCAL = Target("127.0.0.1", 8000, addresses=((2, "127.0.0.1", 8000),))
REMOTE = Target("api.example.com", 80, addresses=((2, "93.184.216.34", 80),))


def build(plan: Plan, key: str | None = None, target: Target = LOCAL) -> Call:
    return build_call(plan, Question(), IDENTITY, target, key)


def parts(call: Call) -> tuple[str, dict[str, str], dict[str, Any]]:
    head, _, body = call.payload.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    assert len(headers) == len(fields)
    assert headers["Content-Length"] == str(len(body))
    return line, headers, json.loads(body)


def test_the_plain_request() -> None:
    line, headers, body = parts(build(make_plan("http://127.0.0.1:8000/v1"), key="sk-1234567"))
    assert line == "POST /v1/chat/completions HTTP/1.1"
    assert headers == {
        "Host": "127.0.0.1:8000", "User-Agent": f"trueyield/{__version__}", "Accept": "text/event-stream",
        "Accept-Encoding": "identity", "X-Request-Id": "req-7", "Authorization": "Bearer sk-1234567",
        "Content-Type": "application/json", "Content-Length": headers["Content-Length"],
    }  # fmt: skip
    assert body == {"model": "m", "messages": list(Question.messages), "stream": True, "max_tokens": 64,
                    "stream_options": {"include_usage": True}}  # fmt: skip


BODIES = [
    ({}, {"fixed_length": True}, {}, set(), {"ignore_eos"}),
    ({"dialect": "vllm"}, {"fixed_length": True}, {"ignore_eos": True}, set(), set()),
    ({"dialect": "llamacpp"}, {"fixed_length": True}, {"ignore_eos": True}, set(), set()),
    ({"dialect": "vllm"}, {}, {}, set(), {"ignore_eos"}),
    ({"request": RequestOptions(cap_field="max_completion_tokens")}, {}, {"max_completion_tokens": 64}, set(),
     {"max_tokens"}),
    ({"request": RequestOptions(include_usage=False)}, {}, {}, set(), {"stream_options"}),
    ({"request": RequestOptions(continuous_usage=True)}, {},
     {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}, set(), set()),
    ({}, {"temperature": 0.0}, {"temperature": 0.0}, set(), set()),
    ({"request": RequestOptions(extra_body={"thinking": {"type": "disabled"}, "max_tokens": 5})}, {},
     {"thinking": {"type": "disabled"}, "max_tokens": 5}, set(), set()),
    ({"request": RequestOptions(extra_body={"stream": False})}, {}, {"stream": False}, set(), {"stream_options"}),
]  # fmt: skip


@pytest.mark.parametrize("case", BODIES)
def test_bodies(case: tuple[dict[str, Any], dict[str, Any], dict[str, Any], set[str], set[str]]) -> None:
    endpoint, workload, present, _, absent = case
    plan = make_plan("http://127.0.0.1:8000/v1", **endpoint)
    plan = replace(plan, scenario=replace(plan.scenario, workload=replace(plan.scenario.workload, **workload)))
    call = build(plan)
    body = parts(call)[2]
    assert {name: body[name] for name in present} == present
    assert not absent & set(body)
    assert call.fixed_length is ("ignore_eos" in body) and call.stream is body["stream"]


EFFORTS = [
    ("openai", "none", {"reasoning_effort": "none"}),
    ("openai", "high", {"reasoning_effort": "high"}),
    ("ollama", "max", {"reasoning_effort": "max"}),
    ("deepseek", "none", {"thinking": {"type": "disabled"}}),
    ("deepseek", "max", {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
    ("vllm", "none", {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}),
    ("vllm", "low", {"reasoning_effort": "low", "chat_template_kwargs":
     {"enable_thinking": True, "thinking": True, "reasoning_effort": "low"}}),
    ("llamacpp", "medium", {"reasoning_effort": "medium", "chat_template_kwargs":
     {"enable_thinking": True, "thinking": True, "reasoning_effort": "medium"}}),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "effort", "fields"), EFFORTS)
def test_each_dialect_is_told_how_hard_to_think_in_its_own_words(
    dialect: Any, effort: Any, fields: dict[str, Any]
) -> None:
    plain = make_plan("http://127.0.0.1:8000", dialect=dialect)
    _, _, unasked = parts(build(plain))
    _, _, body = parts(build(asking(plain, effort)))
    assert body == unasked | fields


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [("vllm", {"thinking_token_budget": 32}), ("llamacpp", {"thinking_budget_tokens": 32}), ("openai", {})],
)
def test_a_thought_is_capped_where_an_engine_can(dialect: Any, fields: dict[str, Any]) -> None:
    plain = make_plan("http://127.0.0.1:8000", dialect=dialect)
    workload = replace(plain.scenario.workload, max_thinking_tokens=32)
    _, _, body = parts(build(replace(plain, scenario=replace(plain.scenario, workload=workload))))
    assert body == parts(build(plain))[2] | fields


def asking(plan: Plan, effort: Any) -> Plan:
    workload = replace(plan.scenario.workload, reasoning_effort=effort)
    return replace(plan, scenario=replace(plan.scenario, workload=workload))


def test_the_run_says_how_hard_to_think_before_the_endpoints_rule_and_its_own_body_before_all() -> None:
    rule = {"chat_template_kwargs": {"enable_thinking": True, "tone": "dry"}, "reasoning_effort": "high", "top_k": 5}
    plan = make_plan("http://127.0.0.1:8000", dialect="vllm", request=RequestOptions(extra_body=rule))
    _, _, body = parts(build(asking(plan, "none")))
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False, "tone": "dry"}
    assert body["top_k"] == 5
    _, _, body = parts(build(replace(asking(plan, "low"), extra_body={"reasoning_effort": "max"})))
    assert body["reasoning_effort"] == "max"


def test_the_plans_own_options_win() -> None:
    plan = make_plan("http://127.0.0.1:8000", request=RequestOptions(extra_body={"a": 1}, headers={"X-A": "1"}))
    plan = replace(plan, extra_body={"a": 2}, extra_headers={"X-A": "2"}, deadlines={"ttft_s": 3.0})
    call = build(plan)
    _, headers, body = parts(call)
    assert (headers["X-A"], body["a"], call.deadlines.ttft_s) == ("2", 2, 3.0)


@pytest.mark.parametrize(
    ("url", "path"),
    [("http://h:1", "/v1/chat/completions"), ("http://h:1/", "/v1/chat/completions"),
     ("http://h:1/v1/", "/v1/chat/completions"), ("https://api.deepseek.com/beta", "/beta/chat/completions"),
     ("https://h/openai/v1", "/openai/v1/chat/completions"),
     ("https://h/x/chat/completions?api-version=1", "/x/chat/completions?api-version=1")],
)  # fmt: skip
def test_paths(url: str, path: str) -> None:
    assert request_path(Endpoint(name="e", base_url=url, model="m")) == path


def test_targets() -> None:
    target = resolve_target(Endpoint(name="e", base_url="http://127.0.0.1:8000/v1", model="m", ca_file="x.pem"))
    assert (target.host, target.port, target.tls, target.ca_file) == ("127.0.0.1", 8000, False, None)
    assert target.addresses == ((2, "127.0.0.1", 8000),)
    six = resolve_target(Endpoint(name="e", base_url="https://[::1]/v1", model="m", ca_file="x.pem"))
    assert (six.host, six.port, six.tls, six.ca_file) == ("::1", 443, True, "x.pem")
    _, headers, _ = parts(build(make_plan("https://[::1]/v1"), target=six))
    assert headers["Host"] == "[::1]"
    with pytest.raises(PreflightError, match="cannot resolve"):
        resolve_target(Endpoint(name="e", base_url="http://no-such-host.invalid", model="m"))


@pytest.mark.parametrize(
    "url", ["ftp://h", "h:80", "http://", "http://u:p@h", "http://h\r\nX: y", "http://h:99999", ""]
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(InputError):
        resolve_target(Endpoint(name="e", base_url=url, model="m"))


@pytest.mark.parametrize(
    "headers",
    [{"X-A": "a\r\nX-B: c"}, {"X-A": "a\nb"}, {"X A": "a"}, {"": "a"}, {"X-A": "\u20ac"}, {"X-A": "a\0"},
     {"Host": "evil"}, {"content-length": "1"}, {"Transfer-Encoding": "chunked"}, {"X-Request-Id": "mine"}],
)  # fmt: skip
def test_header_injection_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        build(replace(make_plan("http://127.0.0.1:8000"), extra_headers=headers))
    assert all(value not in str(caught.value) for value in headers.values() if len(value) > 3)


def test_a_bad_key_is_refused_and_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        build(make_plan("http://127.0.0.1:8000"), key="sk-canary\r\nX: y")
    assert "canary" not in str(caught.value)


def test_a_key_never_crosses_a_network_in_clear_text() -> None:
    plan = make_plan("http://api.example.com")
    with pytest.raises(InputError, match="plain http"):
        build(plan, key="sk-1234567", target=REMOTE)
    build(plan, key=None, target=REMOTE)
    build(make_plan("http://api.example.com", allow_http=True), key="sk-1234567", target=REMOTE)
    build(plan, key="sk-1234567", target=Target("api.example.com", 443, tls=True, addresses=REMOTE.addresses))
    with pytest.raises(InputError, match="plain http"):
        build_plain(plan.endpoint, Plain(path="/v1/models"), REMOTE, "sk-1234567", IDENTITY)
