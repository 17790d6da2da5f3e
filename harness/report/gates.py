"""Gate lines and a run folder in, verdicts out.

The grammar, one gate a line:

    gate   := agg "(" metric ")" op number
    agg    := "mean" | "p50" | "p90" | "p95" | "p99" | "max"      of a distribution: ttft_s, itl_s, tpot_s, ...
            | "count"                                             of a distribution or of an outcome
            | "share"                                             of an outcome: failed, useful, censored, wrong, ...
            | "slope"                                             per hour, of a figure in run.json's slopes
            | "drift"                                             the most that it moves in an hour, over its level
            | "value"                                             of one number in run.json or economics.json
    metric := name | dotted key                                   value(yield_ratio), value(owner.usd_per_1k_useful)
    op     := "<" | "<=" | ">" | ">=" | "==" | "!="
    number := decimal number, e.g. 0.5, -1, 1e-3

slope(failed_share) < 0.001: by less than a tenth of a point an hour, as measured. drift(output_tokens_per_s) < 0.02:
with 95 % confidence by less than 2 % of its level an hour, up or down. Slopes need a window of 15 minutes.

A metric that was not measured fails its gate and the verdict says why: silence never passes.
"""

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import InputError, Mistake, Outcome
from harness.measure.results import Distribution
from harness.report.contents import RunContents, read_run_contents
from harness.report.gate_keys import SLOPES, numeric_keys, value_at

VERDICTS_SCHEMA = 1
DEFAULT_GATE = "share(failed) < 0.05"

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
QUANTILES = {"p50": 1, "p90": 29, "p95": 59, "p99": 299}  # finished requests that each one needs
AGGREGATES = ("mean", *QUANTILES, "max", "count", "share", "slope", "drift", "value")
DISTRIBUTIONS = (
    "ttft_s", "ttft_planned_s", "ttfat_s", "think_s", "itl_s", "tpot_s", "e2e_s", "client_lag_s", "lateness_s",
)  # fmt: skip
_GROUPS = ("ok", "failed", "censored", "useful")
_WHY_NOT = ("cut_in_thought", "slo_missed", "wrong")
SHARES = tuple(dict.fromkeys((*_GROUPS, *_WHY_NOT, *(outcome.value for outcome in Outcome))))

_GATE = re.compile(
    r"\s*(?P<agg>\w+)\s*\(\s*(?P<metric>[\w.:/-]+)\s*\)\s*(?P<op><=|>=|==|!=|<|>)\s*"
    r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*",
    re.ASCII,
)
_SHAPE = "agg(metric) op number, e.g. p99(ttft_s) < 0.5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One line, taken apart."""

    text: str
    agg: str
    metric: str
    op: str
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one gate. `found` is None where there was nothing to compare; `reason` then says why."""

    gate: str
    passed: bool
    found: float | None
    reason: str


class _VerdictsFile(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of verdicts.json."""

    schema: int = VERDICTS_SCHEMA
    passed: bool
    verdicts: list[Verdict]


def parse_gate(text: str, metrics: Sequence[str] = DISTRIBUTIONS) -> Gate:
    """One gate line -> Gate. `metrics` are the distributions that exist. Raises InputError with a near miss."""
    match = _GATE.fullmatch(text)
    if match is None:
        raise _mistake(text, repr(text), _SHAPE)
    gate = Gate(text=" ".join(text.split()), agg=match["agg"], metric=match["metric"], op=match["op"],
                limit=float(match["number"]))  # fmt: skip
    if not math.isfinite(gate.limit):
        raise _mistake(text, match["number"], "a finite number")
    if gate.agg not in AGGREGATES:
        raise _mistake(text, gate.agg, _one_of(gate.agg, AGGREGATES, "an aggregate"))
    _check_metric(gate, metrics)
    return gate


def parse_gates(texts: Iterable[str], metrics: Sequence[str] = DISTRIBUTIONS) -> list[Gate]:
    """Every line parsed, or every mistake of every line at once."""
    gates: list[Gate] = []
    mistakes: list[Mistake] = []
    for text in texts:
        try:
            gates.append(parse_gate(text, metrics))
        except InputError as error:
            mistakes.extend(error.mistakes)
    if mistakes:
        raise InputError(mistakes)
    return gates


def check(folder: Path, gates: Sequence[str]) -> list[Verdict]:
    """Judge a run folder by `gates`, in their order."""
    return judge(read_run_contents(folder), gates)


def judge(contents: RunContents, gates: Sequence[str]) -> list[Verdict]:
    """Judge the values of a run folder."""
    metrics = tuple(dict.fromkeys((*DISTRIBUTIONS, *contents.run.metrics)))
    return [_verdict(gate, contents) for gate in parse_gates(gates, metrics)]


def with_default(gates: Sequence[str]) -> tuple[str, ...]:
    """The gates of a run: its own, and the limit on failures unless it has one of its own."""
    has_own = any(match and match["metric"] == "failed" for match in map(_GATE.fullmatch, gates))
    return tuple(gates) if has_own else (*gates, DEFAULT_GATE)


def write_verdicts(folder: Path, verdicts: Sequence[Verdict]) -> None:
    """Write verdicts.json whole or not at all."""
    passed = all(verdict.passed for verdict in verdicts)
    content = msgspec.json.encode(_VerdictsFile(passed=passed, verdicts=list(verdicts)))
    draft = folder / "verdicts.json.part"
    draft.write_bytes(msgspec.json.format(content, indent=2) + b"\n")
    draft.replace(folder / "verdicts.json")


def read_verdicts(folder: Path) -> list[Verdict]:
    """The verdicts that were written; none where there is no file or it cannot be read (they are made again)."""
    try:
        return msgspec.json.decode((folder / "verdicts.json").read_bytes(), type=_VerdictsFile).verdicts
    except (OSError, msgspec.DecodeError):
        return []


def _check_metric(gate: Gate, metrics: Sequence[str]) -> None:
    if gate.agg == "value":
        known: Sequence[str] = numeric_keys(tuple(metrics))
        # names that only a run knows are looked up in the run
        if gate.metric.removeprefix("run.").startswith("endpoints."):
            return
    elif gate.agg in ("slope", "drift"):
        known = SLOPES
    elif gate.agg == "share":
        known = SHARES
    else:
        known = (*metrics, *SHARES) if gate.agg == "count" else metrics
    if gate.metric not in known:
        raise _mistake(gate.text, gate.metric, _one_of(gate.metric, known, f"a metric of {gate.agg}()"))


def _one_of(found: str, known: Sequence[str], what: str) -> str:
    near = difflib.get_close_matches(found, known, n=3, cutoff=0.5)
    if near:
        return f"{what}: did you mean {' or '.join(near)}?"
    return f"{what}: one of {', '.join(known[:14])}{', ...' if len(known) > 14 else ''}"


def _mistake(gate: str, found: str, expected: str) -> InputError:
    return InputError([Mistake("gate", gate.strip() or "(empty)", found, expected)])


def _verdict(gate: Gate, contents: RunContents) -> Verdict:
    found, reason = _find(gate, contents)
    if found is None or not math.isfinite(found):
        return Verdict(gate=gate.text, passed=False, found=None, reason=reason or "not measured")
    passed = OPERATORS[gate.op](found, gate.limit)
    sides = f"{found:.6g} {'is' if passed else 'is not'} {gate.op} {gate.limit:g}"
    return Verdict(gate=gate.text, passed=passed, found=found, reason=f"{sides}{f' ({reason})' if reason else ''}")


def _find(gate: Gate, contents: RunContents) -> tuple[float | None, str]:
    """The number that a gate asks for, and what to know about it; None with the reason why there is none."""
    if gate.agg == "value":
        return _value(gate.metric, contents)
    if gate.agg in ("slope", "drift"):
        return _slope(gate, contents)
    if gate.agg == "share":
        return _share(gate.metric, contents)
    if gate.agg == "count" and gate.metric in SHARES:
        return float(_counts(gate.metric, contents)[0]), ""
    distribution = contents.run.metrics.get(gate.metric)
    if distribution is None:
        return None, contents.reason(f"metrics.{gate.metric}") or f"{gate.metric} was not measured in this run"
    return _aggregate(gate, distribution, contents)


def _aggregate(gate: Gate, distribution: Distribution, contents: RunContents) -> tuple[float | None, str]:
    if gate.agg == "count":
        return float(distribution.n), ""
    found: float | None = getattr(distribution, gate.agg)
    if found is not None:
        return found, f"n={distribution.n}"
    needed = QUANTILES.get(gate.agg, 1)
    if distribution.n < needed:
        return None, f"{gate.agg} needs n >= {needed}, found n={distribution.n}"
    return None, contents.reason(f"metrics.{gate.metric}") or "not measured"


def _slope(gate: Gate, contents: RunContents) -> tuple[float | None, str]:
    found = contents.run.slopes.get(gate.metric)
    if found is None:
        return None, contents.reason(f"slopes.{gate.metric}") or "run.json has no slopes: measure the folder again"
    if gate.agg == "slope":
        return found.per_hour, f"per hour, [{found.low:.3g}, {found.high:.3g}]"
    if found.drift_per_hour is None:
        return None, f"{gate.metric} is 0 throughout: it has no level to move by a share of"
    return found.drift_per_hour, f"of {found.level:.4g} per hour, at 95 %"


def _share(metric: str, contents: RunContents) -> tuple[float | None, str]:
    part, whole, of = _counts(metric, contents)
    return (part / whole, f"{part} of {whole} {of}") if whole else (None, f"no {of}")


def _counts(metric: str, contents: RunContents) -> tuple[int, int, str]:
    """(how many, of how many, of what). ok: delivered whole, as requests.ok in run.json.

    Failures are counted among finished requests: those that we stopped ourselves can hide none. Useful answers
    and their opposites are counted in the measure window.
    """
    run = contents.run
    requests = run.requests
    finished = requests.ok + requests.failed
    if metric in ("failed", "ok"):
        return (requests.failed if metric == "failed" else requests.ok), finished, "finished requests"
    if metric == "censored":
        return requests.censored, requests.total, "requests"
    if metric == "useful":
        return run.useful.count, run.useful.total, "answers of the measure window"
    if metric in _WHY_NOT:
        return run.useful.why_not.get(metric, 0), run.useful.total, "answers of the measure window"
    return run.outcomes.get(metric, 0), finished, "finished requests"


def _value(key: str, contents: RunContents) -> tuple[float | None, str]:
    if key == "usd_per_1k_useful":
        whose = "owner" if contents.endpoint.deployment is not None else "buyer"
        key = f"{whose}.usd_per_1k_useful"
    room, path = value_at(key)
    if room == "economics" and contents.economics is None:
        return None, "; ".join(contents.trouble) or "this run has not been priced"
    found: object = contents.economics if room == "economics" else contents.run
    for part in path:
        found = found.get(part) if isinstance(found, dict) else getattr(found, part, None)
    if isinstance(found, bool):
        return float(found), ""
    if isinstance(found, int | float):
        return float(found), ""
    return None, contents.reason(".".join(path)) or f"{key} is not in this run"
