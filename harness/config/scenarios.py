"""loadtests/scenarios/*.yaml, or a user's own file -> Scenario."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from harness.config.arrival_rows import ArrivalsRow, check_arrivals
from harness.config.catalog_rows import Count, Positive, Price, Text
from harness.config.documents import Document, read_document
from harness.config.rows import Row, check_row, in_file_order, mistake_at, near_miss, shown
from harness.errors import InputError, Mistake
from harness.load.datasets import FORMATS, read_dataset
from harness.load.lengths import FORMS, MOST_TOKENS, PAUSE_FORMS, read_lengths, read_pauses
from harness.load.prompts import FAMILIES
from harness.load.scenarios import EFFORTS, Effort, Scenario, Workload, waits_in_vain

SCENARIO_FOLDER = Path(__file__).parents[2] / "loadtests" / "scenarios"
#: Limits that one request meets or misses by itself, so that goodput can count it; itl_s by its longest gap.
SLO_METRICS = (
    "ttft_s", "ttft_planned_s", "ttfat_s", "think_s", "itl_s", "itl_reasoning_s", "itl_answer_s", "tpot_s",
    "e2e_s", "e2e_planned_s",
)  # fmt: skip
#: Every run has this limit on failures, unless a scenario sets its own on the same metric.
DEFAULT_GATE = "share(failed) < 0.05"
#: keys that need somebody who waits for an answer, and what to write instead
_WAITING = {
    "turns": "another kind: the rows of a trace are all that is asked, each at its own time",
    "think_time": "kind: closed, or turns: as well; nobody waits for a single request of this kind",
}
_CACHE = r"^(cold|as_is|share:0?\.\d{1,4})$"
_GATE_SHAPE = re.compile(r"\s*\w+\s*\(\s*[\w.:/-]+\s*\)\s*(<=|>=|==|!=|<|>)\s*[-+.0-9eE]+\s*", re.ASCII)


def _readable(read: Callable[[str], object], number: type[int] | type[float]) -> PlainValidator:
    """A field that is a number or a short text, kept as the text; a union of types would tell every wrong one twice."""

    def check(found: object) -> str | None:
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, str | int | number):
            raise ValueError
        read(str(found))
        return str(found)

    return PlainValidator(check)


def _system(found: object) -> object:
    is_length = isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= MOST_TOKENS
    if found is None or is_length or (isinstance(found, str) and found.strip()):
        return found
    raise ValueError


Counts = Annotated[str | None, _readable(read_lengths, int)]
Seconds = Annotated[str | None, _readable(read_pauses, float)]


class WorkloadRow(Row):
    """What is asked."""

    families: list[Text] = Field(default=[], description=f"prompt families, of {', '.join(FAMILIES)}")
    file: Text | None = Field(default=None, description="a data set on disk, relative to this file")
    format: Text | None = Field(default=None, description=f"of {', '.join(FORMATS)}")
    difficulty: Annotated[int, Field(ge=1, le=6)] = 2
    isl_tokens: Count | None = None
    isl: Counts = Field(default=None, description=f"lengths of prompts in tokens: {FORMS}")
    osl: Counts = Field(default=None, description=f"caps of answers in tokens: {FORMS}")
    cache: Annotated[str, Field(pattern=_CACHE, description="cold, as_is, or share:0.56 (a share below 1)")] = "cold"
    max_tokens: Count = 1024
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    reasoning_effort: Effort | None = Field(default=None, description=f"of {', '.join(EFFORTS)}")
    max_thinking_tokens: Count | None = None
    fixed_length: bool = False
    turns: Counts = Field(default=None, description=f"turns of a conversation: {FORMS}")
    think_time: Seconds = Field(default=None, description=f"before a user asks again: {PAUSE_FORMS}")
    system: Annotated[str | int | None, PlainValidator(_system)] = Field(
        default=None, description="a system prompt: its text, or its length in tokens"
    )

    def value(self) -> Workload:
        """The same, as a value."""
        own = self.model_dump(exclude={"families"})
        if self.isl is not None:
            own["isl_tokens"] = round(read_lengths(self.isl).mean)
        return Workload(families=tuple(self.families), **own)


class ScenarioRow(Row):
    """One file."""

    description: Text = Field(description="one line: which question this scenario answers")
    workload: WorkloadRow
    users: Count = 8
    spawn_rate: Positive | None = None
    run_time_s: Positive = 60.0
    warm_up_s: Price | None = None
    stop_timeout_s: Price = 30.0
    slos: dict[str, Positive] = Field(default={}, description="metric: upper limit in seconds")
    gates: list[Text] = Field(default=[])
    stop_when_oversaturated: bool = False
    arrivals: ArrivalsRow = Field(default=ArrivalsRow(), description="when requests leave; default: closed loop")


def list_scenarios() -> list[Scenario]:
    """Every scenario that came with trueyield, by name."""
    return [load_scenario(str(path)) for path in sorted(SCENARIO_FOLDER.glob("*.yaml"))]


def load_scenario(name_or_path: str | Path) -> Scenario:
    """A shipped scenario by name, or a file by path. Raises InputError with every mistake in it."""
    path = _path_of(str(name_or_path))
    document = read_document(path)
    mistakes = list(document.mistakes)
    row = check_row(ScenarioRow, document, (), dict(document.root), mistakes)
    _check_meaning(document, mistakes)
    if row is None or mistakes:
        raise InputError(in_file_order(mistakes))
    own = row.model_dump(exclude={"workload", "gates", "arrivals"})
    workload = row.workload.value()
    if row.workload.file is not None and row.workload.format is not None:
        place = str((path.parent / row.workload.file).resolve())
        read_dataset(place, row.workload.format)  # every bad row is told before anything is sent
        workload = replace(workload, file=place)
    arrivals = row.arrivals.value(row.users, path.parent)
    gates = _with_default(row.gates)
    return Scenario(name=path.stem, workload=workload, gates=gates, arrivals=arrivals, **own)


def _path_of(text: str) -> Path:
    if text.endswith((".yaml", ".yml")) or "/" in text:
        return Path(text)
    path = SCENARIO_FOLDER / f"{text}.yaml"
    if not path.is_file():
        names = [found.stem for found in SCENARIO_FOLDER.glob("*.yaml")]
        expected = near_miss(text, names, "a scenario or the path of a .yaml file")
        raise InputError([Mistake("scenario", "", shown(text), expected)])
    return path


def _with_default(gates: list[str]) -> tuple[str, ...]:
    has_own = any(re.search(r"\(\s*failed\s*\)", gate) for gate in gates)
    return tuple(gates) if has_own else (*gates, DEFAULT_GATE)


def _check_meaning(document: Document, mistakes: list[Mistake]) -> None:
    """Names and sizes that have a form but no meaning; wrong forms are told by the row."""
    root = document.root
    workload, slos, gates = root.get("workload"), root.get("slos"), root.get("gates")
    families = workload.get("families") if isinstance(workload, dict) else None
    for index, family in enumerate(families if isinstance(families, list) else ()):
        if isinstance(family, str) and family not in FAMILIES:
            expected = near_miss(family, FAMILIES, "a prompt family")
            mistakes.append(mistake_at(document, ("workload", "families", index), shown(family), expected))
    for metric in slos if isinstance(slos, dict) else ():
        if metric not in SLO_METRICS:
            expected = near_miss(metric, SLO_METRICS, "a metric of one request")
            mistakes.append(mistake_at(document, ("slos", metric), "no metric that one request can meet", expected))
    for index, gate in enumerate(gates if isinstance(gates, list) else ()):
        if isinstance(gate, str) and not _GATE_SHAPE.fullmatch(gate):
            expected = "agg(metric) op number, e.g. p99(ttft_s) < 0.5"
            mistakes.append(mistake_at(document, ("gates", index), shown(gate), expected))
    if isinstance(workload, dict):
        _check_lengths(document, workload, mistakes)
        _check_conversations(document, root, mistakes)
    _check_times(document, root, mistakes)
    check_arrivals(document, root, mistakes)


def _check_times(document: Document, root: Any, mistakes: list[Mistake]) -> None:
    warm_up, run_time = root.get("warm_up_s"), root.get("run_time_s", 60.0)
    if isinstance(warm_up, int | float) and isinstance(run_time, int | float) and warm_up >= run_time > 0:
        found = f"{warm_up:g} s of {run_time:g} s"
        mistakes.append(mistake_at(document, ("warm_up_s",), found, "a warm-up shorter than run_time_s"))


def _check_lengths(document: Document, workload: dict[str, Any], mistakes: list[Mistake]) -> None:
    families, file, form = workload.get("families"), workload.get("file"), workload.get("format")
    if bool(families) == (file is not None):
        found = "both families and file" if families else "nothing to ask"
        place = ("workload", "families") if "families" in workload else ("workload",)
        mistakes.append(mistake_at(document, place, found, "families: a list, or file: and format:"))
    if file is not None and form not in FORMATS:
        expected = near_miss(str(form), FORMATS, "the format of the file")
        mistakes.append(mistake_at(document, ("workload", "format"), shown(form), expected))
    if file is not None and (workload.get("isl") or workload.get("isl_tokens")):
        mistakes.append(mistake_at(document, ("workload", "file"), "a file and a prompt length", "one of the two"))
    if workload.get("isl") is not None and workload.get("isl_tokens") is not None:
        mistakes.append(mistake_at(document, ("workload", "isl"), "isl and isl_tokens", "one of the two"))
    sized = workload.get("isl") is not None or workload.get("isl_tokens") is not None
    if _has_share(workload) and not sized:
        mistakes.append(mistake_at(document, ("workload", "cache"), "a share of an unknown length", "isl: as well"))


def _has_share(workload: dict[str, Any]) -> bool:
    return str(workload.get("cache", "")).startswith("share:")


def _check_conversations(document: Document, root: Any, mistakes: list[Mistake]) -> None:
    """What needs users who wait for an answer, and who shares what with whom."""
    workload, arrivals = root["workload"], root.get("arrivals")
    kind = arrivals.get("kind", "closed") if isinstance(arrivals, dict) else "closed"
    asked = {name: str(workload[name]) for name in _WAITING if workload.get(name) is not None}
    for name in waits_in_vain(Workload(families=(), **asked), str(kind)):  # type: ignore[arg-type]
        found = f"{name} with arrivals of kind {kind}"
        mistakes.append(mistake_at(document, ("workload", name), found, _WAITING[name]))
    sharing = [name for name in ("turns", "system") if workload.get(name) is not None]
    if sharing and _has_share(workload):
        expected = "cold or as_is: what a conversation shares is its history and its system prompt"
        mistakes.append(mistake_at(document, ("workload", "cache"), f"a share with {' and '.join(sharing)}", expected))
    if workload.get("system") is not None and workload.get("file") is not None:
        expected = "one of the two: rows bring their own system messages"
        mistakes.append(mistake_at(document, ("workload", "system"), "a file and a system prompt", expected))
