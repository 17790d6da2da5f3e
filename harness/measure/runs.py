"""RunResult of a run folder: manifest and records in, run.json out. Reads no clock: same folder, same result."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from harness.errors import InputError, Mistake
from harness.measure.blocks import rate_intervals
from harness.measure.cut import cut_at
from harness.measure.deltas import GAP_PHASES, Flags
from harness.measure.evidence import load_of
from harness.measure.figures import Study, mix_of, part_of, tokens_of
from harness.measure.filling import filling_of
from harness.measure.folder import RunFolder, collector_paused, read_folder
from harness.measure.lengths import (
    intervals_without,
    length_bias,
    mix_without,
    part_without,
    reasons_of,
    useful_without,
)
from harness.measure.metrics import first_delta_ns
from harness.measure.quality import Grade, grade, grades_of
from harness.measure.results import EndpointResult, Mix, RunResult, SampledInterval, Useful, WindowUse
from harness.measure.sheet import output_tokens_inside, sheet_of
from harness.measure.slopes import slopes_of
from harness.measure.steady import Standing, standing_of
from harness.measure.thoughts import against_orders
from harness.measure.turns import below_rate, turns_of
from harness.measure.use import Use, slos_of, use_of, useful_of
from harness.measure.validity import invalid_reasons
from harness.measure.window import Clocks, Window, clocks_of, window_of
from harness.measure.withheld import without_averages
from harness.records import Manifest, StreamRecord, worrying_steal

__all__ = ["Grade", "Use", "grade", "grades_of", "measure", "read_run", "slos_of", "use_of", "write_run"]

#: a stream of so many deltas that came all at once was held back by something on the way
BUFFERED_DELTAS = 8
#: all at once: less than this a delta, which no engine reaches; a large stream comes in more than one segment
BUFFERED_GAP_NS = 50_000
#: below this a collection is lost in the two milliseconds of the engine's tick
LONG_PAUSE_NS = 5_000_000
#: cache hits above the designed share that are more than a template and a rounding of blocks
MAX_SHARE_ABOVE_DESIGN = 0.02

_QUANTILES = "p90 needs n >= 29, p95 59, p99 299, p99.9 2,995"


def measure(folder: Path) -> RunResult:
    """Measure a run folder, finished or not. InputError where it is no run folder."""
    with collector_paused():
        return _measure(folder)


def _measure(folder: Path) -> RunResult:
    book = read_folder(folder)
    clocks = clocks_of(book.manifest, book.records)
    window, notes = window_of(book.manifest, book.records, clocks)
    slos = slos_of(book.manifest.scenario, str(folder / "manifest.json"))
    whole = _study(book, clocks, window, slos)
    study, standing = _judged(whole, clocks)
    found = _result(study, standing, [*book.notes, *book.manifest.notes, *clocks.notes, *notes])
    cut_s = 0.0 if whole.seconds is None or study.seconds is None else whole.seconds - study.seconds
    use = WindowUse(
        whole_s=whole.seconds,
        cut_s=cut_s,
        reason=standing.remark,
        moved=standing.moved,
        plan=standing.plan,
        visible=dict(standing.visible),
    )
    return without_averages(replace(found, window=use))


def _judged(study: Study, clocks: Clocks) -> tuple[Study, Standing]:
    """What figures stand for: behind the filling of a queue, and of that rest what stood still."""
    filling = filling_of(study)
    if filling is None or filling.begin_ns is None:
        standing = filling or standing_of(study)
    else:
        study = _behind(study, filling, clocks)
        standing = replace(standing_of(study), filling=filling.reason)
    return _behind(study, standing, clocks), standing


def _behind(study: Study, standing: Standing, clocks: Clocks) -> Study:
    """The study of what is left of its window; the same one where nothing was cut."""
    if standing.begin_ns is None:
        return study
    rest = Window(standing.begin_ns, study.sheet.window.end_ns)
    return _study(cut_at(study.folder, rest.begin_ns), clocks, rest, study.slos)


def _study(book: RunFolder, clocks: Clocks, window: Window | None, slos: dict[str, float]) -> Study:
    sheet = sheet_of(book.records, clocks, window or Window(0, 0), slos)
    return Study(
        folder=book,
        sheet=sheet,
        seconds=window.seconds if window else None,
        slos=slos,
        tokens_inside=output_tokens_inside(sheet),
    )


def write_run(folder: Path, result: RunResult) -> None:
    """Write run.json whole or not at all."""
    draft = folder / "run.json.part"
    draft.write_bytes(run_json(result) + b"\n")
    draft.replace(folder / "run.json")


def run_json(result: RunResult) -> bytes:
    """run.json as text; a missing value is null."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2)


def read_run(folder: Path) -> RunResult:
    """Read run.json; InputError where it is missing or no run.json."""
    path = folder / "run.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunResult)
    except OSError:
        mistake = Mistake(str(path), "", "no such file", "run.json; `trueyield measure` writes it")
    except msgspec.DecodeError as error:
        mistake = Mistake(str(path), "", str(error), "run.json of schema 1")
    raise InputError([mistake])


def _result(study: Study, standing: Standing, notes: list[str]) -> RunResult:
    manifest, records, sheet = study.folder.manifest, study.folder.records, study.sheet
    everyone = np.ones(len(records), np.bool_)
    whole = part_of(study, everyone)
    mix = mix_of(study)
    wanted = {record.request_id for record in records if record.stage == "measure"}
    grades = grades_of(study.folder.path, wanted)
    useful = useful_of(records, grades, study.slos)
    intervals, no_interval = _intervals(study, whole, grades, useful)
    slopes, no_slope = slopes_of(study)
    invalid = invalid_reasons(study.folder)
    biased = length_bias(study, whole)
    unsteady = {} if standing.steady or standing.reason is None else {"steady": standing.reason}
    clocks = {record.clock for record in records if record.clock}
    names = sorted({record.endpoint for record in records})
    found = RunResult(
        run_id=manifest.run_id,
        valid=not invalid,
        invalid_reasons=invalid,
        load=load_of(study, mix),
        window_s=study.seconds,
        requests=whole.requests,
        outcomes=whole.outcomes,
        tokens=whole.tokens,
        window_tokens=tokens_of(sheet, sheet.measured),
        metrics=whole.metrics,
        throughput=whole.throughput,
        goodput=whole.goodput,
        useful=useful,
        mix=mix,
        endpoints={name: whole if len(names) == 1 else part_of(study, _of(study, name)) for name in names},
        reasons=_reasons(study, whole, mix) | no_interval | no_slope | unsteady,
        notes=tuple(
            [
                *notes,
                *([standing.remark] if standing.remark else []),
                *_notes(study, grades, biased),
                *_warmer_than_designed(study, mix),
            ]
        ),
        response_models=tuple(sorted({record.response_model for record in records if record.response_model})),
        clock=None if not clocks else clocks.pop() if len(clocks) == 1 else "mixed",
        length_biased=biased is not None,
        intervals=intervals,
        slos=study.slos,
        steady=standing.steady,
        turns=turns_of(records),
        slopes=slopes,
    )
    return found if biased is None else _without_lengths(found, biased)


def _without_lengths(found: RunResult, bias: str) -> RunResult:
    """The same, less the figures that hang on how long answers are."""
    whole = part_without(
        EndpointResult(
            requests=found.requests,
            outcomes=found.outcomes,
            tokens=found.tokens,
            metrics=found.metrics,
            throughput=found.throughput,
            goodput=found.goodput,
        )
    )
    return replace(
        found,
        metrics=whole.metrics,
        useful=useful_without(found.useful),
        mix=mix_without(found.mix),
        endpoints={name: part_without(part) for name, part in found.endpoints.items()},
        intervals=intervals_without(found.intervals),
        reasons=found.reasons | reasons_of(bias),
    )


def _intervals(
    study: Study, whole: EndpointResult, grades: Mapping[str, Grade], useful: Useful
) -> tuple[dict[str, SampledInterval | None], dict[str, str]]:
    """Sampling error of the rates (batch means) and of the useful share (Wilson)."""
    uses = (use_of(record, grades.get(record.request_id), study.slos) for record in study.folder.records)
    is_useful = np.fromiter((use == "useful" for use in uses), np.bool_, len(study.folder.records))
    intervals, reasons = rate_intervals(study, whole.metrics["e2e_s"].p50, is_useful)
    intervals["useful.share"] = None
    if useful.share_low is None or useful.share_high is None:
        return intervals, reasons | {"intervals.useful.share": "no answer in the measure window"}
    share = SampledInterval(low=useful.share_low, high=useful.share_high, method="Wilson", n=useful.total)
    return intervals | {"useful.share": share}, reasons


def _of(study: Study, endpoint: str) -> Flags:
    return np.fromiter((record.endpoint == endpoint for record in study.folder.records), np.bool_)


def _reasons(study: Study, whole: EndpointResult, mix: Mix) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if study.seconds is None:
        reasons["window_s"] = reasons["throughput"] = "no request began in a measure window"
    if whole.goodput is None:
        reasons["goodput"] = "the scenario states no SLOs" if not study.slos else reasons["window_s"]
    if study.seconds is not None and whole.throughput.output_tokens_per_s is None:
        reasons["throughput.output_tokens_per_s"] = "no record has a token count"
    if mix.cached_share is None:
        reasons["mix.cached_share"] = "the endpoint does not tell cached tokens"
    if mix.reasoning_share is None:
        reasons["mix.reasoning_share"] = "the endpoint does not count reasoning tokens"
    reasons |= {f"metrics.{name}": _why_empty(name) for name, spread in whole.metrics.items() if not spread.n}
    if any(spread.n and spread.p99 is None for spread in whole.metrics.values()):
        reasons["quantiles"] = _QUANTILES
    return reasons


def _why_empty(name: str) -> str:
    if name.endswith("_planned_s") or name == "lateness_s":
        return "closed loop: requests have no planned time"
    if name in ("think_s", "think_tokens_per_s", "itl_reasoning_s"):
        return "no reasoning was seen or counted"
    if name in GAP_PHASES:
        return "no delta offsets were kept (or nothing was streamed)"
    if name == "client_lag_s":
        return "only kernel stamps show our own lag, and no record has them"
    if name == "connect_s":
        return "all connections were reused"
    return "no delivered request of the measure window has one"


def _notes(study: Study, grades: Mapping[str, Grade], biased: str | None) -> list[str]:
    sheet, notes = study.sheet, []
    workers = study.folder.manifest.workers.values()
    if biased:
        notes.append(f"{biased}: OSL, think time, accuracy and $ per answer are not told; throughput stands")
    checked = sum(
        record.request_id not in grades and grade(record.prompt_id, "").right is not None
        for record, inside in zip(sheet.records, sheet.measured & sheet.delivered, strict=True)
        if inside
    )
    if checked:
        notes.append(f"{checked} answers have a checker but their text was not kept: they count as not wrong")
    notes += _buffered(sheet.records)
    on_user_clock = sum(record.clock == "user" for record in sheet.records)
    if on_user_clock:
        notes.append(
            f"{on_user_clock} streams were stamped by the user clock: their times include our own, unknown lag"
        )
    estimated = int((~np.isnan(sheet.output) & sheet.delivered).sum()) < int(sheet.delivered.sum())
    if estimated:
        notes.append("some delivered answers have no token count: their deltas x the mean tokens per delta are used")
    pause_ns = max((each.gc_pauses.max_ns for each in workers if each.gc_pauses), default=0)
    if pause_ns > LONG_PAUSE_NS:
        notes.append(f"garbage collection stopped an engine for up to {pause_ns / 1e6:.1f} ms: kernel stamps stay true")
    notes += _stolen(study.folder.manifest)
    notes += below_rate(study.folder.manifest.scenario, sheet.records, study.seconds)
    notes += against_orders(study.folder.manifest.scenario, sheet.records)
    not_sent = sum(worker.not_sent for worker in workers)
    if not_sent:
        notes.append(f"{not_sent} planned requests were NOT SENT: our own cap on requests in flight refused them")
    return notes


def _stolen(manifest: Manifest) -> list[str]:
    """The host of a virtual machine ran something else while a packet or a call of ours was due."""
    share = worrying_steal(manifest.workers.values())
    if share is None:
        return []
    return [
        f"the client's host took {share:.0%} of its CPU time: stamps and departures may be late by what was taken at "
        "once, often tens of ms"
    ]


def _warmer_than_designed(study: Study, mix: Mix) -> list[str]:
    """More cache hits than the workload was made for: cheaper and faster than the traffic it stands for."""
    scenario = study.folder.manifest.scenario
    workload = scenario.get("workload", {})
    cache = str(workload.get("cache", "as_is"))
    by_design = cache == "as_is" or workload.get("turns") or workload.get("system")  # a history is there to be hit
    if by_design or mix.cached_share is None:
        return []
    designed = float(cache.removeprefix("share:")) if cache.startswith("share:") else 0.0
    designed = scenario.get("arrivals", {}).get("trace_shared") or designed  # a trace brings its own sharing
    if mix.cached_share <= designed + MAX_SHARE_ABOVE_DESIGN:
        return []
    return [
        f"{mix.cached_share:.1%} of input tokens were cache hits, {designed:.0%} by design: "
        "TTFT and $ are better than this workload's own"
    ]


def _buffered(records: Sequence[StreamRecord]) -> list[str]:
    """Streams whose deltas all came at once: tokens are made one by one, so something held them back."""
    long = [record for record in records if record.deltas >= BUFFERED_DELTAS]
    at_once = sum(map(_came_at_once, long))
    if not at_once:
        return []
    return [
        f"{at_once} of {len(long)} streams of {BUFFERED_DELTAS} deltas or more came all at once: something on the way "
        "buffers them (proxy_buffering?), so their TTFT is their E2E"
    ]


def _came_at_once(record: StreamRecord) -> bool:
    if record.shared_reads == record.deltas - 1:
        return True
    first_ns, last_ns = first_delta_ns(record), record.last_delta_ns
    return first_ns is not None and last_ns is not None and last_ns - first_ns < BUFFERED_GAP_NS * record.deltas
