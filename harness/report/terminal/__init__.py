"""A run or sweep folder in, the closing table out: at most 25 lines of 80 columns, readable without colour.

What reads run folders is imported when it is called: tables that need none (claims) stay quick.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.terminal.lines import HEIGHT, WIDTH, ClosingTable, fitted

if TYPE_CHECKING:
    from harness.report.gates import Verdict

__all__ = ["HEIGHT", "WIDTH", "ClosingTable", "closing_table", "verdict_table"]


def closing_table(folder: Path) -> ClosingTable:
    """The closing table of a run folder or of a sweep folder."""
    from harness.report.contents import is_sweep, read_run_contents, read_sweep_contents
    from harness.report.gates import read_verdicts
    from harness.report.screen import first_screen, frontier
    from harness.report.terminal.run_table import run_lines
    from harness.report.terminal.sweep_table import sweep_lines

    if is_sweep(folder):
        return ClosingTable(lines=fitted(sweep_lines(frontier(read_sweep_contents(folder)))))
    screen = first_screen(read_run_contents(folder))
    return ClosingTable(lines=fitted(run_lines(screen, read_verdicts(folder))))


def verdict_table(verdicts: Sequence["Verdict"]) -> ClosingTable:
    """One line a gate: what became of it, its text, what was found."""
    from harness.report.terminal.run_table import verdict_lines

    return ClosingTable(lines=verdict_lines(verdicts))
