"""Demand curves, whole units and the day's ledger against published charts and hand calculations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import load_catalog, load_providers
from harness.config.demand_rows import curve_named, demand_curves
from harness.errors import InputError
from harness.price.day.demand import (
    FLAT,
    epoch_of,
    hours_per_day,
    level_at,
    mean_share,
    share_above,
    shares_of_peak,
    slot_hours,
    week_of,
    week_rates,
)
from harness.price.day.fleet import Fleet, day_ledger, fleet_ratio, needed_units, paid_units
from harness.providers import DemandCurve, PriceWindow, Rates
from tests.cards import price_card

NODES, INCOME = demand_curves()["deepseek-day-6-nodes"], demand_curves()["deepseek-day-6-income"]


def curve(*levels: float, days: int = 1) -> DemandCurve:
    return DemandCurve(name="c", levels=levels, source="s", as_of="2026-11", days=days)


def test_the_published_curves():
    assert sum(NODES.levels) / len(NODES.levels) == 226.75  # exactly the published mean
    assert max(NODES.levels) == 278 and mean_share(NODES) == pytest.approx(226.75 / 278)
    assert sum(INCOME.levels) == pytest.approx(562_989, rel=1e-5)
    assert mean_share(INCOME) == pytest.approx(0.754, abs=5e-4)
    assert min(shares_of_peak(INCOME)) == pytest.approx(0.205, abs=5e-4)
    assert NODES.kind == INCOME.kind == "measured" and demand_curves()["office-hours"].kind == "assumed"
    assert level_at(INCOME, 4 * 3600) == 27069  # noon in UTC+8
    assert level_at(NODES, 4 * 3600) == 278 and level_at(NODES, 86_400 + 3.9 * 3600) == 278


def test_office_hours_are_a_week():
    office = demand_curves()["office-hours"]
    assert office.days == 7 and len(office.levels) == 168 and slot_hours(office) == 1
    assert level_at(office, 10 * 3600) == 1 and level_at(office, 5 * 86_400 + 10 * 3600) == 0.1  # Monday, Saturday


def test_time_flat_means_of_cards_with_a_peak():
    """35 of 168 hours are peak hours, so that the mean output price is 0.725 and 2.3925."""
    prices, monday = load_catalog().prices, epoch_of("2026-11-18")
    assert week_rates(prices["deepseek-flash"], FLAT, monday).usd_per_mtok_output == pytest.approx(0.725)
    assert week_rates(prices["deepseek-v4-pro"], FLAT, monday).usd_per_mtok_output == pytest.approx(2.3925)
    holidays = epoch_of("2026-10-07T12:00:00Z")  # of the week from 5 October, only Thursday and Friday have a peak
    flat = week_rates(prices["deepseek-flash"], FLAT, holidays).usd_per_mtok_output
    assert flat == pytest.approx(0.60 * (1 + 14 / 168))


def test_demand_weighs_the_hours_of_a_card():
    half = Rates(usd_per_mtok_input=0.5, usd_per_mtok_output=5.0)
    card = price_card("c", None, 1.0, 10.0, windows=(PriceWindow(name="n", rates=half, spans=(("00:00", "12:00"),)),))
    assert week_rates(card, curve(1.0, 3.0), 0.0).usd_per_mtok_output == pytest.approx((5 + 3 * 10) / 4)
    assert week_rates(card, curve(1.0, 0.0), 0.0).usd_per_mtok_input == pytest.approx(0.5)
    assert week_of(epoch_of("2026-11-21T22:00:00Z")) == epoch_of("2026-11-16")


def test_idle_re_use_is_what_the_published_day_assumes():
    assert fleet_ratio(NODES, 1.0) == 1
    assert fleet_ratio(NODES, 0.0) == pytest.approx(278 / 226.75)
    assert 226.75 * 8 * 24 * 2.0 * fleet_ratio(NODES, 0.0) == pytest.approx(106_752)  # 278 nodes all day
    assert 562_027 / 106_752 - 1 == pytest.approx(4.265, abs=1e-3)


def test_a_day_of_whole_units_by_hand():
    fleet = Fleet(curve=curve(1, 4, 2, 1), peak_units=3.2, spare_share=0.5, balancedness=0.8, least_units=2.0)
    assert needed_units(fleet) == pytest.approx((1, 4, 2, 1))
    assert paid_units(fleet) == (6, 6, 6, 6)  # 4 units and half as many spares stand all day
    shared = Fleet(curve=fleet.curve, peak_units=3.2, spare_share=0.5, balancedness=0.8, least_units=2.0, idle_reuse=1)
    assert paid_units(shared) == (2, 6, 3, 2)
    day = day_ledger(shared, 10.0, lambda slot: 20.0 if slot < 2 else 30.0, fixed_usd=5.0)
    assert day.usd_revenue == pytest.approx(6 * ((0.8 + 3.2) * 20 + (1.6 + 0.8) * 30))
    assert day.usd_cost == 6 * (2 + 6 + 3 + 2) * 10 + 5 and day.peak_units_paid == 6
    assert day.yield_ratio == pytest.approx(day.usd_revenue / day.usd_cost - 1)


_levels = st.lists(st.floats(0, 1e6), min_size=1, max_size=48).filter(lambda levels: max(levels) > 1e-3)


@given(_levels, st.floats(0.01, 50), st.floats(0, 1), st.floats(0, 1))
def test_a_fleet_always_covers_its_demand(levels, peak, spare, reuse):
    fleet = Fleet(curve=curve(*levels), peak_units=peak, spare_share=spare, idle_reuse=reuse)
    assert all(paid >= need - 1e-6 for paid, need in zip(paid_units(fleet), needed_units(fleet), strict=True))
    dedicated = Fleet(curve=fleet.curve, peak_units=peak, spare_share=spare)
    assert sum(paid_units(fleet)) <= sum(paid_units(dedicated)) + 1e-6
    assert 0 <= mean_share(fleet.curve) <= 1 and hours_per_day(fleet.curve) <= 24
    assert share_above(fleet.curve, 1.0) == 0


def test_own_files(tmp_path):
    (tmp_path / "mine.csv").write_text("hour,share\n" + "".join(f"{hour},{hour % 2}\n" for hour in range(24)))
    (tmp_path / "mine.yaml").write_text("hours: [" + ", ".join(["1"] * 23 + ["2"]) + "]\nbegins: '01:00'\n")
    assert mean_share(curve_named("mine.csv", tmp_path)) == 0.5
    own = curve_named(str(tmp_path / "mine.yaml"))
    assert own.levels[0] == 2 and own.kind == "declared"  # the last hour begins at midnight


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "0,1\n0,2\n5,x\n", ["line 2", "line 3"]),
        ("b.csv", "0,1\n1,1\n", ["2 hours", "0 to 23"]),
        ("c.yaml", "hours: [1, 2]\n", ["2 hours", "24 hours of a day"]),
        ("d.yaml", "steps: [[20, 1], [3, 2]]\n", ["steps of 23 h"]),
        ("e.yaml", "hours: [" + ", ".join(["0"] * 24) + "]\n", ["only zeros"]),
        ("f.yaml", "hour: [1]\n", ["unknown key"]),
    ],
)
def test_a_wrong_file_is_told_whole(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as told:
        curve_named(name, tmp_path)
    assert all(word in str(told.value) for word in words)


def test_a_name_that_is_no_curve_is_told_with_the_nearest():
    with pytest.raises(InputError, match="did you mean office-hours"):
        curve_named("ofice-hours")
    with pytest.raises(InputError, match=r"nothing\.csv"):
        curve_named("nothing.csv")


ENTRY = """
endpoints:
  mine:
    base_url: http://127.0.0.1:8000/v1
    model: m
    deployment:
      accelerator: h100-sxm
      count: 4
      model: llama-3.3-70b
      precision: fp8
      usd_per_gpu_hour: 2.5
      %s
"""


def providers(tmp_path, line):
    (tmp_path / "providers.yaml").write_text(ENTRY % line)
    return load_providers(tmp_path / "providers.yaml").endpoints["mine"].deployment


def test_a_deployment_names_its_curve(tmp_path):
    assert providers(tmp_path, "demand: office-hours").demand.kind == "assumed"
    (tmp_path / "mine.csv").write_text("".join(f"{hour},1\n" for hour in range(24)))
    assert mean_share(providers(tmp_path, "demand: mine.csv").demand) == 1
    found = providers(tmp_path, "day: {monetised_share: 0.5, spare_share: 0.1}")
    assert found.demand is None and found.day.monetised_share == 0.5
    ((card, share),) = providers(tmp_path, "day: {mix: {groq-llama-3.3-70b: 0.3}}").day.mix
    assert (card.name, share) == ("groq-llama-3.3-70b", 0.3)
    assert providers(tmp_path, "utilisation: 0.4").utilisation == 0.4


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("demand: ofice-hours", "did you mean office-hours"),
        ("demand: missing.csv", "No such file"),
        ("{demand: flat, utilisation: 0.4}", "one of utilisation and demand"),
        ("day: {monetised_share: 2}", "at most 1"),
        ("day: {mix: {nobody: 0.5}}", "a price card of the catalog"),
        ("day: {mix: {groq-llama-3.3-70b: 0.7, together-llama-3.3-70b: 0.7}}", "at most 1"),
    ],
)
def test_a_wrong_day_is_told(tmp_path, line, words):
    text = "demand: flat\n      utilisation: 0.4" if line.startswith("{") else line
    with pytest.raises(InputError, match=words):
        providers(tmp_path, text)
