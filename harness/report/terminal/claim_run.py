"""A comparison of a claim with a run in, its lines out: what differs first, then the number that travels."""

from collections.abc import Sequence

from rich.text import Text

from harness.price.claims.run import Comparison, Condition
from harness.report import quantities as q
from harness.report.terminal.claim_story import shown
from harness.report.terminal.claims import wrapped
from harness.report.terminal.lines import ClosingTable, cut, left, styled

_TITLES = ((False, "differ", "bold red"), (True, "agree", "green"), (None, "unknown to one side", "magenta"))


def claim_and_run(comparison: Comparison) -> ClosingTable:
    """Conditions by kind, and bound fraction beside bound fraction."""
    lines = [*_verdict(comparison), Text(""), travelling(comparison), *_reason(comparison), Text("")]
    lines.append(Text("   " + left("", 24) + left(f"claim {comparison.claim}", 24) + "this run", style="dim"))
    for agrees, title, tone in _TITLES:
        found = comparison.named(agrees)
        if found:
            lines += [styled((f"{len(found)} {title}", tone)), *map(_condition, found)]
    return ClosingTable(lines=tuple(lines))


def bounds_and_run(comparisons: Sequence[Comparison]) -> ClosingTable:
    """One line a published bound fraction beside the run's own; conditions only counted."""
    first = comparisons[0]
    head = f"run {q.plain(first.run_id, 40)}: its share of its own bound beside that of published measurements"
    lines = [*wrapped(head, indent=0, style="bold"), *_reason(first), Text("")]
    for comparison in comparisons:
        line = styled(" ", (left(comparison.claim, 6), "bold"), left(travelling(comparison).plain, 50))
        line.append(f"{len(comparison.named(False))} differ", "bold red" if comparison.named(False) else "green")
        line.append(f", {len(comparison.named(None))} unknown", "magenta")
        lines.append(line)
    more = f"Which conditions: trueyield claims {first.claim} --run DIR. Nothing else may be compared."
    return ClosingTable(lines=(*lines, Text(""), Text(more, style="dim")))


def _verdict(comparison: Comparison) -> list[Text]:
    differ, unknown = len(comparison.named(False)), len(comparison.named(None))
    about = f"{comparison.claim} and run {q.plain(comparison.run_id, 40)}: "
    if differ:
        names = ", ".join(condition.name for condition in comparison.named(False))
        text = f"{about}NOT COMPARABLE, {differ} stated conditions differ: {names}. Only the bound fraction travels."
        return wrapped(text, indent=0, style="bold")
    text = f"{about}no stated condition differs; {unknown} are unknown to one side and may still differ."
    return wrapped(text, indent=0, style="bold")


def travelling(comparison: Comparison) -> Text:
    """'bound fraction: DeepSeek 37-43 %, you 28 %'."""
    theirs = comparison.claim_bound_fraction
    low, high = (round(100 * value) for value in theirs) if theirs else (0, 0)
    span = f"{low} %" if low == high else f"{low}-{high} %"
    stated = f"{comparison.who} {span} ({comparison.bound_of})" if theirs else f"{comparison.who} -"
    yours = comparison.run_bound_fraction
    return styled(
        ("bound fraction: ", "bold cyan"), (f"{stated}, you {'-' if yours is None else f'{100 * yours:.0f} %'}", "bold")
    )


def _reason(comparison: Comparison) -> list[Text]:
    lines = []
    if comparison.claim_bound_fraction is None:
        lines += wrapped("the claim states too little to compute its bound")
    if comparison.run_bound_fraction is None:
        lines += wrapped(f"this run has none: {q.plain(comparison.reason, 200)}")
    return lines


def _condition(condition: Condition) -> Text:
    claim, run = (cut(q.plain(shown(value), 60), 22) for value in (condition.claim, condition.run))
    return Text("   " + left(condition.name.replace("_", " "), 24) + left(claim, 24) + run)
