"""A sweep in, its levels side by side out: one row a load, and the best one for each goal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.report import quantities as q
from harness.report.contents import Level, RunContents, SweepContents
from harness.report.screen.first import LOAD_WORDS, hardware, why_not_useful
from harness.report.screen.next_steps import sweep_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRow:
    """One load: users, tok/s, tok/s/user, TTFT p50/p90, $/1k useful, useful, bound fraction, yield."""

    users: int
    name: str
    cells: tuple[str, str, str, str, str, str, str, str]
    marks: str
    valid: bool
    readable: bool
    state: str
    quoted: bool
    too_low: bool  # long answers are missing: its $ is too low


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a level can be best at; `mark` stands behind its row."""

    mark: str
    name: str
    value: Callable[[RunContents], float | None]
    largest: bool = True
    within_slos: bool = False


GOALS = (
    Goal(mark="$", name="cost", value=lambda run: run.usd_per_1k_useful, largest=False, within_slos=True),
    Goal(mark="T", name="tok/s", value=lambda run: run.run.throughput.output_tokens_per_s),
    Goal(mark="I", name="tok/s/user", value=lambda run: run.run.throughput.output_tokens_per_s_per_user),
    Goal(mark="G", name="goodput", value=lambda run: run.run.goodput.requests_per_s if run.run.goodput else None),
    Goal(mark="Y", name="yield", value=lambda run: _told_yield(run), within_slos=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    endpoint: str
    title: str
    valid: bool
    text: str
    trouble: tuple[str, ...]
    rows: tuple[LevelRow, ...]
    best: Level | None
    best_for: str
    #: which level is quoted, why this one, and how far that can be relied on
    quoted: str
    #: why a level has no price, or why a cheaper one is not quoted
    notes: tuple[str, ...]
    goals: tuple[tuple[str, str, int], ...]  # mark, goal, users
    legend: str
    next_steps: tuple[str, ...]


def frontier(sweep: SweepContents) -> Frontier:
    """The levels of a sweep, judged. Invalid levels are shown and never chosen."""
    usable = [level for level in sweep.levels if level.usable]
    winners = {goal.mark: winner for goal in GOALS if (winner := _winner(goal, usable)) is not None}
    quoted = next((goal for goal in GOALS if goal.mark in winners), None)
    best = winners[quoted.mark] if quoted is not None else None
    first = sweep.readable[0] if sweep.readable else None
    goals = tuple((goal.mark, goal.name, winners[goal.mark].users) for goal in GOALS if goal.mark in winners)
    return Frontier(
        endpoint=sweep.endpoint or (first.endpoint.name if first else sweep.sweep_id),
        title=f"{first.endpoint.model}  {hardware(first)}" if first else "",
        valid=bool(sweep.levels) and len(usable) == len(sweep.levels),
        text=_text(sweep),
        trouble=_trouble(sweep),
        rows=tuple(_row(level, winners, level is best) for level in sweep.levels),
        best=best,
        best_for=quoted.name if quoted else "",
        quoted=_quoted(best, quoted, usable),
        notes=tuple(note for level in usable if (note := level_note(level))),
        goals=goals,
        legend=f"best: {', '.join(f'{mark} {name}' for mark, name, _ in goals)}" if best else "no level can be used",
        next_steps=sweep_steps(sweep.levels, best),
    )


def _quoted(best: Level | None, goal: Goal | None, usable: Sequence[Level]) -> str:
    """A level that was chosen among several looks better than it is until a second run says the same."""
    if best is None or goal is None:
        return ""
    if goal.mark != "$":
        why = f"best {goal.name}; no level has a price"
    elif best.slos_hold:
        why = "cheapest level that met its SLOs"
    elif best.slos_hold is None:
        why = "cheapest level (no SLOs declared)"
    else:
        why = "cheapest, but NO level met its SLOs"
    once = "not confirmed by a rerun" if len(usable) > 1 else "the only level"
    return f"at {q.counted(best.users, 'user')}, {why}; {once}"


def level_note(level: Level) -> str | None:
    """Why this level has no price or could not be chosen; None where nothing is to be said."""
    contents = level.contents
    if contents is None or (contents.usd_per_1k_useful is not None and level.slos_hold is not False):
        return None
    useful, why = contents.run.useful, _missed(contents) or _commonest(contents)
    if contents.usd_per_1k_useful is not None:
        return f"{q.counted(level.users, 'user')}: not quoted: {why or 'SLOs missed'}"
    if contents.kind == "undeclared" or useful.share:
        return None
    return f"{q.counted(level.users, 'user')}: no $, {q.percent(useful.share)} useful{f': {why}' if why else ''}"


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


def _told_yield(contents: RunContents) -> float | None:
    held = contents.run.load.state == "demand_limited" or contents.economics is None
    return None if held or contents.economics is None else contents.economics.yield_ratio


def _winner(goal: Goal, levels: Sequence[Level]) -> Level | None:
    """The level that is best at a goal, the smaller load in a tie; money only where SLOs hold, if they do anywhere."""
    holding = [level for level in levels if level.slos_hold is not False]
    among = (holding or levels) if goal.within_slos else levels
    found = [(value, level) for level in among if level.contents and (value := goal.value(level.contents)) is not None]
    if not found:
        return None
    return (max if goal.largest else min)(found, key=lambda pair: pair[0])[1]


def _text(sweep: SweepContents) -> str:
    """How much was measured, how well."""
    total = sum(contents.run.useful.total for contents in sweep.readable)
    window = sum(contents.run.window_s or 0.0 for contents in sweep.readable)
    text = f"sweep of {q.counted(len(sweep.levels), 'level')}, {q.duration(window)}, n={total:,}"
    lags = [lag.mean for run in sweep.readable if (lag := run.run.metrics.get("client_lag_s")) and lag.mean is not None]
    text += f", client lag {q.seconds(max(lags))}" if lags else ""
    return text


def _trouble(sweep: SweepContents) -> tuple[str, ...]:
    found = []
    for level in sweep.levels:
        if level.contents is None:
            found.append(f"{q.counted(level.users, 'user')}: {level.trouble}")
        elif not level.contents.run.valid:
            reasons = ", ".join(level.contents.run.invalid_reasons) or "invalid"
            found.append(f"{q.counted(level.users, 'user')}: {reasons}")
    return tuple(found)


def _row(level: Level, winners: dict[str, Level], quoted: bool) -> LevelRow:
    contents = level.contents
    marks = "".join(mark for mark, winner in winners.items() if winner is level)
    valid = contents is not None and contents.run.valid
    return LevelRow(
        users=level.users,
        name=level.name,
        cells=_cells(level.users, contents) if contents else (str(level.users), *[q.MISSING] * 7),  # type: ignore[arg-type]
        marks=marks if valid else "INVALID",
        valid=valid,
        readable=contents is not None,
        state=LOAD_WORDS[contents.run.load.state] if contents else "unknown",
        quoted=quoted,
        too_low=contents is not None and contents.run.length_biased and contents.usd_per_1k_useful is not None,
    )


def _cells(users: int, contents: RunContents) -> tuple[str, str, str, str, str, str, str, str]:
    run, money = contents.run, contents.economics
    ttft, usd = run.metrics.get("ttft_s"), contents.usd_per_1k_useful
    held = run.load.state == "demand_limited" and money is not None and money.yield_ratio is not None
    return (
        f"{users:,}",
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
