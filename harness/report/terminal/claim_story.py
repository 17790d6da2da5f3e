"""One claim and its verdict in, its whole story out: who said it, the sum done again, what would have to be true."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from rich.text import Text

from harness.claims import Claim, Group, Inputs, Vector
from harness.price.claims.verdict import Check, Figure, Verdict, in_words
from harness.providers import GpuHour
from harness.report.terminal.claims import TONES, paragraph, published, recomputed, wrapped
from harness.report.terminal.lines import WIDTH, ClosingTable, cut, left, right, styled

_NAME, _NUMBER, _DIFFERENCE = 39, 14, 9


def claim_story(claim: Claim, verdict: Verdict, formula: str) -> ClosingTable:
    """Statement, checks, bases, formula, condition, inputs and stated conditions of one claim."""
    title = "what would have to be true" if verdict.verdict != "holds" else "it holds, where"
    lines = [
        _title(claim, verdict),
        *wrapped(claim.statement),
        *wrapped(f"{claim.who}, {claim.said}. Source: {claim.source} (as of {claim.as_of})", style="dim"),
        *_checks(verdict),
        *_bases(verdict),
        *_beside(verdict.beside),
        *paragraph("formula", [formula]),
        *paragraph(title, [verdict.condition]),
        *paragraph("remark", [claim.remark]),
        *paragraph("needed, and not published", [claim.needs]),
        *paragraph("inputs", _inputs(claim.inputs)),
        *paragraph("doubts", verdict.doubts),
        *paragraph("stated for", _vector(claim.vector)),
    ]
    return ClosingTable(lines=tuple(lines))


def _title(claim: Claim, verdict: Verdict) -> Text:
    word = verdict.verdict.upper()
    line = styled((claim.id, "bold"), "  ", (cut(claim.short, 50), "bold cyan"))
    line.append(" " * max(2, WIDTH - line.cell_len - len(word)))
    line.append(word, TONES[verdict.verdict])
    return line


def _checks(verdict: Verdict) -> list[Text]:
    head = styled(
        (left(f"published and recomputed, +-{100 * verdict.tolerance:g} %", _NAME + 3), "bold cyan"),
        (right("published", _NUMBER) + right("recomputed", _NUMBER), "dim"),
    )
    return [Text(""), head, *(_check(check, check.name) for check in verdict.checks)]


def _check(check: Check, name: str) -> Text:
    line = Text("   " + left(cut(name, _NAME), _NAME))
    line.append(right(published(check), _NUMBER))
    line.append(right(recomputed(check), _NUMBER), "bold")
    if check.relation == "equal" and check.relative_difference is not None:
        line.append(right(f"{round(100 * check.relative_difference, 1) + 0.0:+.1f}%", _DIFFERENCE - 2))
    else:
        line.append(" " * (_DIFFERENCE - 2))
    words = {True: (" ok", "green"), False: (" no", "bold red"), None: (" ?", "magenta")}
    line.append(*words[check.agrees])
    return line


def _bases(verdict: Verdict) -> list[Text]:
    """The same figures on every price basis and date; the first is the basis that the claim itself names."""
    lines: list[Text] = []
    named: set[str] = set()
    for check in verdict.per_basis:
        if check.name not in named:
            lines.append(Text(f"   {check.name}"))
        own = "" if check.name in named else " (its own)"
        named.add(check.name)
        lines.append(_check(check, f"  {check.basis}, {check.as_of}{own}"))
    for figure in verdict.beside:
        if figure.basis is not None:
            if figure.name not in named:
                lines.append(Text(f"   {figure.name}"))
            named.add(figure.name)
            lines.append(_number(f"  {figure.basis}, {figure.as_of}", figure))
    title = styled(("on every price basis and date", "bold cyan"), (_others(verdict), "dim"))
    return [Text(""), title, *lines] if lines else []


def _others(verdict: Verdict) -> str:
    """How many bases beside the claim's own bear it out, over all of its figures."""
    others = [check for check in verdict.per_basis if check not in verdict.checks]
    agreeing = sum(check.agrees is True for check in others)
    return f": its own decides, {agreeing} of {len(others)} others agree" if others else ""


def _number(name: str, figure: Figure) -> Text:
    return Text(
        "   " + left(cut(name, _NAME + _NUMBER), _NAME + _NUMBER) + right(in_words(figure.value, figure.unit), 14)
    )


def _beside(figures: Sequence[Figure]) -> list[Text]:
    lines = [_number(figure.name, figure) for figure in figures if figure.basis is None]
    return [Text(""), Text("beside it", style="bold cyan"), *lines] if lines else []


def _inputs(inputs: Inputs) -> Iterator[str]:
    if inputs.numbers:
        yield _numbers(inputs.numbers)
    for name, values in inputs.series.items():
        yield f"{_plain(name)}: {', '.join(map(_input, values))}"
    for group in inputs.groups:
        yield f"{_numbers(group.numbers)} ({group.source}; {group.as_of})"
    for key, card in inputs.rates.items():
        rates = card.rates
        cached = "" if rates.usd_per_mtok_input_cached is None else f"{rates.usd_per_mtok_input_cached:g} / "
        figures = f"{cached}{rates.usd_per_mtok_input:g} / {rates.usd_per_mtok_output:g} $/M"
        yield f"{key}: card {card.card} at {card.at[:10]}: {figures} ({card.source}; {card.as_of})"
    for row in inputs.rows:
        if isinstance(row, GpuHour):
            yield f"{row.name}: {in_words(row.usd_per_gpu_hour, 'USD')}/GPU-h, {row.basis}, {row.as_of} ({row.source})"
        elif not isinstance(row, Group):
            yield f"{row.name} ({row.source}; {row.as_of})"


def _numbers(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{_plain(name)} {_input(value)}" for name, value in numbers.items())


def _input(value: float) -> str:
    """An input with no digit lost: 226.75, 342e9, 562,027."""
    return f"{value / 1e9:,.10g}e9" if abs(value) >= 1e9 else f"{value:,.10g}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _vector(vector: Vector) -> Iterator[str]:
    values = {field.name: getattr(vector, field.name) for field in fields(vector)}
    yield ", ".join(f"{_plain(name)} {shown(value)}" for name, value in values.items() if value is not None)
    unknown = [_plain(name) for name, value in values.items() if value is None]
    yield f"unknown: {', '.join(unknown)}" if unknown else ""


def shown(value: str | float | bool | None) -> str:
    """A condition as text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else f"{value:,.4g}"
