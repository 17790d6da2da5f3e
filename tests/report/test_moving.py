"""The slopes of a long run in one line; a run without them has no line."""

from dataclasses import replace
from pathlib import Path

from harness.measure.results import Slope, WindowUse
from harness.report.contents import read_run_contents
from harness.report.documents import run_page
from harness.report.screen import first_screen
from harness.report.screen.moving import moving
from harness.report.terminal.run_table import run_lines
from tests.report import report_samples as samples

SLOPES = {
    "output_tokens_per_s": Slope(per_hour=-30.0, low=-50.0, high=-10.0, n=20, level=1000.0),
    "ttft_s": Slope(per_hour=0.0, low=-0.01, high=0.01, n=20, level=0.5),
    "failed_share": Slope(per_hour=0.0, low=-0.0004, high=0.0004, n=20, level=0.0),
    "j_per_output_token": None,
}


def test_one_line_of_a_soak(tmp_path: Path) -> None:
    contents = read_run_contents(samples.seller(tmp_path))
    assert moving(contents) == ()
    soak = replace(contents, run=samples.run_result(slopes=SLOPES))
    assert moving(soak) == (
        "output tok/s -3.0% [-5.0, -1.0]", "TTFT 0% [-2.0, +2.0]", "failed 0 points [-0.04, +0.04]",
    )  # fmt: skip
    (line,) = (line.text.plain for line in run_lines(first_screen(soak), ()) if "Per hour" in line.text.plain)
    assert len(line) <= 80 and "output tok/s -3.0% [-5.0, -1.0]" in line
    assert "Per hour" in run_page(soak) and "Per hour" not in run_page(contents)


def test_what_was_left_out_or_moved_is_said_first(tmp_path: Path) -> None:
    contents = read_run_contents(samples.seller(tmp_path))
    why = "not steady: output tokens/s rose by 84% across the window"
    moved = replace(contents, run=samples.run_result(window=WindowUse(reason=why, moved=("output tokens/s",))))
    assert why in first_screen(moved).warnings
    assert any("never stood still" in step for step in first_screen(moved).next_steps)
