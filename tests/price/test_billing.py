"""A bill does not depend on what tokens are called, holds at every hour, and stands beside the provider's own."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import load_providers
from harness.errors import Outcome
from harness.price.economics import price
from harness.price.spend.cost import Guess, request_usd
from harness.price.spend.ledger import Entry, keep_ledger
from harness.providers import Endpoint, PriceCard, PricePeriod, PriceWindow, Rates, rates_at
from harness.records import Wall
from tests.cards import price_card
from tests.price.records import WALL, record, uncounted
from tests.price.run_folder import write_folder

CATALOG = load_providers().catalog
GUESS = Guess(input_tokens=100, output_tokens=100)
WRITES = PriceCard(
    name="writes", provider="p", model="m", source="s", as_of="2026-11-01",
    periods=(PricePeriod(rates=Rates(usd_per_mtok_input=3.0, usd_per_mtok_output=15.0, usd_per_mtok_input_cached=0.3,
                                     usd_per_mtok_cache_write=3.75)),),
)  # fmt: skip


def ledger_of(card, records):
    return keep_ledger(card, [Entry(record=one, use="useful", wall=WALL) for one in records], GUESS)


def test_cache_writes_are_billed_and_stay_in_the_sums():
    made = record(input_tokens=100, cached_tokens=60, cache_write_tokens=30, output_tokens=10)
    usd = (10 * 3.0 + 60 * 0.3 + 30 * 3.75 + 10 * 15.0) / 1e6
    assert request_usd(WRITES, made, WALL) == pytest.approx(usd)
    unit = ledger_of(WRITES, [made]).unit
    assert unit.plain.usd + unit.cached.usd + unit.written.usd + unit.output.usd == pytest.approx(usd)
    assert (unit.plain.tokens, unit.cached.tokens, unit.written.tokens) == (10, 60, 30)
    assert unit.mean_rates().usd_per_mtok_cache_write == pytest.approx(3.75)


def test_a_class_is_never_larger_than_the_whole():
    made = record(input_tokens=100, cached_tokens=90, cache_write_tokens=90, output_tokens=0)
    assert request_usd(WRITES, made, WALL) == pytest.approx((90 * 0.3 + 10 * 3.75) / 1e6)


_count = st.integers(0, 100_000)


@given(_count, _count, _count, _count, _count, st.floats(0.01, 50), st.floats(0.01, 50))
def test_a_ledger_does_not_mind_relabelling_at_equal_prices(plain, cached, written, thought, answer, rate, out):
    flat = Rates(
        usd_per_mtok_input=rate,
        usd_per_mtok_output=out,
        usd_per_mtok_input_cached=rate,
        usd_per_mtok_cache_write=rate,
    )
    card = PriceCard(name="f", provider="p", model="m", source="s", as_of="2026", periods=(PricePeriod(rates=flat),))
    total, generated = plain + cached + written, thought + answer
    labels = (
        {"cached_tokens": cached, "cache_write_tokens": written, "reasoning_tokens": thought, "answer_tokens": answer},
        {"cached_tokens": written, "cache_write_tokens": cached, "reasoning_tokens": answer, "answer_tokens": thought},
        {"cached_tokens": None, "cache_write_tokens": None, "reasoning_tokens": None, "answer_tokens": None},
    )
    bills = [
        ledger_of(card, [record(input_tokens=total, output_tokens=generated, **label)]).usd_known for label in labels
    ]
    assert bills == pytest.approx([(total * rate + generated * out) / 1e6] * 3)


# -- the provider's own figure ------------------------------------------------------------------------------------


def bought(tmp_path, records):
    entry = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=price_card("c", 0.1, 1.0, 10.0))
    return price(write_folder(tmp_path, entry, records))


def test_the_providers_figure_stands_beside_ours_for_the_same_requests(tmp_path):
    each = (20 * 0.1 + 80 * 1.0 + 400 * 10.0) / 1e6
    made = [record(1, usd_reported=0.005), record(2, usd_reported=0.004), record(3)]
    bill = bought(tmp_path, made).test_bill
    assert (bill.usd_reported, bill.reported_requests) == (pytest.approx(0.009), 2)
    assert bill.usd_of_reported == pytest.approx(2 * each)
    assert bill.usd_reported_less_ours == pytest.approx(0.009 - 2 * each)
    assert bill.usd_known == pytest.approx(3 * each)


def test_no_figure_of_theirs_is_none_and_no_zero(tmp_path):
    found = bought(tmp_path, [record(1), uncounted(2, outcome=Outcome.CUT, deltas=3)])
    assert found.test_bill.usd_reported_less_ours is None and found.test_bill.reported_requests is None
    assert found.reasons["test_bill.usd_of_reported"] == "the endpoint sends no bill of its own"


# -- hours --------------------------------------------------------------------------------------------------------

PEAK = Rates(usd_per_mtok_input=2.0, usd_per_mtok_output=20.0)
LIST = Rates(usd_per_mtok_input=1.0, usd_per_mtok_output=10.0)
HOLIDAY = date(2026, 10, 1)
HOURS = PriceCard(
    name="hours", provider="p", model="m", source="s", as_of="2026-11",
    periods=(PricePeriod(rates=LIST, windows=(PriceWindow(
        name="peak", rates=PEAK, spans=(("01:00", "04:00"), ("22:30", "00:30")), weekdays=(0, 1, 2, 3, 4),
        except_dates=(HOLIDAY.isoformat(),)),)),),
)  # fmt: skip
ZONES = st.sampled_from([ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "UTC")])


def by_hand(at: datetime) -> bool:
    """Whether a UTC moment is peak, minute by minute from the day on which the span began."""
    minute = at.hour * 60 + at.minute
    began = at.date() - timedelta(days=1) if minute < 30 else at.date()
    inside = 60 <= minute < 240 or minute >= 22 * 60 + 30 or minute < 30
    return inside and began.weekday() < 5 and began != HOLIDAY


@given(st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)), ZONES, st.integers(0, 1))
def test_every_moment_has_the_rates_of_its_utc_hour(local, zone, fold):
    """Local clocks jump twice a year (and repeat an hour: fold); the windows of a card do not move."""
    moment = local.replace(tzinfo=zone, fold=fold)
    found = rates_at(HOURS, moment.timestamp())
    assert found is not None
    assert (found.rates == PEAK) is by_hand(datetime.fromtimestamp(moment.timestamp(), UTC))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01"])
def test_a_day_of_clock_change_has_as_many_peak_seconds_as_any_other(zone, day):
    """A local day has 23, 24 or 25 hours; the rates of its hours are those of UTC, each exactly once."""
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))
    minutes = range(int(begin.timestamp()), int(end.timestamp()), 60)
    peak = sum(rates_at(HOURS, second).rates == PEAK for second in minutes)  # type: ignore[union-attr]
    assert peak == sum(by_hand(datetime.fromtimestamp(second, UTC)) for second in minutes)
    assert len(minutes) in (23 * 60, 24 * 60, 25 * 60)


@given(st.integers(-7_200, 7_200))
def test_the_edges_of_a_holiday(offset):
    """The span that began the evening before runs on into it; the one that would begin on it does not."""
    edge = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=offset)
    found = rates_at(HOURS, edge.timestamp())
    assert found is not None and (found.rates == PEAK) is by_hand(edge)


@given(st.datetimes(datetime(2026, 9, 10, 4), datetime(2026, 11, 14)))
def test_deepseeks_own_card_bills_a_request_by_the_moment_it_was_sent(at):
    card = CATALOG.prices["deepseek-flash"]
    moment = at.replace(tzinfo=UTC).timestamp()
    wall = Wall(offset_ns=int(moment * 1e9), error_ns=0, taken_at="")
    usd = request_usd(card, record(0, started_ns=0, sent_first_ns=0), wall)
    found = rates_at(card, moment)
    if found is None:
        assert usd is None
        return
    rates = found.rates
    by_rates = 20 * rates.usd_per_mtok_input_cached + 80 * rates.usd_per_mtok_input + 400 * rates.usd_per_mtok_output
    assert usd == pytest.approx(by_rates / 1e6)
    minute = at.hour * 60 + at.minute
    if found.label.endswith("peak"):
        assert at.weekday() < 5 and (60 <= minute < 240 or 360 <= minute < 600)
