"""A run or sweep folder in, the closing table out: at most 25 lines of 80 columns, readable without colour."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from harness.report import quantities as q
from harness.report.contents import is_sweep, read_run_contents, read_sweep_contents
from harness.report.frontier import Frontier, frontier
from harness.report.gates import Verdict, read_verdicts
from harness.report.screen import FirstScreen, Price, Row, first_screen

WIDTH = 80
HEIGHT = 25
_MONEY_COLUMN = 48
_LABEL_WIDTH = 22
_CELL_WIDTH = 14
_LAST_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line; those with the highest `spare` leave first where the screen is full. 0 never leaves."""

    text: Text
    spare: int = 0


@dataclass(frozen=True, slots=True)
class ClosingTable:
    """A rich renderable: prints its lines as they are, cut to the width of a narrow terminal, never wrapped."""

    lines: tuple[Text, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines:
            shown = line.copy()
            shown.truncate(min(options.max_width, WIDTH), overflow="crop")
            shown.end = ""
            yield from console.render(shown, options.update(no_wrap=True, overflow="ignore"))
            yield Segment.line()


def closing_table(folder: Path) -> ClosingTable:
    """The closing table of a run folder or of a sweep folder."""
    if is_sweep(folder):
        return ClosingTable(lines=_fit(_sweep_lines(frontier(read_sweep_contents(folder)))))
    screen = first_screen(read_run_contents(folder))
    return ClosingTable(lines=_fit(_run_lines(screen, read_verdicts(folder))))


def verdict_table(verdicts: Sequence[Verdict]) -> ClosingTable:
    """One line a gate: what became of it, its text, what was found."""
    width = min(38, max((cell_len(q.plain(verdict.gate)) for verdict in verdicts), default=0))
    lines = []
    for verdict in verdicts:
        line = _line(("PASS" if verdict.passed else "FAIL", "bold green" if verdict.passed else "bold red"), "  ")
        line.append(_left(q.plain(verdict.gate), width) + "  ")
        line.append(q.plain(verdict.reason, WIDTH - 8 - width), "default" if verdict.passed else "bold")
        lines.append(line)
    return ClosingTable(lines=tuple(lines))


def _run_lines(screen: FirstScreen, verdicts: Sequence[Verdict]) -> list[Line]:
    return [
        *_head(screen),
        _rule(),
        *_money(screen),
        _rule(),
        *_table(screen),
        _rule(4),
        *_waterfall(screen),
        *_latency(screen),
        _useful(screen),
        *_gates(verdicts),
        *_foot(screen),
    ]


def _head(screen: FirstScreen) -> list[Line]:
    names = [q.plain(screen.endpoint, 34), q.plain(screen.model, 30), q.plain(screen.hardware, 40)]
    lines = [Line(_line(("trueyield", "bold"), "  ", (names[0], "bold cyan"), f"  {names[1]}  {names[2]}"))]
    valid = screen.validity
    badge = ("VALID", "bold green") if valid.valid else ("INVALID", "bold red")
    lines.append(Line(_line(badge, f"  {q.plain(valid.text, WIDTH - 9)}")))
    lines += [Line(_line(("!! ", "bold red"), (q.plain(why, WIDTH - 4), "red"))) for why in valid.reasons[:3]]
    warnings = screen.warnings
    lines += [Line(_line(("!! ", "bold yellow"), q.plain(text, WIDTH - 4)), spare=2) for text in warnings[:2]]
    return lines


def _money(screen: FirstScreen) -> list[Line]:
    lines = []
    for index, price in enumerate(screen.prices):
        unknown = _line(" 1,000 useful answers cost  ", (q.MISSING, "bold"))
        lines += _wrapped(unknown, price.note) if price.usd is None else [Line(_price_line(price, bold=index == 0))]
    lines += [Line(_price_line(price), spare=3 + index) for index, price in enumerate(screen.elsewhere[:3])]
    found = screen.yield_line
    if found.withheld is not None:
        return lines + _wrapped(_line(" ", (found.title, "bold")), found.withheld)
    text = _line(" ", (found.title, "bold"))
    for label, figure in found.figures:
        if text.cell_len + len(label) + len(figure) + 3 > WIDTH:
            break
        tone = "bold green" if figure.startswith("+") else "bold red" if figure.startswith("-") else "bold"
        text.append(f"  {label} ")
        text.append(figure, tone)
    return [*lines, Line(text)]


def _wrapped(start: Text, reason: str) -> list[Line]:
    """A reason behind its title, on at most two lines."""
    room = WIDTH - start.cell_len - 2
    first, *rest = textwrap.wrap(q.plain(reason, 2 * room - 8), room) or [""]
    lines = [Line(_line(start, f"  {set_cell_size(first, room).rstrip()}"))]
    indent = " " * (start.cell_len + 2)
    return lines + [Line(Text(indent + set_cell_size(text, room).rstrip()), spare=3) for text in rest[:1]]


def _price_line(price: Price, bold: bool = False) -> Text:
    line = _line(_left(f" {q.plain(price.what, _MONEY_COLUMN - 2)}", _MONEY_COLUMN))
    line.append(q.usd(price.usd), "bold" if bold else "default")
    if price.interval is not None:
        low, high = (q.usd(side).removeprefix("$") for side in price.interval)
        line.append(f" [{low}, {high}]")
    line.append(f"  {q.plain(price.label, max(4, WIDTH - line.cell_len - 2))}")
    return line


def _table(screen: FirstScreen) -> list[Line]:
    heads = [_split_head(head) for head in screen.columns]
    lines = [Line(_cells("", [head[row] for head in heads])) for row in (0, 1)] if screen.rows else []
    lines += [Line(_row(row), spare=0 if index == 0 else 1) for index, row in enumerate(screen.rows)]
    if screen.why:
        lines += [_one(f"  why: {screen.why}"), Line(_joined(" Delivered ", screen.delivered, ", "))]
    return lines


def _split_head(head: str) -> tuple[str, str]:
    """ "theory, best load" is set on two lines so that four columns fit."""
    first, comma, second = head.partition(", ")
    return (f"{first},", second) if comma else ("", head)


def _row(row: Row) -> Text:
    cells = [q.plain(cell, 16) for cell in row.cells]
    line = _cells(f" {row.name}", cells)
    line.stylize("bold", _LABEL_WIDTH + 2 * _CELL_WIDTH, _LABEL_WIDTH + 3 * _CELL_WIDTH)
    return line


def _cells(name: str, cells: Sequence[str]) -> Text:
    widths = (*[_CELL_WIDTH] * 3, _LAST_WIDTH)
    return Text(
        _left(name, _LABEL_WIDTH) + "".join(_right(cell, width) for cell, width in zip(cells, widths, strict=False))
    )


def _waterfall(screen: FirstScreen) -> list[Line]:
    if screen.rc is None:
        return []
    before, after = screen.rc
    title = f" Where the yield went     R/C {before:.2f} -> {after:.2f}"
    lines = [Line(_line((_left(title, 66), "bold"), "basis"))]
    ranked = sorted(screen.factors, key=lambda factor: -abs(factor.share or 0.0))
    for rank, factor in enumerate(ranked[:6]):
        lost = factor.ratio <= 1
        line = _line(_left(f"   {q.plain(factor.factor, 24)}", 28), f"x{factor.ratio:<6.2f}")
        share = "" if factor.share is None else f"{100 * factor.share:.0f}%"
        line.append(_right(share, 5) + "  ")
        line.append(_left(q.bar(factor.share, 22), 24), "red" if lost else "green")
        line.append(factor.kind if factor.kind == "measured" else factor.kind.upper())
        lines.append(Line(line, spare=(0, 0, 2)[rank] if rank < 3 else 5 + rank))
    return lines


def _compact_waterfall(screen: FirstScreen) -> list[Line]:
    ranked = sorted(screen.factors, key=lambda factor: -abs(factor.share or 0.0))
    parts = [
        f"{factor.factor} x{factor.ratio:.2f}{' ' + factor.kind.upper() if factor.kind != 'measured' else ''}"
        for factor in ranked
        if factor.ratio != 1
    ]
    return [Line(_joined(" Where it went: ", parts, ", "), spare=3)] if parts else []


def _latency(screen: FirstScreen) -> list[Line]:
    """p50 / p90 / p99 in one line a metric, or all in one line beside a waterfall; a dash where n is too small."""
    if not screen.latencies:
        return [_one("No latency: no request of the measure window was finished")]
    if screen.factors:
        return [_compact_latency(screen)]
    spares = {"e2e_s": 9, "tpot_s": 3}
    lines = [Line(_cells("", ("p50", "p90", "p99", "n")))]
    for latency in screen.latencies:
        found = latency.distribution
        cells = [*(q.seconds(value) for value in (found.p50, found.p90, found.p99)), q.count(found.n)]
        lines.append(Line(_cells(f" {latency.name}", cells), spare=spares.get(latency.key, 0)))
    return lines


def _compact_latency(screen: FirstScreen) -> Line:
    text = _line(" p50/p90/p99")
    names = {"ttft_s": "TTFT", "ttfat_s": "ANSWER", "tpot_s": "TPOT"}
    for latency in screen.latencies:
        found = latency.distribution
        figures = q.quantiles((found.p50, found.p90, found.p99))
        name = names.get(latency.key)
        if name is not None and text.cell_len + len(name) + len(figures) + 3 <= WIDTH:
            text.append(f"  {name} ")
            text.append(figures, "bold")
    return Line(text)


def _useful(screen: FirstScreen) -> Line:
    return Line(
        _joined(f" {screen.useful}: " if screen.useful_parts else f" {screen.useful}", screen.useful_parts, ", ")
    )


def _joined(text: str, parts: Iterable[str], separator: str) -> Text:
    """As many whole parts as fit into the line."""
    line, between = Text(text), ""
    for part in parts:
        shown = f"{between}{q.plain(part, WIDTH - 2)}"
        if line.cell_len + cell_len(shown) > WIDTH:
            break
        line.append(shown)
        between = separator
    return line


def _gates(verdicts: Sequence[Verdict]) -> list[Line]:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if not verdicts:
        return []
    if not failed:
        return [Line(_line(" ", ("PASS", "bold green"), f"  {q.counted(len(verdicts), 'gate')}"), spare=6)]
    lines = [
        Line(_line(" ", ("FAIL", "bold red"), f"  {q.plain(f'{verdict.gate}: {verdict.reason}', WIDTH - 8)}"))
        for verdict in failed[:2]
    ]
    return lines


def _foot(screen: FirstScreen) -> list[Line]:
    lines = []
    if screen.basis:
        first = _joined(" Basis: ", screen.basis, "; ")
        lines.append(Line(first, spare=1))
        rest = [part for part in screen.basis if q.plain(part, WIDTH - 2) not in first.plain]
        lines += [Line(_joined("        ", rest, "; "), spare=4)] if rest else []
    lines += [
        Line(_line(" ", ("next: ", "bold"), q.plain(step, WIDTH - 8)), spare=7 * rank)
        for rank, step in enumerate(screen.next_steps[:2])
    ]
    return lines


def _sweep_lines(found: Frontier) -> list[Line]:
    lines = [
        Line(
            _line(
                ("trueyield", "bold"), "  ", (q.plain(found.endpoint, 34), "bold cyan"), f"  {q.plain(found.title, 60)}"
            )
        ),
        Line(
            _line(
                ("VALID", "bold green") if found.valid else ("INVALID", "bold red"),
                f"  {q.plain(found.text, WIDTH - 9)}",
            )
        ),
    ]
    lines += [Line(_line(("!! ", "bold red"), (q.plain(why, WIDTH - 4), "red")), spare=2) for why in found.trouble[:3]]
    lines.append(_rule())
    screen = first_screen(found.best.contents) if found.best and found.best.contents else None
    if screen is not None:
        lines += _money(screen)
        lines.append(_rule())
    lines += _level_lines(found)
    if screen is not None:
        lines += [_rule(2), *_table(screen), *_compact_waterfall(screen), *_latency(screen)[-1:], *_foot(screen)]
    return lines


def _level_lines(found: Frontier) -> list[Line]:
    widths = (6, 8, 11, 15, 10, 8, 8, 8)
    heads = ("users", "tok/s", "tok/s/user", "TTFT p50/p90", "$/1k", "useful", "bound", "yield")
    lines = [Line(_line(*(_right(head, width) for head, width in zip(heads, widths, strict=True))))]
    for rank, row in enumerate(found.rows):
        line = _line(*(_right(cell, width) for cell, width in zip(row.cells, widths, strict=True)))
        line.append(f" {row.marks}", "bold green")
        if not row.valid:
            line.stylize("red")
        lines.append(Line(line, spare=0 if rank < 8 else 20))
    lines.append(Line(_line((f" {found.legend}", "default")), spare=1))
    return lines


def _fit(lines: Iterable[Line]) -> tuple[Text, ...]:
    """At most HEIGHT lines: those that can be spared leave, the most dispensable first."""
    kept = list(lines)
    while len(kept) > HEIGHT:
        worst = max(range(len(kept)), key=lambda index: (kept[index].spare, index))
        del kept[worst]
    return tuple(line.text for line in kept)


def _rule(spare: int = 0) -> Line:
    return Line(Text("-" * WIDTH, style="dim"), spare=spare)


def _one(text: str, spare: int = 0) -> Line:
    return Line(Text(f" {q.plain(text, WIDTH - 2)}"), spare=spare)


def _line(*parts: str | tuple[str, str] | Text) -> Text:
    """Pieces of text, each with its style or none. Never parsed as markup."""
    text = Text(style=Style())
    for part in parts:
        text.append(*part) if isinstance(part, tuple) else text.append(part)
    return text


def _left(text: str, width: int) -> str:
    return set_cell_size(text, width)


def _right(text: str, width: int) -> str:
    return " " * max(0, width - cell_len(text)) + text
