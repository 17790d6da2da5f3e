"""An outlook in, lines of 80 columns out: fit, three loads side by side, what is expected, and every basis."""

from collections.abc import Callable

from rich.text import Text

from harness.providers import Layout
from harness.report import quantities as q
from harness.report.terminal.lines import WIDTH, ClosingTable, Line, left, one, right, rows_of_words, rule, styled
from harness.theory.outlook import Outlook, Point
from harness.theory.priors import Prior

_FIRST, _REST = 20, 20
_GB = 1e9


def theory_table(found: Outlook) -> ClosingTable:
    """At most 40 lines."""
    lines = [*_head(found), rule()]
    if found.fit.fits:
        lines += [*_points(found), *_split(found), rule()]
        lines += [line for text in bases(found) for line in _sentence(text)]
    lines += [line for note in found.notes for line in _sentence(f"note: {note}")]
    return ClosingTable(lines=tuple(line.text for line in lines))


def _head(found: Outlook) -> list[Line]:
    at, fit, shape = found.deployment, found.fit, found.shape
    name = styled(("trueyield theory  ", "bold"), (q.plain(found.model), "bold"), f"  {at.precision}, KV ")
    name.append(f"{at.kv_precision}  on {found.count} x {q.plain(found.accelerator)}{layout_text(at.layout)}")
    name.truncate(WIDTH, overflow="ellipsis")
    each = f", {_gb(fit.weight_bytes_per_accelerator)} on each" if found.count > 1 else ""
    copies = f", held {fit.kv_copies:g} times" if fit.kv_copies > 1 else ""
    cached = f" ({q.percent(shape.cached_share)} cached)" if shape.cached_share else ""
    lines = [
        Line(name),
        _plain(f"parameters  {_billions(fit.parameters)}, {_billions(fit.active_parameters)} active; "
            f"weights {_gb(fit.weight_bytes)}{each}"),
        _plain(f"KV          {fit.kv_bytes_per_token:,.0f} bytes a token{copies}; "
               f"memory {_gb(fit.usable_bytes)} usable"),
        _plain(f"load        {shape.isl_tokens:,.0f} tokens in{cached}, {shape.osl_tokens:,.0f} out"),
    ]  # fmt: skip
    if fit.fits:
        text = f"fits        {int(fit.sequences):,} sequences of {shape.mean_context_tokens:,.0f} tokens on average"
        return [*lines, _plain(text)]
    return [*lines, Line(styled((" DOES NOT FIT", "bold red"), f"; from {fit.fits_from_count} accelerators on"))]


def _plain(text: str) -> Line:
    """A line whose blanks are kept."""
    return Line(Text(f" {text}"))


def layout_text(layout: Layout | None) -> str:
    """TP8, EP144 DP144: sizes other than one."""
    if layout is None:
        return ""
    sizes = {"TP": layout.tp, "EP": layout.ep, "DP": layout.dp, "PP": layout.pp}
    return "  " + (" ".join(f"{name}{size}" for name, size in sizes.items() if size > 1) or "TP1")


def load_rows(found: Outlook) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Heads of the loads, and each row's name with a cell for each load."""
    heads = {"one user": found.one_user, "this load": found.at_concurrency, "best load": found.at_best_load}
    points = {head: point for head, point in heads.items() if point is not None}
    return list(points), [(name, [cell(point) for point in points.values()]) for name, cell in _CELLS if points]


def _points(found: Outlook) -> list[Line]:
    heads, rows = load_rows(found)
    return [
        _row("ceilings, (expected)", heads, "bold"),
        *(_row(f"  {name}", cells) for name, cells in rows),
        _row("TTFT, one prompt", [f"at least {q.seconds(found.ttft_s)}"]),
    ]


def _usd_range(span: tuple[float, float] | None) -> str:
    return q.MISSING if span is None else _range(*span, q.usd)


def _range(low: float | None, high: float | None, shown: Callable[[float | None], str]) -> str:
    return q.MISSING if low is None or high is None else f"({shown(low)}..{shown(high)})"


_CELLS: tuple[tuple[str, Callable[[Point], str]], ...] = (
    ("sequences", lambda point: q.rate(point.batch)),
    ("tok/s/user", lambda point: q.rate(point.output_tokens_per_s_per_user)),
    ("tok/s/GPU", lambda point: q.rate(point.output_tokens_per_s_per_gpu)),
    ("output tok/s", lambda point: q.rate(point.output_tokens_per_s)),
    ("  limited by", lambda point: point.limited_by.replace(" capacity", "")),
    ("  expected tok/s", lambda point: _range(point.expected.low, point.expected.high, _short)),
    ("$/M output", lambda point: q.usd(point.usd_per_mtok_output_allin)),
    ("  expected $/M", lambda point: _usd_range(point.expected_usd_per_mtok_output_allin)),
    ("J/output token", lambda point: q.rate(point.joules_per_output_token)),
)


def _split(found: Outlook) -> list[Line]:
    at = found.split
    if at is None:
        return []
    fleet = at.bound.fleet
    ratio = f"{fleet.prefill_nodes:g}:{fleet.decode_nodes:g}"
    busy = f"prefill busy {q.percent(at.bound.prefill_utilisation)}, decode {q.percent(at.bound.decode_utilisation)}"
    expected = _range(at.low.output_tokens_per_s, at.high.output_tokens_per_s, _short)
    per_decode = at.best_prefill_per_decode * fleet.decode_nodes
    return [
        rule(),
        Line(styled((f" prefill:decode = {ratio}", "bold"), f", pieces of {at.accelerators_per_piece} accelerators")),
        one(f"output tok/s {q.rate(at.bound.output_tokens_per_s)}, expected {expected}", indent=3),
        one(f"limited by {at.bound.limited_by}; {busy}", indent=3),
        one(f"best for this load: {per_decode:.3g} to {fleet.decode_nodes:g}; "
            f"{q.rate(at.output_tokens_per_s_per_user)} tok/s/user", indent=3),
    ]  # fmt: skip


def bases(found: Outlook) -> list[str]:
    """What every figure rests on, a sentence each: price, power, speculation, priors."""
    at = found.deployment
    hour = "no price of an accelerator hour: add --usd-per-gpu-hour"
    if at.usd_per_gpu_hour is not None:
        span = _range(at.usd_per_gpu_hour_low, at.usd_per_gpu_hour_high, q.usd)
        span = f" {span}" if at.usd_per_gpu_hour_low is not None else ""
        date = f", {at.price_as_of}" if at.price_as_of else ", no date"
        hour = f"{q.usd(at.usd_per_gpu_hour)}/GPU-h{span}, {at.price_basis}{date}"
    power = "power is not published" if found.power is None else f"{found.power.w:,.0f} W each, {found.power.boundary}"
    texts = [f"basis: {hour}; $/M all-in: every accelerator-hour over all output tokens", f"energy: {power}"]
    if at.layout is None and at.count > 1:
        texts.append("layout: none given (--tp, --ep); the cheapest way, weights and KV held once")
    gain, low = at.tokens_per_step, at.tokens_per_step_low
    if gain != 1.0:
        declared = f"({low:g}..{gain:g})" if low is not None else f"{gain:g}"
        texts.append(f"tokens a decode step: {declared}, declared; ceilings use the upper end")
    texts += [_prior(prior) for prior in found.priors]
    match = found.split.match if found.split is not None else None
    if match is not None:
        shares = f"{match.prefill_share:g} of prefill, {match.decode_share:g} of decode"
        texts.append(f"working in step: {shares}, {match.source}, {match.as_of}")
    return texts


def _prior(prior: Prior) -> str:
    of = "the bound" if prior.of == "bound" else "peak math"
    doubt = "" if prior.status == "verified" else f", {prior.status.upper()}"
    return f"expected: {prior.name} = ({prior.low:g}..{prior.high:g}) of {of}{doubt}, {prior.as_of}"


def _sentence(text: str) -> list[Line]:
    rows = rows_of_words(text, WIDTH - 1, WIDTH - 3, 3)
    return [one(row, indent=1 if number == 0 else 3) for number, row in enumerate(rows)]


def _row(name: str, cells: list[str], style: str = "") -> Line:
    text = left(f" {name}", _FIRST + 1) + "".join(right(cell, _REST - 1) for cell in cells)
    return Line(styled((text, style)))


def _short(value: float | None) -> str:
    """A rate that leaves room for another: 9,511, 262k, 1.83M."""
    if value is None or value < 1e5:
        return q.rate(value)
    return f"{value / 1e3:,.0f}k" if value < 1e6 else f"{value / 1e6:.3g}M"


def _gb(amount: float) -> str:
    return f"{amount / _GB:,.1f} GB"


def _billions(amount: float) -> str:
    return f"{amount / 1e9:,.1f} B"
