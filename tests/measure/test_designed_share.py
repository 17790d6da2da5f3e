"""More cache hits than the workload was made for are told; as many, or fewer, are not."""

from types import SimpleNamespace
from typing import Any

import pytest

from harness.measure.runs import _warmer_than_designed


def noted(cache: str | None, share: float | None, **arrivals: float | None) -> list[str]:
    scenario = {"workload": {} if cache is None else {"cache": cache}, "arrivals": arrivals}
    study: Any = SimpleNamespace(folder=SimpleNamespace(manifest=SimpleNamespace(scenario=scenario)))
    mix: Any = SimpleNamespace(cached_share=share)
    return _warmer_than_designed(study, mix)


@pytest.mark.parametrize(("cache", "share"), [("cold", 0.021), ("share:0.56", 0.59)])
def test_more_than_two_points_above_is_told(cache: str, share: float) -> None:
    assert f"{share:.1%}" in noted(cache, share)[0] and "by design" in noted(cache, share)[0]


@pytest.mark.parametrize(
    ("cache", "share"),
    [("cold", 0.02), ("share:0.56", 0.57), ("share:0.56", 0.2), ("as_is", 0.9), (None, 0.9), ("cold", None)],
)
def test_anything_else_is_not(cache: str | None, share: float | None) -> None:
    assert noted(cache, share) == []


def test_the_design_of_a_trace_is_what_its_prompts_share() -> None:
    assert noted("cold", 0.65, trace_shared=0.64) == []
    assert "64% by design" in noted("cold", 0.67, trace_shared=0.64)[0]
    assert "0% by design" in noted("cold", 0.67, trace_shared=None)[0]
