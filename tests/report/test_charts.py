import random
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from harness.measure.results import WindowUse
from harness.records import Manifest, encode_record
from harness.report.charts.arrays import MOST_GAPS, SLOWEST, read_arrays
from harness.report.charts.run_charts import run_charts
from harness.report.charts.sweep_charts import bound_curve, sweep_charts
from harness.report.contents import read_run_contents, read_sweep_contents
from harness.report.documents import run_page
from tests.report import report_samples as samples


def plain(value: object) -> object:
    """A figure with every colour name replaced, as the page does it."""
    if isinstance(value, str):
        return "#123456" if value.startswith("@") else value
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", sorted(samples.RUNS))
def test_plotly_accepts_every_figure_of_a_run(tmp_path, name: str) -> None:
    contents = read_run_contents(samples.RUNS[name](tmp_path))
    charts, trouble = run_charts(contents, read_arrays(tmp_path, contents.manifest))
    assert trouble == ()
    for chart in charts.values():
        go.Figure(plain(chart.figure))
        assert chart.text and chart.title


def test_plotly_accepts_every_figure_of_a_sweep(tmp_path) -> None:
    charts, trouble = sweep_charts(read_sweep_contents(samples.sweep(tmp_path)).runs)
    assert trouble == () and set(charts) == {"frontier", "cost", "cost_per_mtok", "ttft"}
    for chart in charts.values():
        go.Figure(plain(chart.figure))


def manifest() -> Manifest:
    return samples.manifest(samples.endpoint())


def write(folder, records) -> None:
    (folder / "records.jsonl").write_bytes(b"".join(encode_record(record) + b"\n" for record in records))


def test_arrays_hold_the_times_of_the_records(tmp_path) -> None:
    second = samples.S
    start = 120 * second
    one = samples.record(
        1, random.Random(1), started_ns=start, sent_last_ns=start, first_reasoning_ns=start + second // 2,
        first_answer_ns=start + 2 * second, last_delta_ns=start + 4 * second, ended_ns=start + 4 * second,
        output_tokens=8, stage="measure",
    )  # fmt: skip
    write(tmp_path, [one])
    found = read_arrays(tmp_path, manifest())
    assert found.ttft_s.tolist() == [0.5]
    assert found.ttfat_s.tolist() == [2.0]
    assert found.e2e_s.tolist() == [4.0]
    assert found.tpot_s.tolist() == [0.5]
    assert found.sent_s.tolist() == [20.0]  # the sample run began at monotonic second 100
    assert found.window_s == (10.0, 110.0)


def test_a_window_that_was_cut_is_drawn_and_counted_as_it_was_cut(tmp_path) -> None:
    """The planned window is 10 to 110 s of the run. Requests count where they were planned, else where they began."""
    second = samples.S
    begins = [(115, None), (125, None), (139.9, None), (140.1, None), (150, 139.5), (140.2, 140.0)]
    write(tmp_path, [
        samples.record(
            number, random.Random(1), started_ns=round(began * second), sent_last_ns=round(began * second),
            planned_ns=None if planned is None else round(planned * second), ended_ns=round((began + 4) * second),
            first_reasoning_ns=round((began + 1) * second), first_answer_ns=round((began + 2) * second),
            last_delta_ns=round((began + 4) * second), outcome="ok", stage="measure",
        )
        for number, (began, planned) in enumerate(begins)
    ])  # fmt: skip
    contents = read_run_contents(samples.seller(tmp_path / "run"))
    whole, cut = read_arrays(tmp_path, manifest()), read_arrays(tmp_path, manifest(), cut_s=30.0)
    assert whole.measured.all() and whole.window_s == (10.0, 110.0)
    assert cut.measured.tolist() == [False, False, False, True, False, True] and cut.window_s == (40.0, 110.0)
    for arrays, shapes, names in ((whole, [(10, 110)], []), (cut, [(40, 110), (10, 40)], ["cut"])):
        charts, trouble = run_charts(contents, arrays)
        assert trouble == ()
        chart = charts["in_flight"]
        layout = chart.figure["layout"]
        assert [(shape["x0"], shape["x1"]) for shape in layout["shapes"]] == shapes
        assert [name["text"] for name in layout.get("annotations", [])] == names
        assert ("30 s before it were cut" in chart.text) == bool(names)
        assert "shaded: measured" in layout["xaxis"]["title"]["text"]


def test_a_page_draws_the_window_that_its_figures_stand_for(tmp_path) -> None:
    contents = read_run_contents(samples.seller(tmp_path))
    assert "were cut: the run still moved" not in run_page(contents)
    run = replace(contents.run, window=WindowUse(whole_s=100.0, cut_s=37.5, reason="the first 37 s moved"))
    assert "the 37.5 s before it were cut: the run still moved there" in run_page(replace(contents, run=run))


def test_missing_is_not_zero(tmp_path) -> None:
    write(tmp_path, [samples.record(0, random.Random(1))])  # the first sample record was refused
    found = read_arrays(tmp_path, manifest())
    assert np.isnan([found.ttft_s[0], found.ttfat_s[0], found.tpot_s[0], found.output_tokens[0]]).all()
    assert found.failures == (("rate_limited", "429", "too many requests", 1),)


def test_tokens_over_time_add_up_to_the_tokens_of_the_records(tmp_path) -> None:
    contents = read_run_contents(samples.seller(tmp_path))
    found = read_arrays(tmp_path, contents.manifest)
    charts, _ = run_charts(contents, found)
    trace = charts["throughput"].figure["data"][0]
    width = trace["x"][1] - trace["x"][0]
    assert sum(trace["y"]) * width == pytest.approx(np.nansum(found.output_tokens), rel=0.01)
    open_requests = charts["in_flight"].figure["data"][0]
    assert sum(open_requests["y"]) * width == pytest.approx(float(np.sum(found.ended_s - found.sent_s)), rel=0.01)


def test_requests_of_spool_and_records_count_once(tmp_path) -> None:
    records = [samples.record(number, random.Random(number)) for number in range(10)]
    write(tmp_path, records[:6])
    spool = tmp_path / "spool"
    spool.mkdir()
    write(spool, records[3:])
    (spool / "records.jsonl").rename(spool / "w0.jsonl")
    assert read_arrays(tmp_path, manifest()).count == 10


def test_the_slowest_are_kept_in_order(tmp_path) -> None:
    records = [samples.record(number, random.Random(number)) for number in range(100)]
    write(tmp_path, records)
    found = [row.e2e_s for row in read_arrays(tmp_path, manifest()).slowest]
    took = sorted(((record.ended_ns - record.started_ns) / 1e9 for record in records), reverse=True)
    assert found == took[:SLOWEST]


def test_many_records_make_a_small_report(tmp_path) -> None:
    source = random.Random(3)
    lines = [encode_record(samples.record(number, source)) + b"\n" for number in range(1000)]
    (tmp_path / "records.jsonl").write_bytes(b"".join(lines) * 20)
    found = read_arrays(tmp_path, manifest())
    assert found.count == 20_000
    assert found.gaps_s.size <= MOST_GAPS and found.gap_stride > 1
    samples.seller(tmp_path / "run")
    charts, _ = run_charts(read_run_contents(tmp_path / "run"), found)
    assert len(repr({key: chart.figure for key, chart in charts.items()})) < 60_000


def test_the_bound_is_a_curve_from_one_request_to_the_best_batch(tmp_path) -> None:
    contents = read_run_contents(samples.seller(tmp_path))
    curve = bound_curve(contents)
    assert curve is not None and len(curve["x"]) == len(curve["y"]) > 20
    assert curve["customdata"][0] == 1 and curve["customdata"][-1] == 264
    assert curve["y"] == sorted(curve["y"]), "more requests give more tokens in all"
    assert curve["x"] == sorted(curve["x"], reverse=True), "and fewer to each"
