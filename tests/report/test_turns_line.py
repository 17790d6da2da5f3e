"""How conversations grew, in one line of the closing table and of the page; nothing where there were none."""

from pathlib import Path

import pytest

from harness.measure.results import Turn
from harness.report.contents import read_run_contents
from harness.report.screen import first_screen
from harness.report.terminal import WIDTH
from tests.report import report_samples as samples
from tests.report.test_terminal import table


def turn(number: int, n: int, **figures: float | None) -> Turn:
    own = {"input_tokens": 182.0 * number, "cached_share": 0.1 * number, "ttft_p50_s": 0.023 * number}
    return Turn(turn=number, n=n, **(own | figures))


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ((), None),
        ((turn(1, 40),), None),
        ((turn(1, 40), turn(2, 2)), None),
        (
            (turn(1, 40), turn(2, 30), turn(7, 3), turn(9, 2)),
            "Turns 1 -> 7: ISL 182 -> 1,274, cached 10% -> 70%, TTFT p50 23 -> 161 ms",
        ),
        (
            (turn(1, 40, cached_share=None), turn(2, 30, cached_share=None)),
            "Turns 1 -> 2: ISL 182 -> 364, cached - -> -, TTFT p50 23 -> 46 ms",
        ),
        ((turn(1, 1, input_tokens=None, ttft_p50_s=None), turn(2, 3)),
         "Turns 1 -> 2: ISL - -> 364, cached 10% -> 20%, TTFT p50 - -> 46 ms"),
    ],
)  # fmt: skip
def test_the_first_turn_stands_beside_the_last_that_is_no_accident(
    tmp_path: Path, turns: tuple[Turn, ...], expected: str | None
) -> None:
    folder = samples.seller(tmp_path, turns=turns)
    assert first_screen(read_run_contents(folder)).turns == expected
    lines = [line for line in table(folder) if line.strip().startswith("Turns")]
    assert lines == ([] if expected is None else [f" {expected}"])
    assert all(len(line) <= WIDTH for line in lines)
