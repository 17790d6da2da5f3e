"""What a request costs its buyer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Outcome
from harness.price.spend.cost import Guess, Usage, charge, dearest, moment_s, request_usd, usage_usd
from harness.providers import PriceCard, PricePeriod, PriceWindow, Rates
from tests.cards import price_card
from tests.price.records import EPOCH_S, WALL, record, uncounted

CARD = price_card("card", 0.1, 1.0, 10.0)
GUESS = Guess(input_tokens=120, output_tokens=900, tokens_per_delta=1.5)
BY_HAND = (20 * 0.1 + 80 * 1.0 + 400 * 10.0) / 1e6


def test_cached_tokens_are_inside_input_and_reasoning_is_billed_once_as_output():
    assert request_usd(CARD, record(), WALL) == pytest.approx(BY_HAND)


def test_a_card_without_a_cached_rate_bills_hits_as_input():
    assert request_usd(price_card("plain", None, 1.0, 10.0), record(), WALL) == pytest.approx(4100 / 1e6)


@pytest.mark.parametrize(
    ("request_record", "bills_cuts", "usd", "known"),
    [
        (record(outcome=Outcome.TRUNCATED), True, BY_HAND, True),
        (record(outcome=Outcome.CUT_IN_THOUGHT), True, BY_HAND, True),
        (record(outcome=Outcome.EMPTY), True, BY_HAND, True),
        (uncounted(outcome=Outcome.HTTP_ERROR), True, 0, True),
        (uncounted(outcome=Outcome.RATE_LIMITED), True, 0, True),
        (uncounted(outcome=Outcome.CONNECT_ERROR, sent_first_ns=None), True, 0, True),
        # finished without usage: the largest prompt seen and the whole cap
        (uncounted(), True, (120 + 10_000) / 1e6, False),
        (uncounted(cap_tokens=None), True, (120 + 9_000) / 1e6, False),
        # cut: continuous usage knows; else what came, at the run's tokens per delta, never more than the cap
        (record(outcome=Outcome.CENSORED, token_source="continuous_usage"), True, BY_HAND, True),
        (uncounted(outcome=Outcome.CUT, deltas=200), True, (120 + 3_000) / 1e6, False),
        (uncounted(outcome=Outcome.CUT, deltas=900), True, (120 + 10_000) / 1e6, False),
        (uncounted(outcome=Outcome.TIMEOUT_TTFT, deltas=0), True, (120 + 10_000) / 1e6, False),
        (record(outcome=Outcome.CUT, token_source="estimate"), True, BY_HAND, False),
        (uncounted(outcome=Outcome.CENSORED, deltas=200), False, 0, True),
        (record(outcome=Outcome.STREAM_ERROR), False, 0, True),
    ],
)
def test_failures_and_missing_counts(request_record, bills_cuts, usd, known):
    card = price_card("card", 0.1, 1.0, 10.0, bills_cut_streams=bills_cuts)
    bill = charge(card, request_record, WALL, GUESS)
    assert bill is not None
    assert (bill.usd, bill.known) == (pytest.approx(usd), known)
    assert request_usd(card, request_record, WALL) == (pytest.approx(usd) if known else None)


PEAK = Rates(usd_per_mtok_input=2.0, usd_per_mtok_output=20.0)
OFF_PEAK = Rates(usd_per_mtok_input=1.0, usd_per_mtok_output=10.0)
OLD = Rates(usd_per_mtok_input=9.0, usd_per_mtok_output=5.0)
WINDOWS = PriceCard(
    name="windows",
    provider="p",
    model="m",
    source="s",
    as_of="2026-11",
    periods=(
        PricePeriod(rates=OLD, valid_from="2026-01-01T00:00:00Z", valid_to="2026-06-01T00:00:00Z"),
        PricePeriod(
            rates=OFF_PEAK,
            valid_from="2026-06-01T00:00:00Z",
            windows=(PriceWindow(name="peak", rates=PEAK, spans=(("01:00", "02:30"),), weekdays=(0, 1, 2, 3, 4)),),
        ),
    ),
)


def test_the_rates_of_the_moment_a_request_was_sent():
    at_peak = charge(WINDOWS, record(0), WALL, GUESS)
    later = charge(WINDOWS, record(0, started_ns=0, sent_first_ns=1800 * 10**9), WALL, GUESS)
    assert at_peak is not None and later is not None
    assert moment_s(record(0), WALL) == EPOCH_S
    assert (at_peak.moment.label, later.moment.label) == ("list/peak", "list")
    assert at_peak.usd == pytest.approx(2 * later.usd)


def test_a_time_that_no_period_covers_has_no_price():
    past = WALL.__class__(offset_ns=1_600_000_000 * 10**9, error_ns=1, taken_at="2020-09-13T12:26:40Z")
    assert charge(WINDOWS, record(), past, GUESS) is None
    assert request_usd(WINDOWS, record(), past) is None


def test_the_dearest_rates_count_every_window_of_the_valid_period():
    now = dearest(WINDOWS, EPOCH_S + 12 * 3600)
    assert (now.usd_per_mtok_input, now.usd_per_mtok_output) == (2.0, 20.0)
    ever = dearest(WINDOWS)
    assert (ever.usd_per_mtok_input, ever.usd_per_mtok_output) == (9.0, 20.0)


_tokens = st.integers(0, 1_000_000)


@given(_tokens, _tokens, _tokens, _tokens, st.floats(0, 100), st.floats(0, 100))
def test_relabelling_tokens_of_equal_price_changes_nothing(plain, cached, written, output, rate, out_rate):
    flat = Rates(
        usd_per_mtok_input=rate,
        usd_per_mtok_output=out_rate,
        usd_per_mtok_input_cached=rate,
        usd_per_mtok_cache_write=rate,
    )
    total = plain + cached + written
    one = Usage(input_tokens=total, cached_tokens=cached, cache_write_tokens=written, output_tokens=output)
    other = Usage(input_tokens=total, cached_tokens=written, cache_write_tokens=cached, output_tokens=output)
    none = Usage(input_tokens=total, output_tokens=output)
    assert usage_usd(flat, one) == pytest.approx(usage_usd(flat, other), abs=1e-9)
    assert usage_usd(flat, one) == pytest.approx(usage_usd(flat, none), abs=1e-9)


def test_cache_writes_have_their_own_rate():
    rates = Rates(
        usd_per_mtok_input=1, usd_per_mtok_output=5, usd_per_mtok_input_cached=0.1, usd_per_mtok_cache_write=1.25
    )
    usage = Usage(input_tokens=1000, cached_tokens=600, cache_write_tokens=300, output_tokens=10)
    assert usage_usd(rates, usage) * 1e6 == pytest.approx(100 + 60 + 375 + 50)
