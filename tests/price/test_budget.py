"""The cap holds whatever the requests do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Outcome
from harness.price.spend.budget import Budget, worst_case_usd
from tests.cards import price_card
from tests.price.records import EPOCH_S, WALL, record, uncounted
from tests.price.test_cost import WINDOWS

CARD = price_card("card", 0.1, 1.0, 10.0)
WORST = (200 * 1.0 + 1000 * 10.0) / 1e6
ACTUAL = (20 * 0.1 + 80 * 1.0 + 400 * 10.0) / 1e6


def test_the_worst_case_uses_the_dearest_window_and_no_cache():
    assert worst_case_usd(CARD, 3, 200, 1000) == pytest.approx(3 * WORST)
    assert worst_case_usd(WINDOWS, 1, 1e6, 1e6, EPOCH_S + 12 * 3600) == pytest.approx(22)


def test_what_is_reserved_counts_until_it_is_settled():
    budget = Budget(max_usd=2.5 * WORST, max_requests=None, card=CARD)
    first, second = budget.reserve(200, 1000), budget.reserve(200, 1000)
    assert first is not None and second is not None and first != second
    assert budget.reserve(200, 1000) is None
    assert budget.reserved_usd == pytest.approx(2 * WORST)
    assert budget.settle(first, record(), WALL) == pytest.approx(ACTUAL)
    assert (budget.spent_usd, budget.reserved_usd) == (pytest.approx(ACTUAL), pytest.approx(WORST))
    assert budget.reserve(200, 1000) is not None


@pytest.mark.parametrize(
    ("ended", "wall", "usd"),
    [
        (None, None, WORST),
        (uncounted(), WALL, WORST),
        (uncounted(outcome=Outcome.CENSORED, deltas=3), WALL, WORST),
        (uncounted(outcome=Outcome.HTTP_ERROR), WALL, 0),
        (uncounted(outcome=Outcome.RATE_LIMITED), None, 0),
        (uncounted(outcome=Outcome.CONNECT_ERROR, sent_first_ns=None), None, 0),
        (record(), WALL, ACTUAL),
        (record(), None, (100 * 1.0 + 400 * 10.0) / 1e6),  # without a wall clock: the dearest rates, no cache
    ],
)
def test_settling(ended, wall, usd):
    budget = Budget(max_usd=1.0, max_requests=None, card=CARD)
    reservation = budget.reserve(200, 1000)
    assert reservation is not None
    assert budget.settle(reservation, ended, wall) == pytest.approx(usd)
    assert budget.spent_usd == pytest.approx(usd) and budget.reserved_usd == 0


def test_a_cap_of_requests_needs_no_card():
    budget = Budget(max_usd=None, max_requests=2, card=None)
    first = budget.reserve(10, 10)
    assert first is not None and budget.reserve(10, 10) is not None
    assert budget.settle(first, record()) == 0
    assert budget.reserve(10, 10) is None  # sent is sent, however it ended


def test_dollars_without_a_card_cannot_be_capped():
    with pytest.raises(ValueError, match="price card"):
        Budget(max_usd=1.0, max_requests=None, card=None)


def test_a_reservation_is_settled_once():
    budget = Budget(max_usd=1.0, max_requests=None, card=CARD)
    reservation = budget.reserve(1, 1)
    assert reservation is not None
    budget.settle(reservation, None)
    with pytest.raises(KeyError):
        budget.settle(reservation, None)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 5000), st.floats(0, 1), st.booleans()), max_size=60),
    st.floats(1e-4, 0.2),
)
def test_the_cap_is_never_passed(requests, max_usd):
    budget, open_ones = Budget(max_usd=max_usd, max_requests=None, card=CARD), []
    for input_tokens, cap, used, at_once in requests:
        reservation = budget.reserve(input_tokens, cap)
        if reservation is not None:
            open_ones.append((reservation, input_tokens, int(cap * used)))
        if at_once and open_ones:
            ticket, sent, came = open_ones.pop()
            budget.settle(ticket, record(input_tokens=sent, cached_tokens=0, output_tokens=came), WALL)
        assert budget.spent_usd + budget.reserved_usd <= max_usd * (1 + 1e-9)


def test_a_released_reservation_counts_for_nothing() -> None:
    budget = Budget(max_usd=1.5 * WORST, max_requests=2, card=CARD)
    first = budget.reserve(200, 1000)
    assert first is not None and budget.reserve(200, 1000) is None
    budget.release(first)
    assert (budget.spent_usd, budget.reserved_usd, budget.requests) == (0, 0, 0)
    second = budget.reserve(200, 1000)
    assert second is not None and second != first
    with pytest.raises(KeyError):
        budget.settle(first, record(), WALL)
    budget.settle(second, record(), WALL)
    third = budget.reserve(200, 1000)
    assert third is not None and budget.requests == 2
    budget.release(third)
    assert budget.requests == 1 and budget.spent_usd == pytest.approx(ACTUAL)
