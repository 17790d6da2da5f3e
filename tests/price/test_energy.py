"""Energy per token by the published checks; declared power before the catalog's, whose label says assumed."""

from dataclasses import replace

import pytest

from harness.price.economics import price
from harness.price.owned.energy import draw_of, electricity_usd, joules_per_token, kwh_per_mtok
from harness.providers import Endpoint, Power, Tco
from tests.cards import H100, LLAMA_70B, deployment, price_card
from tests.price.records import record
from tests.price.run_folder import result, write_folder

CHIP = replace(H100, tdp_w=700.0, all_in_w=1_730.0)
OWN = deployment(LLAMA_70B, CHIP, 4, "fp8", usd_per_gpu_hour=2.5, price_basis="rent", price_as_of="2026-11")
WALL = Power(watts=4_000, boundary="wall", idle_watts=1_000, usd_per_kwh=0.10)
CARD = price_card("card", 0.1, 1.0, 10.0)


def test_a_measured_node_by_its_golden_value():
    assert joules_per_token(7_126.2, 2_999.0) == pytest.approx(2.376, rel=1e-3)


def test_the_day_of_deepseek():
    fleet_w = 1_730 * 8 * 226.75
    joules = joules_per_token(fleet_w, 168e9 / 86_400)
    assert joules == pytest.approx(1.61, rel=5e-3)
    assert kwh_per_mtok(joules) == pytest.approx(0.448, rel=1e-3)


@pytest.mark.parametrize(("usd_per_kwh", "usd"), [(0.06, 4_330), (0.08, 5_773), (0.10, 7_216)])
def test_the_electricity_of_that_day(usd_per_kwh, usd):
    assert electricity_usd(10_200 * 226.75, 86_400, usd_per_kwh, pue=1.3) == pytest.approx(usd, rel=1e-3)


def owner(tmp_path, of, measured=None):
    entry = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", deployment=of, price_card=CARD)
    return price(write_folder(tmp_path, entry, [record(i) for i in range(1, 9)], measured))


def test_declared_power_by_hand(tmp_path):
    found = owner(tmp_path, replace(OWN, power=WALL))
    energy = found.owner.energy
    assert (energy.watts, energy.boundary, energy.kind, energy.idle_watts) == (4_000, "wall", "declared", 1_000)
    assert energy.j_per_output_token == pytest.approx(4.0)  # 4 kW over 1,000 tok/s
    assert energy.j_per_output_token_above_idle == pytest.approx(3.0)
    assert energy.kwh_per_mtok_output == pytest.approx(4 / 3.6)
    assert energy.usd_per_mtok_output_electricity == pytest.approx(0.10 * 4 / 3.6)
    assert energy.usd_per_1k_useful_electricity == pytest.approx(4_000 / 3.6e6 * 0.10 / (8 / 100) * 1000)
    assert energy.output_tokens_per_s_per_mw == pytest.approx(1_000 / 0.004)
    assert energy.revenue_per_mw_hour == pytest.approx(found.owner.revenue_per_gpu_hour * 4 / 0.004)


def test_undeclared_power_is_the_catalogs_and_says_so(tmp_path):
    energy = owner(tmp_path, OWN).owner.energy
    assert energy.kind == "assumed" and CHIP.name in energy.basis and energy.watts == 6_920
    board_only = replace(OWN, accelerator=replace(H100, all_in_w=None, tdp_w=700.0))
    assert (draw_of(board_only).watts, draw_of(board_only).boundary) == (2_800, "board")
    assert draw_of(OWN).boundary == "facility"


def test_what_is_not_told_is_none_with_a_reason(tmp_path):
    found = owner(tmp_path, OWN)
    assert found.owner.energy.usd_per_mtok_output_electricity is None
    assert "usd_per_kwh" in found.reasons["owner.energy.usd_per_mtok_output_electricity"]
    assert "idle_watts" in found.reasons["owner.energy.idle_watts"]
    unknown = owner(tmp_path, replace(OWN, accelerator=replace(H100, all_in_w=None, tdp_w=None)))
    assert unknown.owner.energy is None and "add `power:`" in unknown.reasons["owner.energy"]


def test_a_pue_lifts_every_boundary_but_the_facilitys(tmp_path):
    tco = Tco(capex_usd=40_000, lifetime_years=4, pue=1.25, usd_per_kwh=0.08)
    of = replace(OWN, usd_per_gpu_hour=None, tco=tco)
    at_wall = owner(tmp_path, replace(of, power=replace(WALL, usd_per_kwh=None))).owner.energy
    assert at_wall.usd_per_mtok_output_electricity == pytest.approx(0.08 * 1.25 * 4 / 3.6)
    facility = replace(WALL, usd_per_kwh=None, boundary="facility")
    at_meter = owner(tmp_path, replace(of, power=facility)).owner.energy
    assert at_meter.usd_per_mtok_output_electricity == pytest.approx(0.08 * 4 / 3.6)


def test_nothing_delivered_has_no_energy_per_token(tmp_path):
    empty = result()
    found = owner(tmp_path, OWN, replace(empty, throughput=replace(empty.throughput, output_tokens_per_s=0.0)))
    assert found.owner.energy is None and "nothing was delivered" in found.reasons["owner.energy"]
