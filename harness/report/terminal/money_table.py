"""Economics in, the table of `trueyield price` out: each figure with what it rests on, each missing one with its why.

The figures are those of the closing table and the report, in the same digits: all print them through `quantities`.
"""

import textwrap
from collections.abc import Iterable

from rich.box import SIMPLE
from rich.table import Table

from harness.price.results import BuyerWaterfall, Economics
from harness.report import quantities as q

Row = tuple[str, str, str]


def money_table(economics: Economics) -> Table:
    """The main figures, a row each; what there is no figure for is left to the reasons below."""
    title = f"money of run {economics.run_id}"
    table = Table(title=title, title_justify="left", show_header=False, box=SIMPLE, pad_edge=False, width=80)
    table.add_column(overflow="fold", max_width=30)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value, basis in _rows(economics):
        if value != q.MISSING:
            table.add_row(name, value, basis)
    return table


def _rows(economics: Economics) -> list[Row]:
    owned = [*_own(economics), *_yields(economics)]
    rows = [_bill(economics), *_bought(economics), *owned]
    rows += [
        (f"  {step.factor}", f"x{step.ratio:.2f}", f"{_kind(step.kind)}: {step.evidence}")
        for step in economics.waterfall
    ]
    if economics.buyer_waterfall is not None and not economics.waterfall:
        rows += _path(economics.buyer_waterfall)
    return rows


def _bill(economics: Economics) -> Row:
    bill = economics.test_bill
    more = f", at most {q.usd(bill.usd_unknown_max)} more not counted" if bill.usd_unknown_max else ""
    words = {"price_card": "tokens on the card", "gpu_time": "accelerator time of the whole run"}
    return "this test", q.usd(bill.usd_known), f"{words.get(bill.basis or '', '')}{more}"


def _bought(economics: Economics) -> list[Row]:
    buyer = economics.buyer
    card = f"card {buyer.price_card} of {buyer.price_date}" if buyer.price_card else ""
    here = next((hour.label for hour in economics.hours if hour.is_this_run), None)
    rows = [
        ("1,000 useful answers, bought", q.usd(buyer.usd_per_1k_useful),
         _with(_sampled(economics, "buyer.usd_per_1k_useful"), here, card)),
        *((f"  {hour.label}", q.usd(hour.usd_per_1k_useful), f"re-priced; {hour.share_of_week:.0%} of the week")
          for hour in economics.hours if not hour.is_this_run),
        ("1,000 right answers, bought", q.usd(buyer.usd_per_1k_right),
         _with(_sampled(economics, "buyer.usd_per_1k_right"), "of those that were checked")),
        ("$/M tokens, own mix", q.usd(buyer.usd_per_mtok_blended), "as billed, cached tokens at their rate"),
        ("  with half of input cached", q.usd(buyer.usd_per_mtok_blended_half_cached), "re-priced, not measured"),
        ("  3:1 list blend", q.usd(buyer.usd_per_mtok_blend_3to1), "no cache, no thoughts"),
    ]  # fmt: skip
    return rows


def _own(economics: Economics) -> list[Row]:
    owner, energy = economics.owner, economics.owner.energy
    hour = f"{q.usd(owner.usd_per_gpu_hour)}/GPU-h {owner.basis}, {owner.as_of or 'no date'}"
    span = economics.ranges.get("owner.usd_per_gpu_hour")
    hour += f" ({q.usd(span.low)}..{q.usd(span.high)})" if span else ""
    rows = [
        ("1,000 useful answers, own GPUs", q.usd(owner.usd_per_1k_useful),
         _with(_sampled(economics, "owner.usd_per_1k_useful"), hour)),
        ("$/M output, all-in", q.usd(owner.usd_per_mtok_output_allin),
         _with(_sampled(economics, "owner.usd_per_mtok_output_allin"), "own GPUs, this load")),
    ]  # fmt: skip
    best, here = economics.bound.at_best_load, economics.bound.at_this_load
    theory = economics.theoretical.usd_per_mtok_output_allin
    text = f"best load, limited by {best.limited_by}" if best else "list price with its input, nothing cached"
    rows.append(("  theory" if best else "$/M output, list", q.usd(theory), text))
    if energy is not None and energy.usd_per_1k_useful_electricity is not None:
        power = f"{energy.watts:,.0f} W at the {energy.boundary}, {_kind(energy.kind)}"
        rows.append(("  electricity of 1,000 useful", q.usd(energy.usd_per_1k_useful_electricity), power))
    over = ", ABOVE the bound: see note" if (economics.bound_fraction or 0) > 1 else ""
    limit = f"measured / bound at this load, limited by {here.limited_by}{over}" if here else ""
    return [*rows, ("bound fraction", q.fraction(economics.bound_fraction), limit)]


def _yields(economics: Economics) -> list[Row]:
    day = economics.day
    basis = f"R/C - 1, basis {economics.yield_basis}, at this load" if economics.yield_basis else ""
    return [
        ("yield", q.signed_percent(economics.yield_ratio), basis),
        ("  theory, full use", q.signed_percent(economics.theoretical.yield_ratio), "best load"),
        ("gross margin", q.percent(economics.gross_margin), "1 - C/R"),
        ("break-even use", q.percent(economics.break_even_utilisation), "share of the hours worked, at this load"),
        ("your day: 1,000 useful answers", q.usd(day.usd_per_1k_useful), _with(_kind(day.kind or ""), day.basis)),
        ("your day: yield", q.signed_percent(day.yield_ratio), ""),
    ]


def _path(path: BuyerWaterfall) -> list[Row]:
    """The buyer's waterfall: the list price of 1,000 answers, and the steps from there."""
    start = ("list price of 1,000 answers", q.usd(path.usd_per_1k_list_3to1), "in:out 3:1, no thoughts, no failures")
    steps = [(f"  {one.factor}", f"x{one.ratio:.2f}", f"{_kind(one.kind)}: {one.evidence}") for one in path.steps]
    return [start, *steps]


def _kind(kind: str) -> str:
    return kind if kind == "measured" else kind.upper()


def _with(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _sampled(economics: Economics, key: str) -> str:
    """Sampling error of a figure, or nothing: then its reason is told below."""
    found = economics.intervals.get(key)
    return "" if found is None else q.usd_interval(found.low, found.high)


# -- what is missing ----------------------------------------------------------------------------------------------


def money_notes(economics: Economics, width: int) -> Iterable[str]:
    """Notes, then each reason once with the keys of economics.json that it leaves empty."""
    for note in economics.notes:
        yield from textwrap.wrap(f"note: {note}", width, subsequent_indent="      ", break_on_hyphens=False)
    missing: dict[str, list[str]] = {}
    for key, why in economics.reasons.items():
        missing.setdefault(why, []).append(key)
    for why, keys in missing.items():
        text = f"no {', '.join(keys)}: {why}"
        yield from textwrap.wrap(text, width, subsequent_indent="   ", break_on_hyphens=False)
