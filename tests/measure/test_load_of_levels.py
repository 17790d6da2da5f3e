"""States of a sweep's levels, told from their neighbours."""

import pytest

from harness.measure.load_state import judged_by_neighbours, slos_hold
from harness.measure.results import Load, RunResult
from tests.report import report_samples as samples

SLOS = {"ttft_s": 2.0}


def run(rate: float, missed: int = 0, state: str = "unknown", slos: dict[str, float] = SLOS) -> RunResult:
    useful = samples.Useful(total=100, count=100 - missed, share=1 - missed / 100, share_low=0.0, share_high=1.0,
                            graded=0, right=0, why_not={"slo_missed": missed})  # fmt: skip
    load = Load(state=state, evidence=("own evidence",))  # type: ignore[arg-type]
    return samples.run_result(
        useful=useful, load=load, slos=slos, throughput=samples.Throughput(output_tokens_per_s=rate)
    )


def states(*runs: tuple[int, RunResult]) -> list[str]:
    return [load.state for load in judged_by_neighbours(runs)]


@pytest.mark.parametrize(
    ("missed", "slos", "holds"), [(0, SLOS, True), (10, SLOS, True), (11, SLOS, False), (0, {}, None)]
)
def test_slos_hold_while_nine_in_ten_meet_them(missed: int, slos: dict[str, float], holds: bool | None) -> None:
    assert slos_hold(run(1000, missed, slos=slos)) is holds


def test_the_last_level_within_its_slos_is_the_knee() -> None:
    assert states((8, run(548)), (32, run(2106)), (64, run(2160, 100))) == [
        "demand_limited", "at_slo_knee", "saturated"]  # fmt: skip


def test_the_order_of_the_levels_does_not_matter() -> None:
    assert states((64, run(2160, 100)), (8, run(548)), (32, run(2106))) == [
        "saturated", "demand_limited", "at_slo_knee"]  # fmt: skip


def test_one_level_alone_keeps_what_it_saw() -> None:
    assert states((8, run(548, state="saturated"))) == ["saturated"]


def test_an_idle_endpoint_is_demand_limited_whatever_its_neighbours_gained() -> None:
    assert states((8, run(500, state="demand_limited")), (32, run(510))) == ["demand_limited", "saturated"]


def test_what_the_run_saw_stays_as_evidence() -> None:
    first, _ = judged_by_neighbours([(8, run(548)), (32, run(2106))])
    assert first.evidence == ("8 -> 32 users gave +284% output tokens/s", "own evidence")
