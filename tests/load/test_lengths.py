"""Lengths: short strings in, token counts with the stated mean and quantiles out, each fixed by (seed, ordinal)."""

import math
from statistics import NormalDist, fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.lengths import read_lengths, read_pauses

TEXTS = [
    "512", "fixed(512)", "uniform(100,200)", "normal(1000, 100)", "lognormal(1000,0.4)", "lognormal(4000,0.8)",
    "empirical(100,250,250,4000)",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_the_mean_of_many_draws_is_the_stated_mean(text):
    lengths = read_lengths(text)
    drawn = [lengths.draw(3, ordinal, "isl") for ordinal in range(20_000)]
    spread = (fmean(value * value for value in drawn) - fmean(drawn) ** 2) ** 0.5
    assert abs(fmean(drawn) - lengths.mean) <= 5 * spread / len(drawn) ** 0.5 + 0.5
    assert drawn == [lengths.draw(3, ordinal, "isl") for ordinal in range(20_000)]
    assert "fixed" in lengths.kind or drawn != [lengths.draw(4, ordinal, "isl") for ordinal in range(20_000)]
    assert "fixed" in lengths.kind or drawn != [lengths.draw(3, ordinal, "osl") for ordinal in range(20_000)]


@given(mean=st.integers(10, 100_000), sigma=st.floats(0.01, 2), share=st.floats(0.001, 0.999))
def test_quantiles_of_a_lognormal(mean, sigma, share):
    told = read_lengths(f"lognormal({mean},{sigma:.6f})")
    log = math.log(mean) - round(sigma, 6) ** 2 / 2 + round(sigma, 6) * NormalDist().inv_cdf(share)
    assert told.at(share) == pytest.approx(max(1.0, math.exp(log)), abs=0.51, rel=1e-6)


@given(low=st.integers(1, 1000), width=st.integers(0, 1000), share=st.floats(1e-9, 1 - 1e-9))
def test_a_uniform_stays_between_its_ends(low, width, share):
    assert low <= read_lengths(f"uniform({low},{low + width})").at(share) <= low + width


def test_both_ends_of_a_uniform_are_as_likely_as_the_middle():
    drawn = [read_lengths("uniform(1,4)").draw(1, ordinal, "x") for ordinal in range(8_000)]
    assert all(abs(drawn.count(value) - 2_000) < 200 for value in (1, 2, 3, 4))


def test_medians():
    assert median(read_lengths("normal(1000,100)").draw(1, n, "x") for n in range(5_001)) == pytest.approx(
        1000, rel=0.01
    )
    log = [read_lengths("lognormal(1000,0.4)").draw(1, n, "x") for n in range(5_001)]
    assert median(log) == pytest.approx(1000 * math.exp(-0.08), rel=0.03)


@pytest.mark.parametrize(
    "text",
    ["", "x", "0", "-5", "uniform(5)", "uniform(9,5)", "normal(10,100)", "lognormal(1000,9)", "lognormal(1000", "512)",
     "1,2", "empirical()", "empirical(5,0)", "gamma(1,2)", "1e9", "99999999999", "5..5", "uniform(" + "1," * 9999],
)  # fmt: skip
def test_what_is_no_length_is_told_with_the_forms(text):
    with pytest.raises(ValueError, match="lognormal"):
        read_lengths(text)


PAUSES = ["8", "0.5", "0", "uniform(0,2)", "normal(3,1)", "lognormal(8,0.6)", "empirical(0,0,30)", "lognormal(0.2,1)"]


@pytest.mark.parametrize("text", PAUSES)
def test_the_mean_of_many_pauses_is_the_stated_mean(text):
    pauses = read_pauses(text)
    drawn = [pauses.draw_s(3, ordinal, "think") for ordinal in range(20_000)]
    spread = max(fmean(value * value for value in drawn) - fmean(drawn) ** 2, 0) ** 0.5
    assert abs(fmean(drawn) - pauses.mean) <= 5 * spread / len(drawn) ** 0.5 + 1e-6
    assert min(drawn) >= 0
    assert drawn == [pauses.draw_s(3, ordinal, "think") for ordinal in range(20_000)]


@given(low=st.floats(0, 1000), width=st.floats(0, 1000), share=st.floats(1e-9, 1 - 1e-9))
def test_a_uniform_pause_stays_between_its_ends(low, width, share):
    low, high = round(low, 3), round(low + width, 3)
    assert low <= read_pauses(f"uniform({low:.3f},{high:.3f})").at_s(share) <= high


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-1", "3601", "uniform(5)", "uniform(9,5)", "normal(1,1)", "lognormal(0,1)", "lognormal(8,9)", "1,2",
     "empirical()", "empirical(1,9999)", "nan", "inf", "1e9", "8s"],
)  # fmt: skip
def test_what_is_no_pause_is_told_with_the_forms(text):
    with pytest.raises(ValueError, match="seconds"):
        read_pauses(text)
