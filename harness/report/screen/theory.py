"""RunContents in, the table out: theory at the best load | theory at this load | measured | fraction."""

from harness.price.results import BoundRow, Economics
from harness.report import quantities as q
from harness.report.contents import RunContents
from harness.report.screen.shapes import Four, Row


def theory_table(contents: RunContents) -> tuple[Four, tuple[Row, ...]]:
    """Theory at the best load | theory at this load | measured | fraction."""
    money, run = contents.economics, contents.run
    best = money.bound.at_best_load if money else None
    this = money.bound.at_this_load if money else None
    rate = run.throughput
    columns = ("theory,\nbest load", "theory,\nthis load", f"measured,\n{_load_name(contents)}", "fraction\nof theory")
    rows = [
        Row(name="output tok/s", help="bound", cells=(
            _bound(best, "output_tokens_per_s", q.rate), _bound(this, "output_tokens_per_s", q.rate),
            q.rate(rate.output_tokens_per_s), q.fraction(money.bound_fraction if money else None))),
        Row(name="  limited by", help="limited_by", cells=(
            best.limited_by if best else q.MISSING, this.limited_by if this else q.MISSING, "", "")),
        Row(name="  in-flight batch", help="batch", cells=(
            _bound(best, "batch", q.rate), _bound(this, "batch", q.rate), q.rate(run.mix.mean_decoding), "")),
        Row(name="tok/s/user", help="interactivity", cells=(
            _bound(best, "output_tokens_per_s_per_user", q.rate), _bound(this, "output_tokens_per_s_per_user", q.rate),
            q.rate(rate.output_tokens_per_s_per_user),
            _fraction(rate.output_tokens_per_s_per_user, this.output_tokens_per_s_per_user if this else None))),
    ]  # fmt: skip
    if money is not None and contents.endpoint.deployment is not None:
        rows += _money_rows(contents, money)
    return columns, tuple(rows)


def _money_rows(contents: RunContents, money: Economics) -> list[Row]:
    best, this, cost = money.bound.at_best_load, money.bound.at_this_load, money.owner.usd_per_mtok_output_allin
    theory_cost = this.usd_per_mtok_output_allin if this else None
    times = f"{cost / theory_cost:.1f}x" if cost is not None and theory_cost else ""
    rows = [Row(name="$/M output, all-in", help="all_in", cells=(
        _bound(best, "usd_per_mtok_output_allin", q.usd), q.usd(theory_cost), q.usd(cost), times))]  # fmt: skip
    if contents.kind == "seller" or money.yield_ratio is not None:
        held = contents.run.load.state == "demand_limited"
        measured = "withheld" if held else q.signed_percent(money.yield_ratio)
        rows.append(Row(name="yield, 100% use", help="yield", cells=(
            _bound(best, "yield_ratio", q.signed_percent), _bound(this, "yield_ratio", q.signed_percent),
            measured, "")))  # fmt: skip
    return rows


def _bound(row: BoundRow | None, name: str, text: object) -> str:
    found = getattr(row, name) if row is not None else None
    return text(found) if callable(text) else q.MISSING


def _fraction(measured: float | None, bound: float | None) -> str:
    return q.fraction(measured / bound) if measured is not None and bound else ""


def _load_name(contents: RunContents) -> str:
    return q.counted(contents.users, "user") if contents.users is not None else "this load"


def card_table(contents: RunContents) -> tuple[Four, tuple[Row, ...]]:
    """A bought API: the list price at a nominal mix | at your mix | per token of useful answers."""
    buyer = contents.economics.buyer if contents.economics else None
    mix = contents.run.mix
    columns = ("list,\nin:out 3:1", "list,\nyour mix", "paid per\nuseful token", "paid\nover list")
    if buyer is None:
        return columns, ()
    path = contents.economics.buyer_waterfall if contents.economics else None
    per_useful = path.usd_per_mtok_useful if path is not None else None
    if (
        path is None
        and buyer.usd_per_1k_useful is not None
        and mix.isl_tokens is not None
        and mix.osl_tokens is not None
    ):
        tokens = mix.isl_tokens + mix.osl_tokens
        per_useful = buyer.usd_per_1k_useful * 1e3 / tokens if tokens else None
    blend = buyer.usd_per_mtok_blend_3to1
    times = f"{per_useful / blend:.1f}x" if per_useful is not None and blend else ""
    row = Row(name="$/M tokens", help="blend", cells=(
        q.usd(blend), q.usd(buyer.usd_per_mtok_blended), q.usd(per_useful), times))  # fmt: skip
    return columns, (row,)
