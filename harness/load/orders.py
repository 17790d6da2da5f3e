"""Order -> Plan: what flags, form and scenario file together ask of one run, checked, every mistake at once."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.errors import InputError, Mistake
from harness.load.arrivals.traces import TraceRow, digest_of, read_trace
from harness.load.blocks import shared_share
from harness.load.limits import no_room_for
from harness.load.scenarios import QUEUE_LIMIT, Arrivals, Effort, Plan, Scenario, waits_in_vain
from harness.load.thinking import THOUGHT_CAPS
from harness.providers import Endpoint

#: Until someone presses Stop: a web run without a run time.
OPEN_END_S = 365 * 86_400.0

#: Headers that carry a secret. They would end up in process lists and in the spawn messages of Locust.
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"})
#: What the stream core and the engine set themselves.
_OWN_FIELDS = frozenset({"model", "messages", "prompt", "stream", "stream_options"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Everything that a user can ask for in one run, as typed: None means "what the scenario says"."""

    endpoint: str
    scenario: str
    model: str | None = None
    seed: int = 1
    users: int | None = None
    spawn_rate: float | None = None
    run_time_s: float | None = None
    stop_timeout_s: float | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    reasoning_effort: Effort | None = None
    max_thinking_tokens: int | None = None
    headers: tuple[str, ...] = ()
    extra_body: str = ""
    max_usd: float | None = None
    max_requests: int | None = None
    keep_deltas: bool = True
    rate: float | None = None  # requests/s of all users together: an open loop
    arrivals: Literal["poisson", "constant", "gamma"] | None = None
    queue: int | None = None  # requests that always wait at the endpoint, whatever the scenario's own arrivals
    max_in_flight: int | None = None
    trace: str | None = None  # path of a trace to replay, instead of the scenario's own arrivals
    time_scale: float | None = None
    stop_when_oversaturated: bool = False
    keep_awake: bool = False  # no CPU of a load-making machine sleeps meanwhile


def mistakes_in(order: Order, workers: int = 1) -> list[Mistake]:
    """Everything that is wrong with the order itself; endpoint and scenario names are looked up elsewhere."""
    found = [*_number_mistakes(order), *_header_mistakes(order.headers), *_body_mistakes(order.extra_body)]
    if not order.endpoint:
        found.append(Mistake("command line", "--endpoint", "nothing", "an entry of providers.yaml or a URL"))
    if workers > 1 and (order.max_usd is not None or order.max_requests is not None):
        flag = "--max-usd" if order.max_usd is not None else "--max-requests"
        found.append(
            Mistake("command line", flag, f"{workers} worker processes", "one process: a cap is kept by reservation")
        )
    return found


def make_plan(order: Order, endpoint: Endpoint, scenario: Scenario, *, run_id: str, workers: int) -> Plan:
    """The resolved intention of one run. Raises InputError with every mistake of the order."""
    found = mistakes_in(order, workers)
    if order.max_usd is not None and endpoint.price_card is None:
        found.append(Mistake("command line", "--max-usd", f"no price card on {endpoint.name}", "an entry with a price"))
    planned = overlay(order, scenario)
    found += _arrival_mistakes(order, planned)
    found += _waiting_mistakes(order, planned)
    found += _thinking_mistakes(endpoint, planned)
    found += no_room_for(planned.users, workers, one_machine=False)
    if found:
        raise InputError(found)
    planned = _with_trace(planned)
    return Plan(
        run_id=run_id,
        seed=order.seed,
        endpoint=endpoint,
        scenario=planned,
        workers=workers,
        keep_deltas=order.keep_deltas,
        extra_headers=_headers(order.headers),
        extra_body=_body(order.extra_body),
        max_usd=order.max_usd,
        max_requests=order.max_requests,
        keep_awake=order.keep_awake,
    )


def overlay(order: Order, scenario: Scenario) -> Scenario:
    """The scenario with everything that the order overrides."""
    scenario = _shortened(order, scenario)
    workload = replace(
        scenario.workload,
        **_given(
            max_tokens=order.max_tokens,
            temperature=order.temperature,
            reasoning_effort=order.reasoning_effort,
            max_thinking_tokens=order.max_thinking_tokens,
        ),
    )
    return replace(
        scenario,
        workload=workload,
        **_given(
            users=1 if order.users is None and order.queue is not None else order.users,  # it is not made of users
            spawn_rate=order.spawn_rate,
            run_time_s=order.run_time_s,
            stop_timeout_s=order.stop_timeout_s,
        ),
        arrivals=_arrivals(order, scenario),
        stop_when_oversaturated=order.stop_when_oversaturated or scenario.stop_when_oversaturated,
    )


def _shortened(order: Order, scenario: Scenario) -> Scenario:
    """A run that is cut short keeps its shape: warm-up and stagger shrink along, or nothing would be measured; but not
    below a quarter of the run, or nothing would be warm."""
    if order.run_time_s is None or order.run_time_s >= scenario.run_time_s:
        return scenario
    share, quarter_s = order.run_time_s / scenario.run_time_s, order.run_time_s / 4

    def shrunk(seconds: float) -> float:
        return max(seconds * share, min(seconds, quarter_s))

    warm_up_s = None if scenario.warm_up_s is None else shrunk(scenario.warm_up_s)
    arrivals = replace(scenario.arrivals, stagger_s=shrunk(scenario.arrivals.stagger_s))
    return replace(scenario, warm_up_s=warm_up_s, arrivals=arrivals)


def _arrivals(order: Order, scenario: Scenario) -> Arrivals:
    """A rate makes an open loop: Poisson, where neither flag nor file says otherwise. Without one, a user keeps its
    own rate, so that more users are more load. A trace or a queue takes the place of whatever the scenario has."""
    if order.trace is not None:
        return Arrivals(
            kind="trace",
            trace=str(Path(order.trace).expanduser().absolute()),
            time_scale=order.time_scale or scenario.arrivals.time_scale,
            max_in_flight=order.max_in_flight or scenario.arrivals.max_in_flight,
        )
    arrivals = scenario.arrivals
    if order.queue is not None:
        limit = order.max_in_flight or (arrivals.max_in_flight if arrivals.kind == "queued" else None)
        return Arrivals(kind="queued", ahead=order.queue, max_in_flight=limit or QUEUE_LIMIT)
    kind = order.arrivals or ("poisson" if order.rate is not None and arrivals.kind == "closed" else arrivals.kind)
    own = None if order.rate is None else order.rate / max(order.users or scenario.users, 1)
    given = _given(rate_per_user=own, max_in_flight=order.max_in_flight, time_scale=order.time_scale)
    return replace(arrivals, kind=kind, **given)


def _arrival_mistakes(order: Order, planned: Scenario) -> list[Mistake]:
    arrivals, found = planned.arrivals, []
    if order.rate is not None and arrivals.kind == "trace":
        found.append(Mistake("command line", "--rate", "a trace", "--time-scale X: a trace has its own times"))
    if order.rate is not None and arrivals.kind == "queued":
        found.append(Mistake("command line", "--rate", "a queue", "no --rate: a queue has none"))
    if order.queue is not None and (order.trace is not None or order.arrivals is not None):
        flag = "--trace" if order.trace is not None else "--arrivals"
        found.append(Mistake("command line", "--queue", f"a queue and {flag}", f"one of --queue and {flag}"))
    if order.arrivals is not None and order.trace is not None:
        found.append(Mistake("command line", "--arrivals", "a trace", "one of --trace and --arrivals"))
    if order.time_scale is not None and arrivals.kind != "trace":
        found.append(Mistake("command line", "--time-scale", f"{arrivals.kind} arrivals", "a trace: --trace FILE"))
    if arrivals.kind in ("poisson", "constant", "gamma") and arrivals.rate_per_user is None:
        found.append(Mistake("command line", "--arrivals", f"{arrivals.kind} without a rate", "--rate R"))
    if order.max_in_flight is not None and arrivals.users_ask:
        expected = "--rate R: in a closed loop the users are the cap"
        found.append(Mistake("command line", "--max-in-flight", "a closed loop", expected))
    if planned.stop_when_oversaturated and not arrivals.open_loop:
        expected = "--rate R: only planned requests can come faster than they are served"
        found.append(Mistake("command line", "--stop-when-oversaturated", f"{arrivals.kind} arrivals", expected))
    return found


def _waiting_mistakes(order: Order, planned: Scenario) -> list[Mistake]:
    """Users of a closed loop wait for their answers; planned are only requests, or beginnings of conversations."""
    kind, waits = planned.arrivals.kind, waits_in_vain(planned.workload, planned.arrivals.kind)
    if not waits:
        return []
    given = {"--trace": order.trace, "--queue": order.queue, "--rate": order.rate}
    flag = next((flag for flag, value in given.items() if value is not None), "--arrivals")
    expected = "--users N: a closed loop, whose users wait for answers"
    return [Mistake("command line", flag, f"{kind} arrivals for a workload with {' and '.join(waits)}", expected)]


def _thinking_mistakes(endpoint: Endpoint, planned: Scenario) -> list[Mistake]:
    workload, found = planned.workload, []
    if workload.reasoning_effort is not None and endpoint.request.form == "completions":
        expected = "the chat form: a bare prompt has no such field"
        found.append(Mistake("command line", "--reasoning-effort", f"the completions of {endpoint.name}", expected))
    if workload.max_thinking_tokens is not None and endpoint.dialect not in THOUGHT_CAPS:
        expected = f"dialect {' or '.join(THOUGHT_CAPS)}, which can cap the thought alone; --max-tokens caps both"
        found.append(Mistake("command line", "--max-thinking-tokens", f"dialect {endpoint.dialect}", expected))
    return found


def _with_trace(scenario: Scenario) -> Scenario:
    """Read the trace once before anything is sent; its hash goes along, so that every worker replays the same one.

    Lengths of the workload are then the trace's: the mean prompt and the longest answer.
    """
    arrivals = scenario.arrivals
    if arrivals.trace is None:
        return scenario
    path = Path(arrivals.trace)
    rows = read_trace(path)
    told = replace(
        arrivals,
        trace_sha256=digest_of(path),
        trace_rows=len(rows),
        trace_s=rows[-1].at_s,
        trace_shared=_shared(scenario, rows),
    )
    mean = round(sum(row.input_tokens for row in rows) / len(rows))
    own = {"isl": None, "osl": None, "isl_tokens": mean} if scenario.workload.file is None else {"osl": None}
    workload = replace(scenario.workload, max_tokens=max(row.output_tokens for row in rows), **own)
    return replace(scenario, workload=workload, arrivals=told)


def _shared(scenario: Scenario, rows: Sequence[TraceRow]) -> float | None:
    """Of the rows that the run time holds; None where the trace does not tell what its prompts are made of."""
    held = [row for row in rows if row.at_s / scenario.arrivals.time_scale < scenario.run_time_s]
    if scenario.workload.file is not None or not any(row.hash_ids for row in held):
        return None
    return shared_share((row.hash_ids, row.input_tokens) for row in held)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _number_mistakes(order: Order) -> list[Mistake]:
    limits: tuple[tuple[str, float | None, float], ...] = (
        ("--users", order.users, 1),
        ("--spawn-rate", order.spawn_rate, 1e-9),
        ("--run-time", order.run_time_s, 1),
        ("--stop-timeout", order.stop_timeout_s, 0),
        ("--max-tokens", order.max_tokens, 1),
        ("--temperature", order.temperature, 0),
        ("--max-thinking-tokens", order.max_thinking_tokens, 1),
        ("--max-usd", order.max_usd, 0),
        ("--max-requests", order.max_requests, 1),
        ("--seed", order.seed, 0),
        ("--rate", order.rate, 1e-6),
        ("--queue", order.queue, 1),
        ("--max-in-flight", order.max_in_flight, 1),
        ("--time-scale", order.time_scale, 1e-6),
    )
    return [
        Mistake("command line", flag, str(value), f"a number >= {low:g}")
        for flag, value, low in limits
        if value is not None and not (low <= value < math.inf)
    ]


def _header_mistakes(headers: tuple[str, ...]) -> list[Mistake]:
    found = []
    for text in headers:
        name, equals, value = text.partition("=")
        if not (equals and name and name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            found.append(Mistake("command line", "--header", repr(name), "Name=value"))
        elif name.lower() in _SECRET_HEADERS:
            found.append(
                Mistake("command line", f"--header {name}", "a secret", "api_key_env in the entry of providers.yaml")
            )
        elif not (value.isprintable() and value.isascii()):
            found.append(Mistake("command line", f"--header {name}", "control characters", "printable ASCII"))
    return found


def _body_mistakes(text: str) -> list[Mistake]:
    if not text:
        return []
    try:
        body = json.loads(text)
    except ValueError as error:
        return [Mistake("command line", "--extra-body", str(error), "a JSON object")]
    if not isinstance(body, dict):
        return [Mistake("command line", "--extra-body", type(body).__name__, "a JSON object")]
    return [
        Mistake("command line", f"--extra-body {name}", "a field that trueyield sets itself", "another field")
        for name in sorted(_OWN_FIELDS & body.keys())
    ]


def _headers(headers: tuple[str, ...]) -> Mapping[str, str]:
    return {name: value for name, _, value in (text.partition("=") for text in headers)}


def _body(text: str) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(text) if text else {}
    return body
