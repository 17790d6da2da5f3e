import random

import numpy as np
import plotly.graph_objects as go
import pytest

from harness.records import Manifest, encode_record
from harness.report.charts.arrays import MOST_GAPS, SLOWEST, read_arrays
from harness.report.charts.run_charts import run_charts
from harness.report.charts.sweep_charts import bound_curve, sweep_charts
from harness.report.contents import read_run_contents, read_sweep_contents
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
