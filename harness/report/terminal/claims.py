"""Claims and verdicts in, lines of a terminal out: a table of all, grouped by topic."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.text import Text

from harness.claims import Claim
from harness.price.claims.verdict import Check, Verdict, VerdictWord, as_stated, in_words
from harness.report import quantities as q
from harness.report.terminal.lines import WIDTH, ClosingTable, cut, left, right, styled

Judged = tuple[Claim, Verdict]

TONES: dict[VerdictWord, str] = {
    "holds": "bold green",
    "holds if": "bold yellow",
    "refuted": "bold red",
    "not verifiable": "bold magenta",
}
_ID, _SHORT, _PUBLISHED, _RECOMPUTED = 5, 30, 14, 12


def claim_table(judged: Sequence[Judged]) -> ClosingTable:
    """Every claim a line: id, what it says, published, recomputed, verdict; topics in the order of the data."""
    lines = [_counts(judged), Text(""), _head()]
    for topic in dict.fromkeys(claim.topic for claim, _ in judged):
        lines += [Text(""), styled((topic, "bold cyan"))]
        lines += [_row(claim, verdict) for claim, verdict in judged if claim.topic == topic]
    lines += [Text(""), Text("The whole story of one: trueyield claims ID; beside a run: --run DIR", style="dim")]
    return ClosingTable(lines=tuple(lines))


def _counts(judged: Sequence[Judged]) -> Text:
    counts = Counter(verdict.verdict for _, verdict in judged)
    plural = {"holds": "hold", "holds if": "hold if ..."}
    parts = ", ".join(f"{counts[word]} {plural.get(word, word)}" for word in TONES if counts[word])
    return styled((f"{len(judged)} published claims", "bold"), f": {parts}")


def _head() -> Text:
    names = f" {'id':<{_ID}}{'claim':<{_SHORT}}{'published':>{_PUBLISHED}}  {'recomputed':>{_RECOMPUTED}}  verdict"
    return Text(names, style="dim")


def _row(claim: Claim, verdict: Verdict) -> Text:
    line = styled(" ", (left(claim.id, _ID), "bold"), left(cut(claim.short, _SHORT - 1), _SHORT))
    first = verdict.checks[0] if verdict.checks else None
    line.append(right(cut(published(first) if first else q.MISSING, _PUBLISHED), _PUBLISHED) + "  ")
    line.append(right(cut(recomputed(first) if first else q.MISSING, _RECOMPUTED), _RECOMPUTED) + "  ")
    line.append(verdict.verdict, TONES[verdict.verdict])
    return line


def published(check: Check) -> str:
    """What the recomputed figure must be: a value, a limit, a span."""
    if check.low is not None and check.high is not None:
        return f"{check.low:g}-{as_stated(check.high, check.unit)}"
    sign = {"at_least": ">=", "at_most": "<="}.get(check.relation, "")
    return f"{sign}{as_stated(check.published, check.unit)}"


def recomputed(check: Check) -> str:
    """The recomputed figure; a dash where there is none."""
    return q.MISSING if check.recomputed is None else in_words(check.recomputed, check.unit)


def wrapped(text: str, indent: int = 3, style: str = "") -> list[Text]:
    """A paragraph in whole words."""
    rows: list[str] = []
    for word in text.split():
        if rows and len(rows[-1]) + 1 + len(word) <= WIDTH - indent:
            rows[-1] += f" {word}"
        else:
            rows.append(word)
    return [Text(" " * indent + row, style=style) for row in rows]


def paragraph(title: str, texts: Iterable[str]) -> list[Text]:
    """A title and its paragraphs; nothing where there are none."""
    rows = [line for text in texts if text for line in wrapped(text)]
    return [Text(""), Text(title, style="bold cyan"), *rows] if rows else []
