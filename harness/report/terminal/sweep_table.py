"""A frontier in, the closing table's lines of a sweep out: the quoted level's money, all levels, theory beside it."""

from dataclasses import replace

from rich.text import Text

from harness.report import quantities as q
from harness.report.screen import FirstScreen, Frontier, first_screen
from harness.report.screen.frontier import LevelRow
from harness.report.terminal import run_table
from harness.report.terminal.lines import Line, joined, one, right, rule, styled

_HEADS = ("tok/s", "tok/s/user", "TTFT p50/p90", "$/1k", "useful", "bound", "yield")
_WIDTHS = (7, 8, 11, 14, 10, 7, 7, 8)


def sweep_lines(found: Frontier) -> list[Line]:
    screen = first_screen(found.best.contents) if found.best and found.best.contents else None
    lines = [run_table.title(found.endpoint, found.title), run_table.badge(found.valid, found.text)]
    for rank, why in enumerate(found.trouble[:3]):
        lines += run_table.alarm(why, "red", spare=2 * rank)
    if screen is None:
        return [*lines, rule(), *_levels(found), *_next(found)]
    return [
        *lines,
        *run_table.short_run(screen),
        rule(),
        *run_table.money(screen, found.quoted),
        rule(),
        *_levels(found),
        rule(3),
        *run_table.theory(screen),
        *_load(screen),
        *run_table.where_it_went(screen),
        replace(run_table.latencies_in_one(screen), spare=3),
        *run_table.foot(screen, found.next_steps),
    ]


def _levels(found: Frontier) -> list[Line]:
    heads = (found.unit, *_HEADS)
    lines = [Line(styled(*(right(head, width) for head, width in zip(heads, _WIDTHS, strict=True))))]
    lines += [Line(_level(row), spare=0 if rank < 8 else 20) for rank, row in enumerate(found.rows)]
    lines += [one(note, spare=1 + rank) for rank, note in enumerate(found.notes[:2])]
    words = [found.legend]
    if any(row.too_low for row in found.rows):
        words.append("~ short run: too low")
    if any(row.cells[7] == "held" for row in found.rows):
        words.append("held: demand-limited")
    return [*lines, Line(joined(" ", words, "; "), spare=1), *(one(text) for text in found.reached)]


def _level(row: LevelRow) -> Text:
    line = styled(*(right(cell, width) for cell, width in zip(row.cells, _WIDTHS, strict=True)))
    if row.quoted:
        line.stylize("bold")
        line = styled((">", "bold green"), line[1:])
    line.append(f" {row.marks}", "bold green")
    if not row.valid:
        line.stylize("red")
    return line


def _load(screen: FirstScreen) -> list[Line]:
    """How loaded the quoted level was, with the first piece of evidence."""
    text, semicolon, _ = screen.load.partition(";")
    return [one(q.plain(text) + (")" if semicolon else ""), spare=7)]


def _next(found: Frontier) -> list[Line]:
    return [one(f"next: {step}") for step in found.next_steps[:1]]
