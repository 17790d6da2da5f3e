"""Endpoint -> one tiny call before a run -> facts about what answers, or a PreflightError that says what to mend."""

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from harness.errors import Outcome, PreflightError
from harness.load.calls import Identity
from harness.load.client import Client
from harness.load.clock import now_ns
from harness.load.dialects import build_call, request_path, resolve_target
from harness.load.filler import filler_text
from harness.load.prompts import make_prompt
from harness.load.ruler import calibrated
from harness.load.scenarios import Plan, Scenario, Workload
from harness.load.stream.chunk import error_text
from harness.load.stream.scrub import scrub
from harness.providers import Endpoint
from harness.records import StreamRecord, decode_record

_CAP_TOKENS = 8
_ANSWERED = frozenset({Outcome.OK, Outcome.TRUNCATED, Outcome.CUT_IN_THOUGHT})
_MOST_MODELS_NAMED = 12
_MOST_SAMPLES = 8  # families that a calibration asks about, one call each
_SHORT_SAMPLE_CHARS, _LONGEST_SAMPLE_CHARS = 400, 8000


@dataclass(frozen=True, slots=True)
class _Question:
    messages: tuple[dict[str, str], ...] = ({"role": "user", "content": "Reply with the single word: ready"},)


def preflight(subject: Plan | Endpoint, key: str | None, client: Client | None = None) -> dict[str, Any]:
    """Ask the endpoint for a few tokens, exactly as the run will ask. Returns facts for the manifest."""
    plan = _tiny(subject)
    if client is not None:
        return _ask(plan, key, client)
    with Client() as own:
        return _ask(plan, key, own)


def _tiny(subject: Plan | Endpoint) -> Plan:
    if isinstance(subject, Endpoint):
        scenario = Scenario(name="preflight", description="", workload=Workload(families=()))
        subject = Plan(run_id="preflight", seed=0, endpoint=subject, scenario=scenario)
    workload = replace(subject.scenario.workload, max_tokens=_CAP_TOKENS, fixed_length=False)
    return replace(subject, scenario=replace(subject.scenario, workload=workload), keep_answers=False)


def _ask(plan: Plan, key: str | None, client: Client) -> dict[str, Any]:
    record = _asked(plan, key, client, _Question())
    # A cap of a few tokens may end a thought that is not shown before anything is said: that is an answer, too.
    if record.outcome not in _ANSWERED and not (record.outcome is Outcome.EMPTY and record.finish_reason == "length"):
        raise _complaint(record, plan.endpoint, key, client)
    facts = _facts(record)
    if _longest(plan.scenario.workload) is not None:
        facts["ruler"] = _ruler(plan, key, client)
    return facts


def _asked(plan: Plan, key: str | None, client: Client, question: _Question) -> StreamRecord:
    endpoint = plan.endpoint
    begun = now_ns()
    identity = Identity(
        run_id=plan.run_id, request_id=f"preflight-{begun:x}", worker="preflight", seq=0, endpoint=endpoint.name,
        model=endpoint.model, scenario=plan.scenario.name, stage="warmup", started_ns=begun, cap_tokens=_CAP_TOKENS,
    )  # fmt: skip
    call = build_call(plan, question, identity, resolve_target(endpoint), key)
    record = decode_record(client.call(call).line)
    return decode_record(client.call(call).line) if _by_chance(record) else record


def _by_chance(record: StreamRecord) -> bool:
    """Whether the same question may well be answered the second time.

    A server had closed an idle connection of an earlier question; or a model that draws its tokens drew the end first.
    """
    closed = record.outcome is Outcome.CUT and record.connection == "reused" and not record.reads
    return closed or (record.outcome is Outcome.EMPTY and record.finish_reason == "stop")


def _ruler(plan: Plan, key: str | None, client: Client) -> dict[str, Any] | None:
    """Tokens per character at this endpoint, from a few more tiny calls; None where it does not count tokens."""
    bare = replace(plan.scenario.workload, isl_tokens=None, isl=None, system=None, cache="cold")
    families = dict.fromkeys(bare.families[:_MOST_SAMPLES])
    samples = {
        name: make_prompt(replace(bare, families=(name,)), plan.seed, 0, "calibration").messages[0]["content"]
        for name in families
    }

    def ask(text: str) -> int | None:
        record = _asked(plan, key, client, _Question(messages=({"role": "user", "content": text},)))
        # Usage counts the text whatever was answered to it; an estimate would measure ourselves.
        return record.input_tokens if record.token_source != "estimate" else None

    long = min(_LONGEST_SAMPLE_CHARS, max(2 * _SHORT_SAMPLE_CHARS, 2 * (_longest(plan.scenario.workload) or 0)))
    ruler = calibrated(filler_text, samples, ask, (_SHORT_SAMPLE_CHARS, long))
    return None if ruler is None else asdict(ruler)


def _longest(workload: Workload) -> int | None:
    """The longest text that must be brought to a length, tokens; None: there is none."""
    lengths = [length for length in (workload.isl_tokens, workload.system) if isinstance(length, int)]
    return max(lengths, default=None)


def _facts(record: StreamRecord) -> dict[str, Any]:
    first = [at for at in (record.first_reasoning_ns, record.first_answer_ns) if at is not None]
    sent = record.sent_last_ns
    return {
        "request_id": record.request_id,
        "outcome": record.outcome.value,
        "status": record.status,
        "response_model": record.response_model,
        "system_fingerprint": record.system_fingerprint,
        "served_by": record.served_by,
        "ttft_s": (min(first) - sent) / 1e9 if first and sent is not None else None,
        "e2e_s": (record.ended_ns - sent) / 1e9 if sent is not None else None,
        "finish_reason": record.finish_reason,
        "done_seen": record.done_seen,
        "token_source": record.token_source,
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "reasoning_field": record.reasoning_field,
        "clock": record.clock,
    }


def _complaint(record: StreamRecord, endpoint: Endpoint, key: str | None, client: Client) -> PreflightError:
    """One sentence about what is wrong, one hint about what to do."""
    where, words = endpoint.base_url, _words(record, key)
    if record.outcome in {Outcome.CONNECT_ERROR, Outcome.TIMEOUT_CONNECT}:
        if "TLS" in words:
            return PreflightError(f"no secure connection to {where}: {words}", "a private CA goes into `ca_file:`")
        return PreflightError(f"cannot reach {where}: {words}", "is the server running, and is base_url right?")
    if record.status in {401, 403}:
        return _key_complaint(record.status, endpoint, key, words)
    if record.status in {400, 404, 422}:
        return _model_complaint(record.status, endpoint, words, _models(endpoint, key, client))
    if record.outcome in {Outcome.HTTP_ERROR, Outcome.RATE_LIMITED}:
        return PreflightError(f"{where} answered HTTP {record.status}: {words}", _status_hint(record.status))
    if record.outcome is Outcome.PROTOCOL_ERROR:
        return PreflightError(f"{where} did not answer with an event stream: {words}", "is base_url the API's root?")
    return PreflightError(f"{where} gave no whole answer ({record.outcome.value}): {words}", "look at the server's log")


def _key_complaint(status: int | None, endpoint: Endpoint, key: str | None, words: str) -> PreflightError:
    message = f"{endpoint.base_url} refused the key (HTTP {status}): {words}"
    if key is None:
        message = f"{endpoint.base_url} wants a key (HTTP {status}): {words}"
        return PreflightError(message, "name its environment variable as `api_key_env:` in providers.yaml")
    return PreflightError(message, f"look at the value of {endpoint.api_key_env or 'the key variable'}")


def _model_complaint(status: int, endpoint: Endpoint, words: str, models: list[str] | None) -> PreflightError:
    path = request_path(endpoint)
    if models is None and status == 404:
        return PreflightError(f"nothing answers at {endpoint.base_url} under {path}: {words}", "is base_url right?")
    if models is not None and endpoint.model not in models and (status == 404 or "model" in words.lower()):
        named = ", ".join(models[:_MOST_MODELS_NAMED]) or "none"
        more = f" and {len(models) - _MOST_MODELS_NAMED} more" if len(models) > _MOST_MODELS_NAMED else ""
        return PreflightError(f"model {endpoint.model!r} is not served: {words}", f"the server lists: {named}{more}")
    return PreflightError(f"the request was refused (HTTP {status}): {words}", "see `request:` of this endpoint")


def _status_hint(status: int | None) -> str:
    hints = {402: "the account is out of money", 429: "wait, or ask for fewer users"}
    return hints.get(status or 0, "the server is in trouble, or something between it and us")


def _models(endpoint: Endpoint, key: str | None, client: Client) -> list[str] | None:
    """Names that the server lists; None where it lists nothing that can be read."""
    status, body = client.get(endpoint, "/models", key)
    if status != 200:
        return None
    try:
        value = msgspec.json.decode(body)
        entries = value["data"] if isinstance(value, dict) else value
        return [str(entry["id"]) for entry in entries]
    except (msgspec.DecodeError, KeyError, TypeError):
        return None


def _words(record: StreamRecord, key: str | None) -> str:
    """What the server or the network said, in one line, without the key."""
    text = record.error or record.outcome.value
    if text.lstrip().startswith(("{", "[")):
        text = error_text(text.encode())
    elif record.outcome is not Outcome.PROTOCOL_ERROR:
        text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    text = " ".join(text.split())[:300] or "no words"
    return scrub(text, (key,)) if key else text
