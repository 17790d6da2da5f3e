"""The hours of a card: a run's answers at each of them by hand; what half of the input in cache would make of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Outcome
from harness.price.case import read_case
from harness.price.day.demand import epoch_of
from harness.price.day.hours import hour_name
from harness.price.decide.repricing import Terms, altered
from harness.price.economics import economics_of, price
from harness.providers import Endpoint, PriceWindow, Rates
from tests.cards import price_card
from tests.price.records import record, uncounted
from tests.price.run_folder import result, write_folder

#: the runs of `run_folder` begin on Friday 2026-11-20 at 02:00 UTC
PEAK = PriceWindow(
    name="peak", spans=(("01:00", "04:00"), ("06:00", "10:00")), weekdays=(0, 1, 2, 3, 4),
    rates=Rates(usd_per_mtok_input_cached=0.2, usd_per_mtok_input=2.0, usd_per_mtok_output=20.0),
)  # fmt: skip
EACH = (20 * 0.1 + 80 * 1.0 + 400 * 10.0) / 1e6


def folder_of(tmp_path, windows=(PEAK,), records=(), cached=0.1):
    target = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m",
                      price_card=price_card("card", cached, 1.0, 10.0, windows=windows))  # fmt: skip
    return write_folder(tmp_path, target, [*(record(number) for number in range(8)), *records])


def test_each_hour_by_hand(tmp_path):
    found = price(folder_of(tmp_path))
    peak, off, week = found.hours
    assert [hour.label for hour in found.hours] == ["peak", "off-peak", "over a flat week"]
    assert (peak.is_this_run, off.is_this_run, week.is_this_run) == (True, False, False)
    assert peak.usd_per_1k_useful == pytest.approx(2 * EACH * 1000) == found.buyer.usd_per_1k_useful
    assert off.usd_per_1k_useful == pytest.approx(EACH * 1000)
    assert peak.share_of_week == pytest.approx(7 * 5 / 168)
    assert week.usd_per_1k_useful == pytest.approx(EACH * 1000 * (1 + 7 * 5 / 168))


def test_the_week_knows_holidays(tmp_path):
    holiday = replace(PEAK, except_dates=("2026-11-18",))
    assert price(folder_of(tmp_path, (holiday,))).hours[0].share_of_week == pytest.approx(7 * 4 / 168)


@given(cut=st.integers(0, 3), lost=st.integers(0, 3))
def test_an_hour_is_what_re_pricing_to_it_says(tmp_path_factory, cut, lost):
    """Failures and cut streams included: linear in the rates, whatever the run was like."""
    waste = [record(20 + n, outcome=Outcome.CUT_IN_THOUGHT, first_answer_ns=None) for n in range(cut)]
    waste += [uncounted(30 + n, outcome=Outcome.CUT, deltas=100) for n in range(lost)]
    folder = folder_of(tmp_path_factory.mktemp("run"), records=waste)
    noon = economics_of(altered(read_case(folder), Terms(as_of_s=epoch_of("2026-11-20T12:00:00Z"), whole_days=False)))
    off = next(hour for hour in price(folder).hours if hour.label == "off-peak")
    assert off.usd_per_1k_useful == pytest.approx(noon.buyer.usd_per_1k_useful)
    assert next(hour for hour in noon.hours if hour.is_this_run).label == "off-peak"


def test_a_card_without_hours_says_so(tmp_path):
    found = price(folder_of(tmp_path, windows=()))
    assert found.hours == () and "the same at all hours" in found.reasons["hours"]


def test_names_of_hours():
    night = replace(PEAK, name="night")
    assert hour_name(None, (PEAK,)) == "off-peak" and hour_name(None, (night,)) == "outside night"
    assert hour_name("peak", (PEAK,)) == "peak" and hour_name(None, ()) == "list"


def test_half_of_the_input_in_cache(tmp_path):
    (tmp_path / "a").mkdir()
    found = price(folder_of(tmp_path / "a"))
    assert found.buyer.usd_per_mtok_blended_half_cached == pytest.approx((50 * 0.2 + 50 * 2.0 + 400 * 20.0) / 500)
    (tmp_path / "b").mkdir()
    same = price(folder_of(tmp_path / "b", windows=(), cached=1.0))
    assert same.buyer.usd_per_mtok_blended_half_cached is None
    assert "no cheaper" in same.reasons["buyer.usd_per_mtok_blended_half_cached"]
    warm = [record(number, cached_tokens=60) for number in range(8)]
    target = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=price_card("c", 0.1, 1.0, 10.0))
    (tmp_path / "c").mkdir()
    half = price(write_folder(tmp_path / "c", target, warm, result()))
    assert "half of the input or more" in half.reasons["buyer.usd_per_mtok_blended_half_cached"]
