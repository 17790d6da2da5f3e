"""The page of `trueyield theory`: what is drawn, that bands and marks lie theory says, and that it is one file."""

import json
import re
from pathlib import Path

import pytest

from harness.config.asked import Asked, deployment_of
from harness.config.catalog import load_catalog
from harness.config.theory_data import load_theory_data
from harness.report.charts.theory_charts import curve, marks_of, theory_charts
from harness.report.theory_page import theory_page, write_theory_page
from harness.theory import Shape
from harness.theory.outlook import Load, Outlook, outlook

DATA = load_theory_data()
PUBLISHED = tuple(DATA.measurements.values())


def found_for(model: str, on: str, count: int, **layout: int) -> Outlook:
    asked = Asked(model=model, accelerator=on, count=count, layout=layout, accept_unverified=True)
    shape = Shape(isl_tokens=1000, osl_tokens=1000)
    return outlook(deployment_of(asked, load_catalog()), Load(shape=shape, concurrency=8), DATA.priors)


UNIT = found_for("deepseek-r1", "h800-sxm", 144, ep=144, redundant_experts=32)


def test_the_curve_goes_from_one_user_to_the_best_load():
    points = curve(UNIT, DATA.priors)
    assert points[0] == UNIT.one_user
    assert UNIT.at_best_load is not None
    assert points[-1].batch == pytest.approx(UNIT.at_best_load.batch)
    assert all(0 < point.expected.low < point.expected.high <= point.output_tokens_per_s for point in points)


def test_published_measurements_of_that_architecture_are_marked():
    marks = marks_of(UNIT, PUBLISHED)
    assert {round(mark.per_gpu) for mark in marks} == {1850, 2325}, "R1 and V3 are one architecture"
    assert marks[0].per_user == pytest.approx(21, abs=0.1)
    assert marks_of(found_for("llama-3.1-8b", "h200-sxm", 1), PUBLISHED) == []
    four = [mark.per_user for mark in marks_of(found_for("llama-3.3-70b", "h100-sxm", 4, tp=4), PUBLISHED)]
    assert four == [pytest.approx(58.2)], "not what eight or two would give one user"


def test_both_panels():
    charts, trouble = theory_charts(UNIT, DATA.priors, PUBLISHED)
    assert not trouble and list(charts) == ["rate", "cost"]
    for chart in charts.values():
        names = [trace["name"] for trace in chart.figure["data"]]
        assert {"bound", "bound, decode alone", "published, decode alone", "expected (bound x prior)"} == set(names)
    rate = next(trace for trace in charts["rate"].figure["data"] if trace["name"] == "bound")
    assert rate["y"][0] == pytest.approx(UNIT.one_user.output_tokens_per_s_per_gpu, rel=1e-3)
    assert len(rate["x"]) == len(rate["y"]) == 60


def test_the_page_is_one_file_that_says_its_bases(tmp_path: Path):
    path = write_theory_page(tmp_path / "theory.html", UNIT, DATA.priors, PUBLISHED)
    text = path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["theory.html"]
    assert not re.findall(r'(?:src|href)="(?!#|data:)', text)
    assert set(json.loads(re.search(r'id="figures">(.*?)</script>', text)[1])) == {"rate", "cost"}
    for part in ("$2.00/GPU-h, assumption of the publisher, 2025-03", "h800-sxm is unverified", "(1,503..2,255)"):
        assert part in text, part


def test_a_model_that_does_not_fit_has_a_page_without_charts():
    text = theory_page(found_for("deepseek-v3", "h100-sxm", 8), DATA.priors, PUBLISHED)
    assert "it fits from 10 accelerators on" in text and "data-chart" not in text.partition("<script")[0]
