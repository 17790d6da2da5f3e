"""How long a soak lasts, and the table of what it found, printed at its end for docs/soak.md."""

import os
from collections.abc import Callable

import pytest

#: Each long part lasts about this long; the whole soak about four times that.
MINUTES = float(os.environ.get("TRUEYIELD_SOAK_MINUTES", "10"))

_rows: list[tuple[str, str]] = []


@pytest.fixture
def outcome() -> Callable[[str, str], None]:
    """`outcome("what", "what was found")` adds a row to the table."""
    return lambda what, found: _rows.append((what, found))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table."""
    if _rows:
        terminalreporter.section(f"soak of {MINUTES:g} minutes a part")
        for what, found in _rows:
            terminalreporter.write_line(f"| {what} | {found} |")
