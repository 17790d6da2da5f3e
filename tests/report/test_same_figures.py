"""One figure, one text: the closing table, the page and `trueyield price` show the same headline numbers."""

from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli.price import command
from harness.price.case import read_case
from harness.price.day.demand import FLAT
from harness.price.decide.comparable import offers
from harness.price.decide.plan import Ask, make_plan
from harness.price.economics import price, write_economics
from harness.providers import Endpoint, Power, PriceWindow, Rates, Tco
from harness.report import quantities as q
from harness.report.contents import read_run_contents
from harness.report.documents import run_page
from harness.report.terminal import closing_table
from tests.cards import H100, LLAMA_70B, deployment, price_card
from tests.price.records import record
from tests.price.run_folder import result, write_folder

BOX = deployment(LLAMA_70B, H100, 4, "fp8", price_as_of="2026-11", utilisation=0.25,
                 tco=Tco(capex_usd=25_000, lifetime_years=4, power_kw=1.2, usd_per_kwh=0.15),
                 power=Power(watts=4_800, boundary="wall", idle_watts=1_500))  # fmt: skip


def entry(kind: str, times: float) -> Endpoint:
    dear = Rates(usd_per_mtok_input=2 * times, usd_per_mtok_input_cached=0.2 * times, usd_per_mtok_output=20 * times)
    peak = PriceWindow(name="peak", spans=(("01:00", "04:00"),), rates=dear)
    card = price_card("c", 0.1 * times, times, 10 * times, windows=(peak,) if kind == "buyer" else ())
    rented = replace(BOX, tco=None, power=None, usd_per_gpu_hour=2.0 * times)
    fields = {"buyer": {"price_card": card}, "seller": {"sell_at": card, "deployment": rented},
              "owner": {"compare_with": (card,), "deployment": BOX}}[kind]  # fmt: skip
    return Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", **fields)


@pytest.mark.parametrize("kind", ["buyer", "seller", "owner"])
@settings(max_examples=6, deadline=None)
@given(times=st.floats(0.01, 50), useful=st.integers(1, 8))
def test_the_headline_is_the_same_everywhere(tmp_path_factory, kind, times, useful):
    folder = tmp_path_factory.mktemp("run")
    share = replace(result().useful, count=useful, share=useful / 10)
    write_folder(folder, entry(kind, times), [record(n) for n in range(8)], result(useful=share))
    found = price(folder)
    write_economics(folder, found)
    shown = "\n".join(line.plain for line in closing_table(folder).lines)
    page = run_page(read_run_contents(folder))
    told = CliRunner().invoke(command, [str(folder)]).output
    wanted = [found.buyer.usd_per_1k_useful if kind == "buyer" else found.owner.usd_per_1k_useful]
    wanted += [hour.usd_per_1k_useful for hour in found.hours if kind == "buyer"]
    wanted += [found.day.usd_per_1k_useful] if kind != "buyer" else []
    for usd in wanted:
        assert usd is not None
        assert all(q.usd(usd) in text for text in (shown, page, told)), q.usd(usd)
    if kind != "buyer":
        for ratio in (found.yield_ratio, found.day.yield_ratio):
            assert all(q.signed_percent(ratio) in text for text in (shown, page, told)), ratio
        assert "Where the yield went" in shown
    else:
        assert "From list price to useful answer" in shown
    assert "Largest step from" in page
    assert all(len(line) <= 80 for text in (shown, told) for line in text.splitlines())


def test_the_day_and_the_plan_pay_for_the_same_idle_power(tmp_path):
    """At h hours a day an answer costs in the plan what 1,000 useful ones cost in the day, times the useful share."""
    folder = write_folder(tmp_path, entry("owner", 1.0), [record(n) for n in range(8)])
    case = read_case(folder)
    found, _ = offers(case, (price_card("c", 0.1, 1.0, 10.0),), case.measured_s)
    plan = make_plan(case, found, None, Ask(curve=FLAT, hours_per_day=6.0), 0.5)
    ways = {answer.way: answer.usd for answer in plan.answers}
    money = price(folder)
    per_answer = money.day.usd_per_1k_useful / money.owner.usd_per_1k_useful * ways["the box at 24 h/day"]
    assert ways["the box at 6 h/day"] == pytest.approx(per_answer)
    full, idle = 25_000 / 4 / 8760 + 1.2 * 0.15, 1.2 * 0.15 * (1 - 1_500 / 4_800)
    assert per_answer / ways["the box at 24 h/day"] == pytest.approx((full - 0.75 * idle) / 0.25 / full)
    assert plan.versus[0].break_even_utilisation == pytest.approx(money.break_even_utilisation)
