"""Loads as people write them, and what lies between them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sweep.levels import Level, between, read_levels, rounded


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("16,4,64,4", [4, 16, 64]),
        ("7", [7]),
        ("4..64", [4, 8, 16, 32, 64]),
        ("4..50", [4, 8, 16, 32, 50]),
        ("1..100/3", [1, 10, 100]),
        ("1..3/9", [1, 2, 3]),
    ],
)
def test_user_counts(text: str, sizes: list[int]) -> None:
    assert [level.size for level in read_levels(text, "users")] == sizes


@pytest.mark.parametrize(("text", "sizes"), [("0.5,2", [0.5, 2]), ("0.5..4", [0.5, 1, 2, 4]), ("1..2/3", [1, 1.41, 2])])
def test_rates(text: str, sizes: list[float]) -> None:
    assert [level.size for level in read_levels(text, "rate")] == sizes


@pytest.mark.parametrize(
    "text", ["", "0,4", "four", "4,-1", "64..4", "4..4", "1..8/1", "1..8/999", "inf", "nan", "2.5"]
)
def test_what_is_no_list_of_users(text: str) -> None:
    with pytest.raises(ValueError):
        read_levels(text, "users")


def test_a_level_in_words_in_folders_and_on_the_command_line() -> None:
    users, rate = Level("users", 1.0), Level("rate", 4.5)
    assert (users.words, users.number, users.folder, users.option) == ("1 user", "1", "users-0001", "--users=1")
    assert (rate.words, rate.number, rate.folder, rate.option) == ("4.5 req/s", "4.5", "rate-4.5", "--rate=4.5")


@given(st.sampled_from(["users", "rate"]), st.floats(0.01, 1e6), st.floats(1.0001, 100))
def test_a_load_between_two_lies_between_them(unit, low, ratio) -> None:
    first, last = rounded(unit, low), rounded(unit, low * ratio)
    middle = between(first, last)
    if middle is not None:
        assert first < middle < last
        assert abs(math.log(middle.size / math.sqrt(first.size * last.size))) < (0.01 if unit == "rate" else 0.5)
    elif unit == "users":
        assert last.size - first.size <= 1
