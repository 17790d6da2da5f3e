"""A sweep in, its levels side by side out: one row a load, and the best one for each goal."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import worrying_steal
from harness.report import quantities as q
from harness.report.contents import LevelContents, RunContents, SweepContents
from harness.report.screen.first import LOAD_WORDS, hardware, why_not_useful
from harness.report.screen.next_steps import sweep_steps
from harness.sweep.goals import GOALS, Goal, goal_named
from harness.sweep.levels import Level
from harness.sweep.reach import Point, Reach, reach
from harness.sweep.search import Search, Standing, chosen, standings


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRow:
    """One load: its size, tok/s, tok/s/user, TTFT p50/p90, $/1k useful, useful, bound fraction, yield."""

    name: str
    cells: tuple[str, str, str, str, str, str, str, str]
    marks: str
    valid: bool
    readable: bool
    state: str
    quoted: bool
    too_low: bool  # long answers are missing: its $ is too low


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    endpoint: str
    title: str
    valid: bool
    text: str
    trouble: tuple[str, ...]
    #: what the loads are counted in: users or req/s
    unit: str
    rows: tuple[LevelRow, ...]
    #: the run that speaks for each level
    runs: tuple[LevelContents, ...]
    #: the run that is quoted: of the level that was chosen, the one that did not take part in the choice
    best: LevelContents | None
    best_for: str
    #: which level is quoted, why this one, and how far that can be relied on
    quoted: str
    #: why a level has no price, or why a cheaper one is not quoted
    notes: tuple[str, ...]
    goals: tuple[tuple[str, str], ...]  # mark, goal
    #: what all users get where each gets a speed that was asked about
    reached: tuple[str, ...]
    legend: str
    next_steps: tuple[str, ...]


def frontier(sweep: SweepContents) -> Frontier:
    """The levels of a sweep, judged. Invalid runs are shown and never chosen."""
    usable = [run for run in sweep.runs if run.usable]
    goal = quoted_goal(sweep)
    shown = GOALS if goal is None or goal in GOALS else (goal, *GOALS)
    winners = {one.mark: won for one in shown if (won := _chosen(sweep, one)) is not None}
    won = winners.get(goal.mark) if goal is not None else None
    best = _spoken(usable, won.level) if won is not None else None
    first = sweep.readable[0] if sweep.readable else None
    goals = tuple((one.mark, one.name) for one in shown if one.mark in winners)
    rows = [_spoken(usable, level) or _last(sweep, level) for level in _levels(sweep)]
    return Frontier(
        endpoint=sweep.endpoint or (first.endpoint.name if first else sweep.sweep_id),
        title=f"{first.endpoint.model}  {hardware(first)}" if first else "",
        valid=bool(sweep.runs) and all(row.usable for row in rows),
        text=_text(sweep),
        trouble=_trouble(sweep),
        unit="req/s" if sweep.runs and sweep.runs[0].level.unit == "rate" else "users",
        runs=tuple(rows),
        rows=tuple(_row(row, winners, row is best) for row in rows),
        best=best,
        best_for=goal.name if goal else "",
        quoted=_quoted(sweep, best, goal),
        notes=(*(note for row in rows if row.usable and (note := level_note(row))), *_not_run(sweep)),
        goals=goals,
        reached=tuple(_said(row) for row in reached_speeds(sweep, rows)),
        legend=f"best: {', '.join(f'{mark} {name}' for mark, name in goals)}" if best else "no level can be used",
        next_steps=sweep_steps(rows, best, _bracketed(sweep)),
    )


def quoted_goal(sweep: SweepContents) -> Goal | None:
    """The goal that was asked for, else the first one that a level has a value for."""
    if sweep.asked is not None and sweep.asked.goal is not None:
        return goal_named(sweep.asked.goal)
    return next((goal for goal in GOALS if _chosen(sweep, goal) is not None), None)


def _chosen(sweep: SweepContents, goal: Goal) -> Standing | None:
    """The level that is best at a goal; SLOs bind the goals of money, and those that a search was made for."""
    found = standings([run.trial(goal) for run in sweep.runs])
    asked = sweep.asked is not None and sweep.asked.goal == goal.key
    if not (goal.within_slos or asked):
        found = [Standing(level=one.level, trials=one.trials) for one in found]
    return chosen(Search(levels=(), goal=goal), found)


def _levels(sweep: SweepContents) -> list[Level]:
    return sorted({run.level for run in sweep.runs})


def _spoken(runs: Sequence[LevelContents], level: Level) -> LevelContents | None:
    """The usable run that speaks for a level: the confirming one, else the first."""
    own = [run for run in runs if run.level == level and run.usable]
    confirming = [run for run in own if run.role == "confirm"]
    return confirming[-1] if confirming else own[0] if own else None


def _last(sweep: SweepContents, level: Level) -> LevelContents:
    return [run for run in sweep.runs if run.level == level][-1]


def _bracketed(sweep: SweepContents) -> bool:
    """The neighbours of the chosen level were looked for."""
    return sweep.asked is not None and sweep.asked.adaptive


def _quoted(sweep: SweepContents, best: LevelContents | None, goal: Goal | None) -> str:
    """A level that was chosen among several looks better than it is until a second run says the same."""
    if best is None or goal is None:
        return ""
    if goal.key != "usd_per_1k_useful":
        why = f"best {goal.name}" + ("" if _has_price(sweep) else "; no level has a price")
    elif best.slos_hold:
        why = "cheapest level that met its SLOs"
    elif best.slos_hold is None:
        why = "cheapest level (no SLOs declared)"
    else:
        why = "cheapest, but NO level met its SLOs"
    return f"at {best.level.words}, {why}; {_rerun(sweep, best)}"


def _has_price(sweep: SweepContents) -> bool:
    return any(run.contents.usd_per_1k_useful is not None for run in sweep.runs if run.contents)


def _rerun(sweep: SweepContents, best: LevelContents) -> str:
    if sum(run.usable for run in sweep.runs) == 1:
        return "the only level"
    if best.role != "confirm":
        return "not confirmed by a rerun"
    first = next((run for run in sweep.runs if run.level == best.level and run.usable and run is not best), None)
    usd = first.contents.usd_per_1k_useful if first is not None and first.contents else None
    return f"confirmed (first run {q.usd(usd)})" if usd is not None else "confirmed by a rerun"


def _not_run(sweep: SweepContents) -> list[str]:
    return [f"{entry.level.words}: not run: {entry.why}" for entry in sweep.skipped]


def reached_speeds(sweep: SweepContents, rows: Sequence[LevelContents]) -> tuple[Reach, ...]:
    """Speeds that were asked about, along the levels' frontier."""
    runs = [row.contents for row in rows if row.usable and row.contents is not None]
    points = [
        Point(interactivity=each, output_tokens_per_s=total)
        for run in runs
        if (each := run.run.throughput.output_tokens_per_s_per_user)
        and (total := run.run.throughput.output_tokens_per_s)
    ]
    usd_per_s = next((usd for run in runs if (usd := _usd_per_s(run)) is not None), None)
    return tuple(reach(points, each, usd_per_s) for each in sweep.interactivity)


def _said(row: Reach) -> str:
    """What all get where each gets so much."""
    head = f"at {q.rate(row.interactivity)} tok/s/user: "
    if row.how == "not_reached":
        return f"{head}not reached at any load"
    least = "at least " if row.how == "at_least" else ""
    usd = "" if row.usd_per_mtok_output is None else f", {q.usd(row.usd_per_mtok_output)}/M output, all-in"
    return f"{head}{least}{q.rate(row.output_tokens_per_s)} tok/s in all{usd} ({row.how.replace('_', ' ')})"


def _usd_per_s(run: RunContents) -> float | None:
    """What the owner's fleet costs, whatever it is given to do."""
    hour = run.economics.owner.usd_per_gpu_hour if run.economics else None
    deployment = run.endpoint.deployment
    return None if hour is None or deployment is None else hour * deployment.count / 3600


def level_note(level: LevelContents) -> str | None:
    """Why this level has no price or could not be chosen; None where nothing is to be said."""
    contents = level.contents
    if contents is None or (contents.usd_per_1k_useful is not None and level.slos_hold is not False):
        return None
    useful, why = contents.run.useful, _missed(contents) or _commonest(contents)
    if contents.usd_per_1k_useful is not None:
        return f"{level.level.words}: not quoted: {why or 'SLOs missed'}"
    if contents.kind == "undeclared" or useful.share:
        return None
    share = "" if useful.share is None else f", {q.percent(useful.share)} useful"
    return f"{level.level.words}: no ${share}{f': {why}' if why else ''}"


def _missed(contents: RunContents) -> str | None:
    """The SLO that was missed by most: what half of the requests waited against what was promised."""
    found = []
    for name, limit in contents.run.slos.items():
        spread = contents.run.metrics.get(name)
        for quantile in ("p50", "p90"):
            value = getattr(spread, quantile, None)
            if value is not None and limit and value > limit:
                said = f"{name.removesuffix('_s').upper()} {quantile} {q.seconds(value)} > SLO {_limit(limit)}"
                found.append((quantile == "p50", value / limit, said))
    return max(found)[2] if found else None


def _limit(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else q.seconds(seconds)


def _commonest(contents: RunContents) -> str | None:
    reasons = why_not_useful(contents)
    return f"mostly {reasons[0][0]}" if reasons else None


def _text(sweep: SweepContents) -> str:
    """How much was measured, how well."""
    total = sum(contents.run.useful.total for contents in sweep.readable)
    window = sum(contents.run.window_s or 0.0 for contents in sweep.readable)
    text = f"sweep of {q.counted(len(_levels(sweep)), 'level')}, {q.duration(window)}, n={total:,}"
    lags = [lag.mean for run in sweep.readable if (lag := run.run.metrics.get("client_lag_s")) and lag.mean is not None]
    text += f", client lag {q.seconds(max(lags))}" if lags else ""
    workers = [entry for contents in sweep.readable for entry in contents.manifest.workers.values()]
    share = worrying_steal(workers)
    text += f", CPU steal {share:.0%}" if share else ""
    return text


def _trouble(sweep: SweepContents) -> tuple[str, ...]:
    found = []
    for run in sweep.runs:
        if run.contents is None:
            found.append(f"{run.level.words}: {run.trouble}")
        elif not run.contents.run.valid:
            reasons = ", ".join(run.contents.run.invalid_reasons) or "invalid"
            found.append(f"{run.level.words}: {reasons}")
    return tuple(found)


def _row(level: LevelContents, winners: dict[str, Standing], quoted: bool) -> LevelRow:
    contents = level.contents
    marks = "".join(mark for mark, winner in winners.items() if winner.level == level.level)
    valid = contents is not None and contents.run.valid
    cells = _cells(level.level, contents) if contents else (level.level.number, *[q.MISSING] * 7)
    return LevelRow(
        name=level.name,
        cells=cells,  # type: ignore[arg-type]
        marks=marks if valid else "INVALID",
        valid=valid,
        readable=contents is not None,
        state=LOAD_WORDS[contents.run.load.state] if contents else "unknown",
        quoted=quoted,
        too_low=contents is not None and contents.run.length_biased and contents.usd_per_1k_useful is not None,
    )


def _cells(level: Level, contents: RunContents) -> tuple[str, str, str, str, str, str, str, str]:
    run, money = contents.run, contents.economics
    ttft, usd = run.metrics.get("ttft_s"), contents.usd_per_1k_useful
    held = run.load.state == "demand_limited" and money is not None and money.yield_ratio is not None
    return (
        level.number,
        q.rate(run.throughput.output_tokens_per_s),
        q.rate(run.throughput.output_tokens_per_s_per_user),
        f"{_short(ttft.p50)}/{_short(ttft.p90)}" if ttft else q.MISSING,
        _lean(q.usd(usd)) if run.length_biased and usd is not None else q.usd(usd),
        q.percent(None if run.useful.share is None else round(run.useful.share, 3)),
        q.percent(None if money is None or money.bound_fraction is None else round(money.bound_fraction, 2)),
        "held" if held else q.signed_percent(money.yield_ratio if money else None),
    )


def _lean(text: str) -> str:
    return f"~{text}"


def _short(value: float | None) -> str:
    return q.seconds(value).replace(" ", "")
