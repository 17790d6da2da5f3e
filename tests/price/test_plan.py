"""Decisions: break-even, newsvendor, whole units, the mix, the floor and API or local, by hand and by golden values."""

import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.plan import command
from harness.config.demand_rows import demand_curves
from harness.errors import InputError
from harness.price.case import read_case
from harness.price.decide.comparable import comparable_cards, offers, sells
from harness.price.decide.floor import Floor, against_floor, price_floor
from harness.price.decide.plan import Ask, break_even, break_even_mtok, make_plan
from harness.price.decide.sourcing import HOURS_PER_MONTH, Sources, cheapest_mix, cost_of, own_share
from harness.price.owned.tco import hour_of
from harness.providers import DayTerms, DemandCurve, Endpoint, GpuHour, Power, Tco
from harness.theory import Shape, best_bound
from tests.cards import H100, H200, L40S, LLAMA_70B, deployment, price_card
from tests.price.records import record
from tests.price.run_folder import write_folder

INCOME, FLAT = demand_curves()["deepseek-day-6-income"], demand_curves()["flat"]
NODES, TOKENS_PER_DAY = 226.75, 776e9
REVENUE = {"R1": 562_100, "V3": 280_560, "V3.2": 154_616}


# -- the published day --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usd_per_hour", "card", "percent"),
    [
        (1.30, "R1", 10.1), (1.30, "V3", 20.2), (1.30, "V3.2", 36.6),
        (2.00, "R1", 15.5), (2.00, "V3", 31.0), (2.00, "V3.2", 56.3),
        (2.69, "R1", 20.8), (2.69, "V3", 41.7), (2.69, "V3.2", 75.7),
        (3.99, "R1", 30.9), (3.99, "V3", 61.9), (3.99, "V3.2", 112.0),
    ],
)  # fmt: skip
def test_break_even_of_the_published_fleet(usd_per_hour, card, percent):
    fleet_usd, price = NODES * 8 * usd_per_hour, REVENUE[card] / TOKENS_PER_DAY * 1e6
    even = break_even(fleet_usd, TOKENS_PER_DAY / 24, price)
    assert even * 100 == pytest.approx(percent, rel=5e-3)
    volume = break_even_mtok(fleet_usd, price)
    assert volume == pytest.approx(even * TOKENS_PER_DAY / 24 * HOURS_PER_MONTH / 1e6)  # V* is u* of the capacity
    assert (volume > TOKENS_PER_DAY / 24 * HOURS_PER_MONTH / 1e6) == (percent > 100)


@pytest.mark.parametrize(("even", "share"), [(0.155, 0.99), (0.31, 0.96), (0.563, 0.87), (0.80, 0.42)])
def test_own_capacity_by_the_newsvendor_rule(even, share):
    assert own_share(INCOME, even) == pytest.approx(share, abs=5e-3)


def test_above_one_self_hosting_never_wins():
    assert own_share(INCOME, 1.12) == own_share(INCOME, 1.0) == 0
    assert break_even(10, 1e6, 0) == math.inf == break_even_mtok(10, 0)


_levels = st.lists(st.floats(0, 100), min_size=1, max_size=24).filter(lambda levels: max(levels) > 0.1)


def curve_of(levels) -> DemandCurve:
    return DemandCurve(name="c", levels=tuple(levels), source="s", as_of="2026-11")


@given(_levels, st.floats(0.3, 12), st.floats(0.01, 5), st.floats(0.01, 5), st.none() | st.floats(0.01, 5),
       st.floats(0, 1))  # fmt: skip
def test_the_mix_is_the_cheapest_of_all(levels, peak, own, api, rent, local):
    curve, sources = curve_of(levels), Sources(own_usd=own, api_usd=api, rent_usd=rent, local_share=local)
    found = cheapest_mix(curve, peak, sources)
    every = [cost_of(curve, peak, units, sources) for units in range(math.ceil(peak) + 1)]
    best = min(mix.usd_per_month for mix in every if mix is not None)
    assert found.usd_per_month == pytest.approx(best, rel=1e-6)
    assert found.usd_per_month == pytest.approx(found.own_usd + found.rent_usd + found.api_usd)
    if rent is None:
        assert found.own_units >= local * peak - 1e-6
    if own > api and rent is None and not local:
        assert found.own_units == 0  # u* above 1


def test_a_mix_by_hand():
    curve = curve_of((1, 1, 1, 4))
    sources = Sources(own_usd=1.0, api_usd=2.0)  # u* = 0.5: one unit of four is busy for more than half of the time
    mix = cheapest_mix(curve, 4.0, sources)
    assert (mix.own_units, mix.own_usd) == (1, 730)
    assert mix.api_usd == pytest.approx(3 * 730 / 4 * 2) and mix.served_by_own == pytest.approx(4 / 7)
    stays = cheapest_mix(curve, 4.0, replace(sources, local_share=0.5))
    assert stays.own_units == 2
    rented = cheapest_mix(curve, 4.0, replace(sources, local_share=0.5, rent_usd=3.0))
    assert rented.own_units == 1 and rented.rent_usd == pytest.approx(730 / 4 * 3)  # one of four has no room
    assert cheapest_mix(curve, 4.0, Sources(own_usd=1.0, api_usd=None)).own_units == 4
    assert cost_of(curve, 4.0, 1, Sources(own_usd=1.0, api_usd=None)) is None


# -- a run --------------------------------------------------------------------------------------------------------

CARD, CHEAP = price_card("card", 0.1, 1.0, 10.0), price_card("cheap", None, 0.5, 2.0)
OWN = deployment(LLAMA_70B, H100, 4, "fp8", usd_per_gpu_hour=2.5, price_as_of="2026-11")
HOURS = [GpuHour(name="h", accelerator="h100", usd_per_gpu_hour=2.0, basis="rent", source="s", as_of="2026-11"),
         GpuHour(name="l", accelerator="l40s", usd_per_gpu_hour=0.01, basis="rent", source="s", as_of="2026-11",
                 status="unverified")]  # fmt: skip


def folder_of(tmp_path, own=OWN):
    target = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=CARD, compare_with=(CHEAP,),
                      deployment=own)  # fmt: skip
    return write_folder(tmp_path, target, [record(number) for number in range(8)])


def plan_of(tmp_path, own=OWN, **ask):
    case = read_case(folder_of(tmp_path, own))
    found, _ = offers(case, (CARD, CHEAP), case.measured_s)
    return make_plan(case, found, None, Ask(**({"curve": FLAT} | ask)), 0.5)


def test_a_plan_by_hand(tmp_path):
    plan = plan_of(tmp_path)
    cheap, card = plan.versus
    assert (cheap.price_card, card.price_card) == ("cheap", "card")
    assert cheap.usd_per_mtok == pytest.approx((100 * 0.5 + 400 * 2) / 500)
    assert cheap.break_even_utilisation == pytest.approx(10 / (1250 * 3600 * cheap.usd_per_mtok / 1e6))
    assert cheap.break_even_mtok_per_month == pytest.approx(10 * 730 / cheap.usd_per_mtok)
    assert plan.capacity_mtok_per_month == pytest.approx(1250 * 3600 * 730 / 1e6)
    assert (plan.fleet.units, plan.fleet.accelerators, plan.fleet.utilisation) == (1, 4, pytest.approx(1))
    assert plan.fleet.usd_per_month == pytest.approx(10 * 730)
    assert card.floor == "cannot tell"


def test_a_fleet_of_whole_units_for_a_stated_demand(tmp_path):
    peak = plan_of(tmp_path, peak_tokens_per_s=2500.0, curve=INCOME)
    assert (peak.fleet.units, peak.fleet.accelerators) == (3, 12)
    assert peak.fleet.utilisation == pytest.approx(2.5 * 0.75447 / 3, rel=1e-4)
    month = plan_of(tmp_path, mtok_per_month=peak.fleet.mtok_per_month, curve=INCOME)
    assert month.fleet.peak_output_tokens_per_s == pytest.approx(2500)
    assert month.all_api_usd_per_month == pytest.approx(peak.fleet.mtok_per_month * peak.versus[0].usd_per_mtok)
    ready = replace(OWN, day=DayTerms(spare_share=0.4, balancedness=0.8))
    assert plan_of(tmp_path, ready, peak_tokens_per_s=2500.0).fleet.units == 6  # ceil(2.5 / 0.8) = 4, and 40 % spares


def test_api_or_local(tmp_path):
    tco = Tco(capex_usd=2000, lifetime_years=3, power_kw=0.455, pue=1.0, usd_per_kwh=0.15)
    off = Power(watts=455, boundary="wall", idle_watts=0.0)
    box = deployment(LLAMA_70B, H100, 1, "fp8", tco=tco, power=off)
    plan = plan_of(tmp_path, box, hours_per_day=1.0)
    ways = {answer.way: answer.usd for answer in plan.answers}
    seconds = 400 / 1000
    assert ways["electricity only"] == pytest.approx(0.455 * 0.15 / 3600 * seconds)
    capital = 2000 / 3 / 8760
    assert ways["the box at 1 h/day"] == pytest.approx((capital * 24 + 0.455 * 0.15) / 3600 * seconds)
    always = {one.way: one for one in plan_of(tmp_path, replace(box, power=None), hours_per_day=1.0).answers}
    assert always["the box at 1 h/day"].usd == pytest.approx(hour_of(tco).usd * 24 / 3600 * seconds)
    assert "as at work" in always["the box at 1 h/day"].basis
    assert ways["the box at 24 h/day"] == pytest.approx(hour_of(tco).usd / 3600 * seconds)
    assert ways["cheap"] == pytest.approx((100 * 0.5 + 400 * 2) / 1e6)
    rented = {answer.way: answer for answer in plan_of(tmp_path).answers}
    assert rented["electricity only"].usd is None and "not declared" in rented["electricity only"].basis
    assert rented["the box at 1 h/day"].usd == pytest.approx(24 * 10 / 3600 * seconds)
    assert "never beats cheap" in plan_of(tmp_path).verdict and "pays from" in plan.verdict


@given(st.floats(0.1, 1e4), st.floats(1e3, 1e9), st.floats(0.01, 100), st.floats(1, 10))
def test_break_even_falls_with_price(hour, tokens, price, dearer):
    assert break_even(hour, tokens, price * dearer) <= break_even(hour, tokens, price)
    assert break_even_mtok(hour, price) == pytest.approx(break_even(hour, tokens, price) * tokens * 730 / 1e6)


# -- the floor ----------------------------------------------------------------------------------------------------


def test_the_floor_is_the_cheapest_verified_deployment():
    shape = Shape(isl_tokens=100, osl_tokens=400)
    floor = price_floor(OWN, shape, (H100, H200, L40S), HOURS)
    assert (floor.accelerator, floor.gpu_hour) == ("h100", "h")  # H200 has no price, L40S an unverified one
    each = [best_bound(replace(OWN, count=count), shape) for count in (1, 2, 4, 8)]
    best = min(2.0 * count / 3600 / bound.output_tokens_per_s * 400
               for count, bound in zip((1, 2, 4, 8), each, strict=True) if bound is not None)  # fmt: skip
    assert floor.usd_per_request == pytest.approx(best)
    assert price_floor(OWN, shape, (H200,), HOURS) is None


@pytest.mark.parametrize(
    ("usd", "reached", "verdict"),
    [(0.5, 0.4, "below"), (2.0, 0.4, "cannot tell"), (2.5, 0.4, "above"), (9.0, None, "cannot tell")],
)
def test_above_below_or_cannot_tell(usd, reached, verdict):
    floor = Floor(usd_per_request=1.0, accelerator="a", count=1, gpu_hour="h", as_of="2026-11")
    assert against_floor(usd, floor, reached) == verdict
    assert against_floor(usd, None, reached) == "cannot tell"


def test_which_cards_sell_the_model():
    card = replace(price_card("groq-llama-3.3-70b", None, 1, 1), provider="groq")
    assert sells(card, "llama-3.3-70b") and not sells(card, "llama-3.1-8b")
    assert sells(replace(card, name="together-r1", provider="together"), "deepseek-r1")


# -- the command --------------------------------------------------------------------------------------------------


def called(folder, *options):
    return CliRunner().invoke(command, [str(folder), *options], env={"COLUMNS": "80", "NO_COLOR": "1"})


def test_the_command_says_all_of_it(tmp_path):
    done = called(folder_of(tmp_path), "--curve", "deepseek-day-6-income", "--mtok-per-month", "9000",
                  "--must-stay-local", "0.2", "--rent-hour", "3")  # fmt: skip
    assert done.exit_code == 0, done.output
    for words in ("Break-even", "never", "Fleet for the stated demand", "cheapest mix", "API or local?", "floor",
                  "electricity only", "20% of every hour", "groq-llama-3.3-70b", "measured"):  # fmt: skip
        assert words in done.output
    assert max(map(len, done.output.splitlines())) <= 80


def test_the_command_prints_one_document(tmp_path):
    folder = folder_of(tmp_path)
    before = sorted(path.name for path in folder.iterdir())
    document = json.loads(called(folder, "--card", "groq-llama-3.3-70b", "--json").stdout)
    assert [one["price_card"] for one in document["versus"]] == ["groq-llama-3.3-70b"]
    assert document["fleet"]["units"] == 1 and document["curve"] == "flat"
    assert before == sorted(path.name for path in folder.iterdir())


def test_what_a_plan_lacks_is_told(tmp_path):
    done = called(folder_of(tmp_path, None))
    assert isinstance(done.exception, InputError) and "endpoint.deployment" in str(done.exception)
    wrong = called(folder_of(tmp_path), "--card", "nobody", "--curve", "ofice-hours", "--peak-tok-s", "1",
                   "--mtok-per-month", "1")  # fmt: skip
    assert all(word in str(wrong.exception) for word in ("--card", "office-hours", "--peak-tok-s"))


def test_the_runs_own_cards_are_always_compared(tmp_path):
    case = read_case(folder_of(tmp_path))
    assert {card.name for card in comparable_cards(case, ())} == {"card", "cheap"}
