"""Money of a run that did not stand still: what hangs on the moving rate is None with that reason, the rest stands."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.measure.results import Moved, RunResult, Throughput, WindowUse
from harness.price.case import read_case
from harness.price.economics import price
from harness.price.results import Economics
from harness.providers import Endpoint, Power
from harness.records import StreamRecord
from tests.cards import H100, LLAMA_70B, deployment, price_card
from tests.price.records import SECOND, record
from tests.price.run_folder import result, write_folder

CARD = price_card("card", 0.1, 1.0, 10.0)
OTHER = price_card("other", None, 0.5, 2.0)
POWER = Power(watts=4_000, boundary="wall", idle_watts=1_000, usd_per_kwh=0.10)
OWN = deployment(
    LLAMA_70B, H100, 4, "fp8", usd_per_gpu_hour=2.5, price_basis="rent", price_as_of="2026-11", utilisation=0.4,
    power=POWER,
)  # fmt: skip
ENTRY = Endpoint(
    name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=CARD, deployment=OWN, compare_with=(OTHER,)
)
BOUGHT = replace(ENTRY, deployment=None)
WHY = "not steady: output tokens/s rose by 84% across the window"


def moved(what: Moved, missed: int = 0) -> RunResult:
    base = result()
    found = replace(
        base,
        steady=False,
        window=WindowUse(whole_s=100.0, reason=WHY, moved=(what,)),
        reasons={"steady": WHY, "throughput": WHY},
        useful=replace(base.useful, count=8 - missed, why_not={"wrong": 2, "slo_missed": missed}),
    )
    if what != "output tokens/s":
        return found
    return replace(
        found, throughput=Throughput(), mix=replace(base.mix, mean_in_flight=None, mean_decoding=None), intervals={}
    )


def priced(path: Path, run: RunResult, entry: Endpoint = ENTRY) -> Economics:
    path.mkdir()
    return price(write_folder(path, entry, [record(number) for number in range(1, 11)], run))


IN_TIME = (
    "yield_ratio", "gross_margin", "break_even_utilisation", "bound_fraction", "owner.usd_per_mtok_output_allin",
    "owner.usd_per_mtok_total", "owner.usd_per_mtok_output_split", "owner.usd_per_1k_useful", "owner.users_per_gpu",
    "owner.revenue_per_gpu_hour", "owner.energy", "bound.at_this_load", "day.yield_ratio", "day.usd_per_1k_useful",
    "waterfall", "comparisons.other.yield_ratio",
)  # fmt: skip


def test_a_moving_rate_takes_every_figure_in_time(tmp_path: Path) -> None:
    found, steady = priced(tmp_path / "moved", moved("output tokens/s")), priced(tmp_path / "steady", result())
    for key in IN_TIME:
        assert found.reasons[key] == WHY, key
        assert key not in steady.reasons
    assert found.yield_ratio is found.bound_fraction is found.owner.usd_per_1k_useful is found.owner.energy is None
    assert found.waterfall == () and found.owner.usd_per_mtok_output_allin is None
    assert found.test_bill == steady.test_bill, "what the test cost is no average"
    assert found.buyer == steady.buyer and found.buyer.usd_per_1k_useful is not None, (
        "a token costs the same at any rate"
    )
    assert found.comparisons[0].usd_per_1k_useful == steady.comparisons[0].usd_per_1k_useful
    assert found.theoretical == steady.theoretical


def test_a_moving_wait_leaves_the_rates(tmp_path: Path) -> None:
    found, steady = priced(tmp_path / "moved", moved("median TTFT")), priced(tmp_path / "steady", result())
    assert replace(found, reasons=steady.reasons) == steady, "no limit was missed: nothing hangs on the wait"
    missed = priced(tmp_path / "missed", moved("median TTFT", missed=3))
    for key in ("owner.usd_per_1k_useful", "buyer.usd_per_1k_useful", "buyer_waterfall", "day.usd_per_1k_useful",
                "comparisons.other.usd_per_1k_useful", "owner.energy.usd_per_1k_useful_electricity",
                "intervals.buyer.usd_per_1k_useful"):  # fmt: skip
        assert missed.reasons[key] == WHY, key
    assert missed.yield_ratio == steady.yield_ratio and missed.bound_fraction == steady.bound_fraction
    assert missed.owner.usd_per_mtok_output_allin == steady.owner.usd_per_mtok_output_allin


def test_a_buyer_of_a_moving_endpoint(tmp_path: Path) -> None:
    bought = priced(tmp_path / "a", moved("output tokens/s"), BOUGHT)
    assert bought.buyer.usd_per_1k_useful is not None and bought.buyer.usd_per_mtok_blended is not None
    late = priced(tmp_path / "b", moved("output tokens/s", missed=3), BOUGHT)
    assert late.buyer.usd_per_1k_useful is None and late.reasons["buyer.usd_per_1k_useful"] == WHY
    assert late.buyer.usd_per_mtok_blended == bought.buyer.usd_per_mtok_blended


def test_a_cut_window_is_priced_from_its_cut_on(tmp_path: Path) -> None:
    """What began in the first 40 of 100 s is warm-up in the bill, too, and the books still sum to the same."""
    cut = replace(result(), window_s=60.0, window=WindowUse(whole_s=100.0, cut_s=40.0, reason="..."), steady=True)
    records = [record(n, started_ns=10 * n * SECOND) for n in range(1, 11)]
    whole = price(_folder(tmp_path / "whole", records, result()))
    part = price(_folder(tmp_path / "part", records, cut))
    stages = {entry.record.seq: entry.record.stage for entry in read_case(tmp_path / "part").entries}
    assert stages == {n: "warmup" if n < 5 else "measure" for n in range(1, 11)}, "the window began at 10 s"
    assert part.test_bill.usd_known == whole.test_bill.usd_known
    assert part.test_bill.spend["warm_up"] == pytest.approx(whole.test_bill.usd_known * 4 / 10)
    assert part.owner.usd_per_1k_useful == pytest.approx(whole.owner.usd_per_1k_useful * 0.6)


def _folder(path: Path, records: list[StreamRecord], run: RunResult) -> Path:
    path.mkdir()
    return write_folder(path, ENTRY, records, run)
