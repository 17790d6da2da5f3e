"""A run or sweep folder in, the closing table out: at most 25 lines of 80 columns, readable without colour."""

from collections.abc import Sequence
from pathlib import Path

from harness.report.contents import is_sweep, read_run_contents, read_sweep_contents
from harness.report.gates import Verdict, read_verdicts
from harness.report.screen import first_screen, frontier
from harness.report.terminal.lines import HEIGHT, WIDTH, ClosingTable, fitted
from harness.report.terminal.run_table import run_lines, verdict_lines
from harness.report.terminal.sweep_table import sweep_lines

__all__ = ["HEIGHT", "WIDTH", "ClosingTable", "closing_table", "verdict_table"]


def closing_table(folder: Path) -> ClosingTable:
    """The closing table of a run folder or of a sweep folder."""
    if is_sweep(folder):
        return ClosingTable(lines=fitted(sweep_lines(frontier(read_sweep_contents(folder)))))
    screen = first_screen(read_run_contents(folder))
    return ClosingTable(lines=fitted(run_lines(screen, read_verdicts(folder))))


def verdict_table(verdicts: Sequence[Verdict]) -> ClosingTable:
    """One line a gate: what became of it, its text, what was found."""
    return ClosingTable(lines=verdict_lines(verdicts))
