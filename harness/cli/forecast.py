"""Plan -> Forecast: what a run will ask, and what it can cost at most, before anything is sent."""

import ipaddress
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from urllib.parse import urlsplit

import click

from harness.load.arrivals.plans import begins_of, rate_in_words
from harness.load.arrivals.traces import TraceRow, read_trace
from harness.load.conversations import most_turns, turns_before, turns_of
from harness.load.prompts import CHARS_PER_TOKEN, make_prompt, system_message
from harness.load.scenarios import Plan
from harness.price.spend.budget import worst_case_usd
from harness.providers import Endpoint

#: The worst case assumes a stream as fast as the fastest that is sold (wafer-scale engines, about 3,000 tokens/s) ...
FASTEST_TOKENS_PER_S = 3000
#: ... and that a call, with its connection, queue and prefill, takes at least this long.
SHORTEST_CALL_S = 1.0
SAMPLE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Upper limits, with the assumptions above; a cap lowers them."""

    plan: Plan
    input_tokens_per_call: float  # estimate, mean of a sample
    input_tokens_max: float  # no tokenizer makes more tokens than bytes
    calls_max: int
    output_tokens_max: float
    usd_per_call_max: float | None
    usd_worst: float | None

    def show(self) -> None:
        """Print it for people."""
        plan, scenario = self.plan, self.plan.scenario
        card = plan.endpoint.price_card
        lines = [
            f"endpoint    {plan.endpoint.name}  {plan.endpoint.base_url or '(embedded)'}  model {plan.endpoint.model}",
            f"scenario    {scenario.name}: {scenario.description}",
            f"load        {scenario.users} users, {scenario.run_time_s:g} s "
            f"(first {scenario.warm_up_seconds():.3g} s are warm-up), {plan.workers} process(es)",
            *(f"{name:12}{text}" for name, text in _arrivals(plan)),
            *_users(plan),
            f"one call    about {self.input_tokens_per_call:,.0f} tokens in, at most "
            f"{scenario.workload.max_tokens:,} out; cache {scenario.workload.cache}; seed {plan.seed}",
            *_thinking(plan),
            f"worst case  {self.calls_max:,} calls, {self.output_tokens_max:,.0f} tokens out {_assumed(plan)}",
        ]
        if card is None or self.usd_worst is None:
            lines.append("cost        no price card: nothing to pay by the token that trueyield knows of")
        else:
            lines.append(
                f"cost        at most ${self.usd_worst:,.2f}; one call at most ${self.usd_per_call_max:.5f} "
                f"({card.name}, {card.as_of})"
            )
        click.echo("\n".join(lines))


def forecast(plan: Plan) -> Forecast:
    """Upper limits of a run."""
    workload = plan.scenario.workload
    said = [_text(make_prompt(workload, plan.seed, ordinal, "dry-run").messages) for ordinal in range(SAMPLE)]
    system = _text(system_message(workload, "dry-run"))
    calls, output_max = _most(plan)
    if plan.max_requests is not None:
        calls = min(calls, plan.max_requests)
    history = _History(plan)
    input_max = history.most(max(len(text.encode()) for text in said) + 16, len(system.encode()) + 16)
    if rows := _replayed(plan):  # each call has its own length
        input_max = max(input_max, sum(row.input_tokens for row in rows) / len(rows) * CHARS_PER_TOKEN + 16)
    if plan.scenario.arrivals.trace is None:
        output_max = min(output_max, float(calls * workload.max_tokens))
    usd_per_call, usd = _usd(plan, calls, input_max, output_max)
    return Forecast(
        plan=plan,
        input_tokens_per_call=history.usual(fmean(map(len, said)) / CHARS_PER_TOKEN, len(system) / CHARS_PER_TOKEN),
        input_tokens_max=input_max,
        calls_max=calls,
        output_tokens_max=output_max,
        usd_per_call_max=usd_per_call,
        usd_worst=usd,
    )


@dataclass(frozen=True, slots=True)
class _History:
    """What stands in a prompt before its question: nothing, but in a conversation all its earlier turns."""

    plan: Plan

    def most(self, said: float, system: float) -> float:
        """Input tokens of a last turn, every answer as long as its cap; the model's context ends it."""
        workload, deployment = self.plan.scenario.workload, self.plan.endpoint.deployment
        turns = most_turns(workload)
        tokens = float(system + turns * said + (turns - 1) * workload.max_tokens)
        context = deployment.model.context if deployment is not None else None
        return tokens if turns == 1 or context is None else min(tokens, max(float(context), system + said))

    def usual(self, said: float, system: float) -> float:
        """The mean over the turns of the first conversations, with answers of a quarter of their cap."""
        workload = self.plan.scenario.workload
        turns = [turns_of(workload, self.plan.seed, number) for number in range(SAMPLE)]
        earlier = sum(length * (length - 1) / 2 for length in turns) / sum(turns)
        return system + said + earlier * (said + workload.max_tokens / 4)


def _text(messages: Iterable[Mapping[str, str]]) -> str:
    return "".join(message["content"] for message in messages)


def _most(plan: Plan) -> tuple[int, float]:
    """Calls and output tokens at most. Planned calls are counted; Poisson and gamma ones with six sigma to spare, and
    of each conversation that begins all turns."""
    scenario = plan.scenario
    if not scenario.arrivals.open_loop:
        seconds = scenario.run_time_s + scenario.stop_timeout_s
        at_once = scenario.users if scenario.arrivals.users_ask else scenario.arrivals.max_in_flight or scenario.users
        calls = at_once * round(scenario.run_time_s / SHORTEST_CALL_S + 1)
        return calls, at_once * seconds * FASTEST_TOKENS_PER_S
    if scenario.arrivals.trace is not None:
        rows = _replayed(plan)
        return len(rows), float(sum(row.output_tokens for row in rows))
    expected = begins_of(scenario).area(scenario.run_time_s)
    spread = {"constant": 0.0, "gamma": scenario.arrivals.cv}.get(scenario.arrivals.kind, 1.0)
    begun = math.ceil(expected + 6 * spread * math.sqrt(expected)) + 1
    calls = turns_before(scenario.workload, plan.seed, begun)
    return calls, float(calls * scenario.workload.max_tokens)


def _replayed(plan: Plan) -> list[TraceRow]:
    """Rows of the trace that the run time holds; the first always is."""
    arrivals = plan.scenario.arrivals
    if arrivals.trace is None:
        return []
    return [
        row for row in read_trace(Path(arrivals.trace)) if row.at_s / arrivals.time_scale < plan.scenario.run_time_s
    ]


def _arrivals(plan: Plan) -> list[tuple[str, str]]:
    """Lines about when requests leave, each with its name."""
    scenario = plan.scenario
    arrivals = scenario.arrivals
    if arrivals.users_ask:
        return [("arrivals", "closed loop")]
    if not arrivals.open_loop:
        return [("arrivals", f"a queue of at least {arrivals.ahead} ahead, at most {arrivals.max_in_flight:,} open")]
    if arrivals.trace is not None:
        replayed = f"{len(_replayed(plan)):,} of its {arrivals.trace_rows:,} requests"
        lines = [("arrivals", f"open loop: a trace at {arrivals.time_scale:g}x, {replayed}")]
        shared = "" if arrivals.trace_shared is None else f", {arrivals.trace_shared:.0%} of its input tokens shared"
        return [*lines, ("trace", f"{Path(arrivals.trace).name}{shared}")]
    form = f" over {arrivals.curve}" if arrivals.curve else " on average" if arrivals.levels else ""
    early = ", ends early if over-saturated" if scenario.stop_when_oversaturated else ""
    return [("arrivals", f"open loop: {arrivals.kind} {rate_in_words(scenario)}{form}{early}")]


def _thinking(plan: Plan) -> list[str]:
    """How hard and how long it is to think, where that was said."""
    workload = plan.scenario.workload
    told = [] if workload.reasoning_effort is None else [f"reasoning effort {workload.reasoning_effort}"]
    told += [] if workload.max_thinking_tokens is None else [f"at most {workload.max_thinking_tokens:,} tokens"]
    return [f"thinking    {', '.join(told)}"] if told else []


def _users(plan: Plan) -> list[str]:
    """What they do besides asking."""
    workload = plan.scenario.workload
    does = [f"hold conversations of {workload.turns} turns"] if workload.turns else []
    does += [f"think {workload.think_time} s before they ask again"] if workload.think_time else []
    return [f"users       {', '.join(does)}"] if does else []


def _assumed(plan: Plan) -> str:
    if plan.scenario.arrivals.open_loop:
        return "(every planned call is sent)"
    return f"(calls of {SHORTEST_CALL_S:g} s or more, {FASTEST_TOKENS_PER_S:,} tokens/s per user)"


def is_remote(endpoint: Endpoint) -> bool:
    """True unless the endpoint is this machine."""
    host = urlsplit(endpoint.base_url).hostname
    if endpoint.embedded is not None or host is None or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def _usd(plan: Plan, calls: int, input_max: float, output_max: float) -> tuple[float | None, float | None]:
    card = plan.endpoint.price_card
    if card is None:
        return None, None
    each = worst_case_usd(card, 1, input_max, plan.scenario.workload.max_tokens)
    usd = worst_case_usd(card, calls, input_max, output_max / calls)
    return each, usd if plan.max_usd is None else min(usd, plan.max_usd)
