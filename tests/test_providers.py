"""rates_at: which price holds at which moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.providers import PriceCard, PricePeriod, PriceWindow, Rates, rates_at

LOW = Rates(usd_per_mtok_input=1.0, usd_per_mtok_output=2.0)
HIGH = Rates(usd_per_mtok_input=2.0, usd_per_mtok_output=4.0)
#: DeepSeek's shape: two spans, Monday to Friday, not on one holiday.
PEAK = PriceWindow(
    name="peak", rates=HIGH, spans=(("01:00", "04:00"), ("06:00", "10:00")), weekdays=(0, 1, 2, 3, 4),
    except_dates=("2026-10-01",),
)  # fmt: skip
NIGHT = PriceWindow(name="night", rates=LOW, spans=(("16:30", "00:30"),))


def card(*periods: PricePeriod) -> PriceCard:
    return PriceCard(name="card", provider="p", model="m", source="s", as_of="2026-11-21", periods=periods)


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("moment", "label"),
    [
        ("2026-11-20T00:59:59", "list"),
        ("2026-11-20T01:00:00", "list/peak"),  # the begin belongs to the span
        ("2026-11-20T03:59:59", "list/peak"),
        ("2026-11-20T04:00:00", "list"),  # its end does not
        ("2026-11-20T05:00:00", "list"),  # between the spans
        ("2026-11-20T06:00:00", "list/peak"),
        ("2026-11-20T09:59:59.999999", "list/peak"),
        ("2026-11-20T10:00:00", "list"),
        ("2026-11-21T02:00:00", "list"),  # Saturday
        ("2026-11-22T02:00:00", "list"),  # Sunday
        ("2026-11-23T02:00:00", "list/peak"),  # Monday
        ("2026-09-30T07:00:00", "list/peak"),
        ("2026-10-01T07:00:00", "list"),  # a holiday, a Thursday
        ("2026-10-02T07:00:00", "list/peak"),
    ],
)
def test_peak_hours_weekdays_and_holidays(moment: str, label: str) -> None:
    found = rates_at(card(PricePeriod(rates=LOW, windows=(PEAK,))), epoch(moment))
    assert found is not None
    assert found.label == label
    assert found.rates == (HIGH if label.endswith("peak") else LOW)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2025-03-03T16:29:59", False),
        ("2025-03-03T16:30:00", True),
        ("2025-03-03T23:59:59", True),
        ("2025-03-04T00:00:00", True),
        ("2025-03-04T00:29:59", True),
        ("2025-03-04T00:30:00", False),
    ],
)
def test_a_span_may_wrap_midnight(moment: str, inside: bool) -> None:
    found = rates_at(card(PricePeriod(rates=HIGH, windows=(NIGHT,))), epoch(moment))
    assert found is not None
    assert (found.rates == LOW) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-20T23:00:00", True),  # Friday evening
        ("2026-11-21T00:30:00", True),  # Saturday morning: the span began on Friday
        ("2026-11-21T23:00:00", False),  # Saturday evening
        ("2026-11-23T00:30:00", False),  # Monday morning: it would have begun on Sunday
        ("2026-11-24T00:30:00", False),  # its Monday is a holiday
        ("2026-11-23T23:00:00", False),
    ],
)
def test_a_wrapping_span_belongs_to_the_day_it_began(moment: str, inside: bool) -> None:
    window = PriceWindow(
        name="late", rates=LOW, spans=(("22:00", "01:00"),), weekdays=(0, 1, 2, 3, 4), except_dates=("2026-11-23",)
    )
    found = rates_at(card(PricePeriod(rates=HIGH, windows=(window,))), epoch(moment))
    assert found is not None
    assert (found.rates == LOW) is inside


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("2025-09-05T15:59:59", "old"),
        ("2025-09-05T16:00:00", "new"),
        ("2025-01-01T00:00:00", "old"),
        ("2024-12-31T23:59:59", None),
        ("2026-01-01T00:00:00", None),
    ],
)
def test_periods_begin_inclusive_and_end_exclusive(moment: str, name: str | None) -> None:
    found = rates_at(
        card(
            PricePeriod(rates=HIGH, name="old", valid_from="2025-01-01", valid_to="2025-09-05T16:00:00Z"),
            PricePeriod(rates=LOW, name="new", valid_from="2025-09-06T00:00:00+08:00", valid_to="2026-01-01T00:00:00Z"),
        ),
        epoch(moment),
    )
    assert (found and found.label) == name


def test_the_first_window_that_holds_wins() -> None:
    both = (PriceWindow(name="a", rates=HIGH, spans=(("00:00", "24:00"),)), NIGHT)
    found = rates_at(card(PricePeriod(rates=LOW, windows=both)), epoch("2026-11-20T17:00:00"))
    assert found is not None and found.label == "list/a"


clocks = st.integers(0, 24 * 60 - 1)


def text_of(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@given(begin=clocks, end=clocks, days=st.sets(st.integers(0, 6), min_size=1))
def test_a_window_covers_exactly_its_length(begin: int, end: int, days: set[int]) -> None:
    """Over one week and a day, each chosen weekday starts one span of (end - begin) mod 24 h."""
    window = PriceWindow(name="w", rates=HIGH, spans=((text_of(begin), text_of(end)),), weekdays=tuple(days))
    priced = card(PricePeriod(rates=LOW, windows=(window,)))
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    length = (end - begin) % 1440
    for started in range(7):
        at = monday + timedelta(days=started, minutes=begin)
        for offset in {0, length // 2, length - 1} if length else set():
            found = rates_at(priced, (at + timedelta(minutes=offset)).timestamp())
            assert found is not None
            assert (found.rates == HIGH) is (started in days)
        after = rates_at(priced, (at + timedelta(minutes=length)).timestamp())
        assert after is not None
        assert after.rates == LOW


@given(cut=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), shift=st.integers(-(10**7), 10**7))
def test_two_periods_that_meet_leave_no_gap(cut: datetime, shift: int) -> None:
    edge = cut.replace(tzinfo=UTC, microsecond=0)
    priced = card(
        PricePeriod(rates=LOW, name="before", valid_to=edge.isoformat()),
        PricePeriod(rates=HIGH, name="after", valid_from=edge.isoformat()),
    )
    found = rates_at(priced, edge.timestamp() + shift)
    assert found is not None
    assert found.label == ("after" if shift >= 0 else "before")
