"""A first screen of a bought API in, the lines out that lead from its list price to what a useful answer costs."""

from harness.report import quantities as q
from harness.report.screen import FirstScreen
from harness.report.terminal.lines import WIDTH, Line, cut, left, right, styled, whole_words

_MOST = 5


def price_path_lines(screen: FirstScreen) -> list[Line]:
    """At most six lines: start and end, then the steps that weigh most."""
    path = screen.price_path
    if path is None:
        return []
    head = f" From list price to useful answer   {q.usd(path.usd_per_1k_list_3to1)} -> {q.usd(path.usd_per_1k_useful)}"
    lines = [Line(styled((left(head, 56), "bold"), right("$ per 1,000", WIDTH - 58)))]
    steps = [step for step in path.steps if f"{step.ratio:.2f}" != "1.00"]
    for rank, step in enumerate(steps[:_MOST]):
        line = styled(left(f"   {cut(q.plain(step.factor, 40), 24)}", 28), f"x{step.ratio:<6.2f}")
        line.append(right(signed_usd(step.usd), 9) + "  ")
        line.append(whole_words(step.evidence, WIDTH - 47))
        lines.append(Line(line, spare=max(0, rank - 1)))
    return lines


def signed_usd(usd: float) -> str:
    """+$0.32, -$0.05."""
    return f"{'-' if usd < 0 else '+'}{q.usd(abs(usd))}"
