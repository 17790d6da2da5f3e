"""Owner's hour and its split."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.price.owned.splits import split
from harness.price.owned.tco import annuity_usd, gpu_hour, hour_of, sides_of
from harness.providers import GpuHour, Tco
from tests.cards import H100, LLAMA_8B, deployment

EXAMPLE = Tco(
    capex_usd=40_000,
    lifetime_years=4,
    interest_per_year=0.10,
    power_kw=1.3,
    pue=1.25,
    usd_per_kwh=0.08,
    colocation_usd_per_kw_month=150,
    operations_share_per_year=0.03,
    availability=0.97,
)


def test_the_example_hour():
    hour = hour_of(EXAMPLE)
    parts = (hour.capital_usd, hour.power_usd, hour.colocation_usd, hour.operations_usd)
    assert parts == pytest.approx((1.4405, 0.1300, 0.2671, 0.1370), rel=4e-4)
    assert hour.usd == pytest.approx(2.036, rel=2e-4)
    assert sum(parts) == pytest.approx(hour.usd * 0.97)


def test_without_interest_capital_is_a_straight_line():
    line = replace(EXAMPLE, interest_per_year=0.0, residual_usd=4_000)
    assert annuity_usd(line) == 9_000
    assert annuity_usd(replace(line, interest_per_year=1e-7)) == pytest.approx(9_000, rel=1e-4)


def test_the_network_is_capital_and_is_operated():
    hour = hour_of(replace(EXAMPLE, network_share=0.10))
    plain = hour_of(EXAMPLE)
    assert hour.capital_usd == pytest.approx(plain.capital_usd * 1.10)
    assert hour.operations_usd == pytest.approx(plain.operations_usd * 1.10)
    assert hour.power_usd == plain.power_usd


def test_three_sides_of_an_owned_hour():
    rent = GpuHour(
        name="h100-rent", accelerator="h100", usd_per_gpu_hour=2.95, basis="on-demand rent", source="s", as_of="2026-10"
    )
    own = deployment(LLAMA_8B, H100, 1, "bf16", tco=EXAMPLE, price_as_of="2026-11", rent=rent)
    sides = sides_of(own)
    assert list(sides) == ["cash", "full", "rent_opportunity"]
    assert sides["cash"].usd == pytest.approx((0.1300 + 0.2671 + 0.1370) / 0.97, rel=1e-3)
    assert sides["full"].usd == pytest.approx(2.036, rel=2e-4)
    assert sides["full"].basis == "TCO, annuity at 0.1 a year over 4 years" and sides["full"].as_of == "2026-11"
    found = sides["rent_opportunity"]
    assert (found.usd, found.basis, found.as_of) == (2.95, "on-demand rent (h100-rent)", "2026-10")
    assert sides_of(replace(own, tco=None, usd_per_gpu_hour=2.0)) == {}
    line = sides_of(replace(own, tco=replace(EXAMPLE, interest_per_year=0.0)))
    assert line["full"].basis == "TCO, straight line over 4 years"


def test_an_hour_is_declared_or_computed_or_unknown():
    run = deployment(LLAMA_8B, H100, 1, "bf16", price_as_of="2026-11")
    declared = gpu_hour(replace(run, usd_per_gpu_hour=2.5, price_basis="rent"))
    assert (declared.usd, declared.basis, declared.as_of) == (2.5, "rent", "2026-11")
    computed = gpu_hour(replace(run, tco=EXAMPLE))
    assert computed.usd == pytest.approx(2.036, rel=2e-4) and computed.basis == "TCO"
    assert gpu_hour(run) is None


_tokens = st.floats(0, 1e12)


@given(st.floats(0.01, 1e6), _tokens, _tokens, st.floats(1, 1e12), st.floats(0.5, 10))
def test_a_split_sums_to_the_whole(usd, computed, cached, output, ratio):
    shares = split(usd, computed, cached, output, ratio)
    total = (
        shares.usd_per_mtok_input_computed * computed
        + shares.usd_per_mtok_input_cached * cached
        + shares.usd_per_mtok_output * output
    )
    assert total / 1e6 == pytest.approx(usd)


def test_a_split_over_nothing_is_none():
    assert split(1.0, 0, 10, 0) is None
