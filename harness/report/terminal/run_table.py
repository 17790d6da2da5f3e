"""A first screen in, the closing table's lines of one run out: money first, theory beside it, then where it went."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from harness.report import quantities as q
from harness.report.gates import Verdict
from harness.report.screen import FirstScreen, Price, Row
from harness.report.terminal.bought import price_path_lines
from harness.report.terminal.lines import (
    WIDTH,
    Line,
    cut,
    joined,
    left,
    one,
    right,
    rows_of_words,
    rule,
    styled,
    table_widths,
    whole_words,
)

_MONEY_COLUMN = 44
#: the factor of the waterfall that a demand curve makes
DAY_FACTOR = "utilisation of a day"
_LATENCY_WIDTHS = (22, 14, 14, 14, 16)


def run_lines(screen: FirstScreen, verdicts: Sequence[Verdict]) -> list[Line]:
    return [
        *_head(screen),
        rule(),
        *money(screen),
        rule(),
        *theory(screen),
        rule(4),
        *_waterfall(screen),
        *price_path_lines(screen),
        *latencies(screen),
        *([one(screen.turns, spare=1)] if screen.turns else []),
        useful(screen),
        *([Line(joined(" Per hour: ", screen.moving, ", "), spare=1)] if screen.moving else []),
        *_gates(verdicts),
        *foot(screen, screen.next_steps),
    ]


def verdict_lines(verdicts: Sequence[Verdict]) -> tuple[Text, ...]:
    width = min(38, max((cell_len(q.plain(verdict.gate)) for verdict in verdicts), default=0))
    lines = []
    for verdict in verdicts:
        line = styled(("PASS" if verdict.passed else "FAIL", "bold green" if verdict.passed else "bold red"), "  ")
        line.append(left(q.plain(verdict.gate), width) + "  ")
        line.append(whole_words(verdict.reason, WIDTH - 8 - width), "default" if verdict.passed else "bold")
        lines.append(line)
    return tuple(lines)


def title(endpoint: str, *about: str) -> Line:
    """Who was measured: the endpoint, and as much about it as fits."""
    line = styled(("trueyield", "bold"), "  ", (q.plain(endpoint, 34), "bold cyan"))
    for text in filter(None, about if about[:1] != (endpoint,) else about[1:]):
        room = WIDTH - line.cell_len - 2
        if room > 8:
            line.append(f"  {whole_words(text, room)}")
    return Line(line)


def badge(valid: bool, text: str) -> Line:
    shown = ("VALID", "bold green") if valid else ("INVALID", "bold red")
    return Line(styled(shown, f"  {whole_words(text, WIDTH - 9)}"))


def alarm(text: str, tone: str, spare: int = 0, most: int = 1) -> list[Line]:
    """What must be known before any number; the rows behind the first may be spared."""
    rows = rows_of_words(text, WIDTH - 3, WIDTH - 3, most)
    return [
        Line(styled(("!! " if rank == 0 else "   ", f"bold {tone}"), (row, tone)), spare=spare if rank == 0 else 3)
        for rank, row in enumerate(rows)
    ]


def short_run(screen: FirstScreen) -> list[Line]:
    """Long answers are missing: said before any number, because it makes answers look short and cheap."""
    if screen.length_bias is None:
        return []
    lines = alarm("SHORT RUN: long answers are missing; what is marked ~ is too low", "yellow")
    return [*lines, one(screen.length_bias, spare=2, indent=3)]


def _head(screen: FirstScreen) -> list[Line]:
    valid = screen.validity
    lines = [title(screen.endpoint, screen.model, screen.hardware), badge(valid.valid, valid.text)]
    for why in valid.reasons[:3]:
        lines += alarm(why, "red")
    lines += short_run(screen)
    for text in screen.warnings[:2]:
        lines += alarm(text, "yellow", spare=2)
    return lines


def money(screen: FirstScreen, quoted: str = "") -> list[Line]:
    """What it costs, which load that is, the same elsewhere, the yield."""
    lines: list[Line] = []
    for index, price in enumerate(screen.prices):
        unknown = styled(" 1,000 useful answers cost  ", (q.MISSING, "bold"))
        lines += _wrapped(unknown, price.note) if price.usd is None else _price_lines(price, bold=index == 0)
        lines += [one(f"no [low, high]: {price.no_interval}", spare=1, indent=3)] if price.no_interval else []
        lines += [one(quoted, indent=3)] if quoted and index == 0 else []
    for index, price in enumerate(screen.elsewhere[:3]):
        lines += _price_lines(price, spare=1 + 3 * index)
    return [*lines, *_yield(screen)]


def _yield(screen: FirstScreen) -> list[Line]:
    found = screen.yield_line
    name = q.plain(found.title, 50)
    if found.withheld is not None:
        return _wrapped(styled(" ", (name, "bold")), found.withheld)
    lines = [styled(" ", (name, "bold"))]
    for label, figure in found.figures:
        if figure.startswith("at ") and screen.factors and ", use " in (screen.to_break_even or ""):
            continue  # the line below the factors says it, with the other ways
        if lines[-1].cell_len + len(label) + len(figure) + 3 > WIDTH:
            lines.append(Text("   "))
        tone = "bold green" if figure.startswith("+") else "bold red" if figure.startswith("-") else "bold"
        lines[-1].append(f"  {label} ")
        lines[-1].append(figure, tone)
    return [Line(line) for line in lines]


def _wrapped(start: Text, reason: str) -> list[Line]:
    """A reason behind its title, on at most two lines."""
    room = WIDTH - start.cell_len - 2
    first, *rest = rows_of_words(reason, room, room, 2)
    indent = " " * (start.cell_len + 2)
    return [Line(styled(start, f"  {first}")), *(Line(Text(indent + text), spare=3) for text in rest)]


def _price_lines(price: Price, bold: bool = False, spare: int = 0) -> list[Line]:
    """A price and what it holds for; a long label stands below its price, never cut."""
    line = styled(left(cut(f" {q.plain(price.what, 100)}", _MONEY_COLUMN - 1), _MONEY_COLUMN))
    line.append(f"{'~' if price.too_low else ''}{q.usd(price.usd)}", "bold" if bold else "default")
    if price.interval is not None:
        line.append(f" {q.usd_interval(*price.interval)}")
    label = q.plain(price.label, 200)
    if line.cell_len + 2 + cell_len(label) <= WIDTH:
        line.append(f"  {label}")
        return [Line(line, spare=spare)]
    room = WIDTH - _MONEY_COLUMN
    return [Line(line, spare=spare), Line(Text(" " * _MONEY_COLUMN + whole_words(label, room)), spare=spare)]


def theory(screen: FirstScreen) -> list[Line]:
    """Theory | measured | fraction, every column as wide as its widest cell."""
    if not screen.rows:
        return []
    heads = [tuple(head.partition("\n")[::2]) for head in screen.columns]
    rows = [(f" {row.name}", *(cut(q.plain(cell, 40), 22) for cell in row.cells)) for row in screen.rows]
    table = [("", *(first for first, _ in heads)), ("", *(second for _, second in heads)), *rows]
    widths = table_widths(table)
    lines = [Line(_cells(row, widths)) for row in table[:2]]
    lines += [Line(_measured(row, cells, widths), _spare(row)) for row, cells in zip(screen.rows, rows, strict=True)]
    if screen.why:
        lines.append(one(f"why: {screen.why}", indent=3))
        lines += [one(screen.what_if, spare=3, indent=3)] if screen.what_if else []
        lines.append(Line(joined(" Delivered ", screen.delivered, ", "), spare=4))
    return lines


def _spare(row: Row) -> int:
    return {"limited_by": 1, "batch": 4, "interactivity": 3}.get(row.help, 0)


def _measured(row: Row, cells: Sequence[str], widths: Sequence[int]) -> Text:
    line = _cells(cells, widths)
    begin = sum(widths[:3])
    line.stylize("default" if row.help == "batch" else "bold", begin, begin + widths[3])
    return line


def _cells(cells: Sequence[str], widths: Sequence[int]) -> Text:
    name, *values = cells
    shown = (right(cut(cell, width - 1), width) for cell, width in zip(values, widths[1:], strict=True))
    return Text((left(name, widths[0]) + "".join(shown)).rstrip())


def _waterfall(screen: FirstScreen) -> list[Line]:
    if screen.rc is None:
        return []
    before, after = screen.rc
    lines = [Line(styled((left(f" Where the yield went     R/C {before:.2f} -> {after:.2f}", 60), "bold"), "basis"))]
    if screen.factors_note:
        lines.append(one(screen.factors_note, spare=1, indent=3))
    ranked = sorted(screen.factors, key=lambda factor: -abs(factor.share or 0.0))
    for rank, factor in enumerate(ranked[:6]):
        line = styled(left(f"   {cut(q.plain(factor.factor, 40), 24)}", 28), f"x{factor.ratio:<6.2f}")
        line.append(right("" if factor.share is None else q.percent(round(factor.share, 2)), 5) + "  ")
        line.append(left(q.bar(factor.share, 16), 18), "red" if factor.ratio <= 1 else "green")
        kind = factor.kind if factor.kind == "measured" else factor.kind.upper()
        curve = f" {screen.curve}" if screen.curve and factor.factor == DAY_FACTOR else ""
        line.append(whole_words(kind + curve, WIDTH - line.cell_len))
        lines.append(Line(line, spare=(0, 0, 2)[rank] if rank < 3 else 5 + rank))
    if screen.to_break_even:
        lines.append(one(screen.to_break_even, spare=1))
    return lines


def where_it_went(screen: FirstScreen) -> list[Line]:
    """The same in one line."""
    ranked = sorted(screen.factors, key=lambda factor: -abs(factor.share or 0.0))
    parts = [
        f"{factor.factor} x{factor.ratio:.2f}{' ' + factor.kind.upper() if factor.kind != 'measured' else ''}"
        for factor in ranked
        if f"{factor.ratio:.2f}" != "1.00"
    ]
    first = joined(" Where it went: ", parts, ", ")
    rest = [part for part in parts if part not in first.plain]
    return [Line(first), *([Line(joined("                ", rest, ", "), spare=1)] if rest else [])] if parts else []


def latencies(screen: FirstScreen) -> list[Line]:
    """p50 / p90 / p99 in one line a metric, or all in one line beside a waterfall; a dash where n is too small."""
    if not screen.latencies:
        return [one("No latency: no request of the measure window was finished")]
    if screen.factors or screen.price_path is not None:
        return [latencies_in_one(screen)]
    spares = {"e2e_s": 9, "tpot_s": 3}
    lines = [Line(_cells(("", "p50", "p90", "p99", "n"), _LATENCY_WIDTHS))]
    for latency in screen.latencies:
        found, lean = latency.distribution, "~" if latency.too_low else ""
        values = [q.seconds(value) for value in (found.p50, found.p90, found.p99)]
        cells = [f"{lean}{value}" if value != q.MISSING else value for value in values]
        row = (f" {latency.name}", *cells, q.count(found.n))
        lines.append(Line(_cells(row, _LATENCY_WIDTHS), spare=spares.get(latency.key, 0)))
    return lines


def latencies_in_one(screen: FirstScreen) -> Line:
    text = styled(" p50/p90/p99")
    names = {"ttft_s": "TTFT", "ttfat_s": "ANSWER", "tpot_s": "TPOT"}
    for latency in screen.latencies:
        found = latency.distribution
        figures = ("~" if latency.too_low else "") + q.quantiles((found.p50, found.p90, found.p99))
        name = names.get(latency.key)
        if name is not None and text.cell_len + len(name) + len(figures) + 3 <= WIDTH:
            text.append(f"  {name} ")
            text.append(figures, "bold")
    return Line(text)


def useful(screen: FirstScreen) -> Line:
    if not screen.useful_parts:
        return one(screen.useful)
    start, parts = f" {screen.useful}: ", list(screen.useful_parts)
    words = [parts.pop()] if _points(parts[-1]) is None else []
    while len(parts) > 2 and len(start + ", ".join([*parts, *words])) > WIDTH:  # summed, never left out
        parts[-2:] = [f"other {sum(_points(part) or 0.0 for part in parts[-2:]):.1f}"]
    return Line(joined(start, [*parts, *words], ", "))


def _points(part: str) -> float | None:
    """'wrong 4.3' -> 4.3; None: it counts nothing."""
    last = part.rpartition(" ")[2]
    return float(last) if last.replace(".", "", 1).isdigit() else None


def _gates(verdicts: Sequence[Verdict]) -> list[Line]:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if not verdicts:
        return []
    if not failed:
        return [Line(styled(" ", ("PASS", "bold green"), f"  {q.counted(len(verdicts), 'gate')}"), spare=6)]
    return [
        Line(styled(" ", ("FAIL", "bold red"), f"  {whole_words(f'{verdict.gate}: {verdict.reason}', WIDTH - 8)}"))
        for verdict in failed[:2]
    ]


def foot(screen: FirstScreen, steps: Sequence[str]) -> list[Line]:
    """What the money rests on, and what to do next."""
    lines = []
    if screen.basis:
        lines += _basis(screen.basis)
    lines += [
        Line(styled(" ", ("next: ", "bold"), whole_words(step, WIDTH - 8)), spare=7 * rank)
        for rank, step in enumerate(steps[:2])
    ]
    return lines


def _basis(parts: Sequence[str]) -> list[Line]:
    """Every part whole, as many to a line as fit; the first line never leaves."""
    lines: list[Line] = []
    rest = list(parts)
    while rest:
        line = joined("        " if lines else " Basis: ", rest, "; ")
        lines.append(Line(line, spare=1 if lines else 0))
        shown = sum(q.plain(part, WIDTH - 2) in line.plain for part in rest)
        rest = rest[max(1, shown) :]
    return lines
