"""Pieces of text in, lines of a terminal out: 80 columns, 25 lines, never wrapped and never parsed as markup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from harness.report import quantities as q

WIDTH = 80
HEIGHT = 25


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


def fitted(lines: Iterable[Line]) -> tuple[Text, ...]:
    """At most HEIGHT lines: those that can be spared leave, the most dispensable first."""
    kept = list(lines)
    while len(kept) > HEIGHT:
        worst = max(range(len(kept)), key=lambda index: (kept[index].spare, index))
        del kept[worst]
    return tuple(line.text for line in kept)


def rule(spare: int = 0) -> Line:
    return Line(Text("-" * WIDTH, style="dim"), spare=spare)


def one(text: str, spare: int = 0, indent: int = 1) -> Line:
    """A sentence, cut between words if a screen is too narrow for it."""
    return Line(Text(" " * indent + whole_words(text, WIDTH - indent)), spare=spare)


def styled(*parts: str | tuple[str, str] | Text) -> Text:
    """Pieces of text, each with its style or none."""
    text = Text(style=Style())
    for part in parts:
        text.append(*part) if isinstance(part, tuple) else text.append(part)
    return text


def joined(text: str, parts: Iterable[str], separator: str) -> Text:
    """As many whole parts as fit into the line."""
    line, between = Text(text), ""
    for part in parts:
        shown = f"{between}{q.plain(part, WIDTH - 2)}"
        if line.cell_len + cell_len(shown) > WIDTH:
            break
        line.append(shown)
        between = separator
    return line


def rows_of_words(text: str, first: int, rest: int, most: int) -> list[str]:
    """A sentence broken between words into at most `most` rows; what does not fit ends in an ellipsis."""
    words, row = q.plain(text, 400).split(), ""
    rows: list[str] = []
    for number, word in enumerate(words):
        width = rest if rows else first
        longer = f"{row} {word}" if row else word
        if cell_len(longer) <= width:
            row = longer
        elif len(rows) + 1 < most and row:
            rows.append(row)
            row = q.plain(word, rest)
        else:
            return [*rows, _ended(row, " ".join(words[number:]), width)]
    return [*rows, row]


def whole_words(text: str, width: int) -> str:
    """A sentence cut between words."""
    return rows_of_words(text, width, width, 1)[0]


def _ended(row: str, more: str, width: int) -> str:
    """A row that could not take all: an ellipsis behind its last whole word, or inside a word that fills a row."""
    if not row:
        return cut(more, width)
    while cell_len(row) + 4 > width and " " in row:
        row = row.rpartition(" ")[0]
    return cut(f"{row} ...", width)


def cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 3)).rstrip() + "..."[:width]


def left(text: str, width: int) -> str:
    return set_cell_size(text, width)


def right(text: str, width: int) -> str:
    return " " * max(0, width - cell_len(text)) + text


def table_widths(rows: Sequence[Sequence[str]], total: int = WIDTH) -> list[int]:
    """Widths of columns that hold every cell, two blanks between them; what is left goes to each in turn."""
    widths = [max(map(cell_len, column)) + 2 for column in zip(*rows, strict=True)]
    for number in range(max(0, total - sum(widths))):
        widths[number % len(widths)] += 1
    while sum(widths) > total:
        widest = max(range(1, len(widths)), key=lambda index: widths[index])
        widths[widest] -= 1
    return widths
