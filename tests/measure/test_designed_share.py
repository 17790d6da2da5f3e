"""More cache hits than the workload was made for are told; as many, or fewer, are not."""

from types import SimpleNamespace
from typing import Any

import pytest

from harness.measure.runs import _warmer_than_designed


def noted(cache: str | None, share: float | None) -> list[str]:
    workload = {} if cache is None else {"cache": cache}
    study: Any = SimpleNamespace(folder=SimpleNamespace(manifest=SimpleNamespace(scenario={"workload": workload})))
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
