from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.measure.results import Slope
from harness.report.contents import read_run_contents
from harness.report.gates import (
    AGGREGATES,
    DEFAULT_GATE,
    DISTRIBUTIONS,
    OPERATORS,
    Verdict,
    check,
    judge,
    parse_gate,
    parse_gates,
    read_verdicts,
    with_default,
    write_verdicts,
)
from tests.report import report_samples as samples


@pytest.mark.parametrize(
    ("text", "agg", "metric", "op", "limit"),
    [
        ("p99(ttft_s) < 0.5", "p99", "ttft_s", "<", 0.5),
        ("share(failed)<0.05", "share", "failed", "<", 0.05),
        ("  mean( tpot_s )  <=  3e-2 ", "mean", "tpot_s", "<=", 0.03),
        ("value(yield_ratio) > -.5", "value", "yield_ratio", ">", -0.5),
        ("value(owner.usd_per_1k_useful) >= +4.", "value", "owner.usd_per_1k_useful", ">=", 4.0),
        ("value(economics.bound.at_this_load.batch) != 1", "value", "economics.bound.at_this_load.batch", "!=", 1.0),
        ("count(rate_limited) == 0", "count", "rate_limited", "==", 0.0),
        ("max(client_lag_s) < 0.01", "max", "client_lag_s", "<", 0.01),
        ("drift(output_tokens_per_s) < 0.02", "drift", "output_tokens_per_s", "<", 0.02),
        ("slope(failed_share) < 0.001", "slope", "failed_share", "<", 0.001),
        ("value(slopes.ttft_s.high) < 0.1", "value", "slopes.ttft_s.high", "<", 0.1),
    ],
)
def test_a_line_is_taken_apart(text: str, agg: str, metric: str, op: str, limit: float) -> None:
    gate = parse_gate(text)
    assert (gate.agg, gate.metric, gate.op, gate.limit) == (agg, metric, op, limit)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "agg(metric) op number"),
        ("p99(ttft_s) < ", "agg(metric) op number"),
        ("p99(ttft_s) < nan", "agg(metric) op number"),
        ("p99(ttft_s) =< 1", "agg(metric) op number"),
        ("p99(ttft_s) < 1 and more", "agg(metric) op number"),
        ("p98(ttft_s) < 1", "did you mean p9"),
        ("p99(tfft_s) < 1", "did you mean ttft_s"),
        ("share(faild) < 1", "did you mean failed"),
        ("value(yield) > 0", "did you mean yield_ratio"),
        ("value(metrics.ttft_s.p98) > 0", "metrics.ttft_s.p9"),
        ("mean(failed) < 1", "one of"),
        ("drift(ttft) < 1", "did you mean ttft_s"),
        ("p99(ttft_s) < 1e999", "finite"),
    ],
)
def test_a_bad_line_is_refused_with_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(InputError, match=".*") as caught:
        parse_gate(text)
    assert says in str(caught.value)


def test_every_mistake_of_every_line_is_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_gates(["p99(nothing) < 1", DEFAULT_GATE, "nonsense"])
    assert len(caught.value.mistakes) == 2


@given(
    agg=st.sampled_from([agg for agg in AGGREGATES if agg not in ("share", "slope", "drift", "value")]),
    metric=st.sampled_from(DISTRIBUTIONS),
    op=st.sampled_from(sorted(OPERATORS)),
    limit=st.floats(allow_nan=False, allow_infinity=False),
    space=st.text(alphabet=" \t", max_size=3),
)
def test_what_the_grammar_makes_the_parser_reads(agg: str, metric: str, op: str, limit: float, space: str) -> None:
    gate = parse_gate(f"{space}{agg}{space}({space}{metric}{space}){space}{op}{space}{limit!r}{space}")
    assert (gate.agg, gate.metric, gate.op, gate.limit) == (agg, metric, op, limit)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        parse_gate(text)
    except InputError:
        pass


@pytest.mark.parametrize(
    ("gate", "passed", "found"),
    [
        ("p99(ttft_s) < 0.5", False, 1.23),
        ("p90(ttft_s) < 0.6", True, 0.541),
        ("mean(tpot_s) <= 0.05", True, 0.0312 * 1.1),
        ("share(failed) < 0.05", True, 3 / 1949),
        ("share(ok) > 0.9", True, 1946 / 1949),
        ("share(censored) < 0.01", False, 96 / 2045),
        ("share(rate_limited) <= 0.001", False, 2 / 1949),
        ("share(wrong) < 0.5", True, 113 / 1946),
        ("count(rate_limited) == 2", True, 2),
        ("count(ttft_s) >= 1000", True, 1946),
        ("value(usd_per_1k_useful) < 4", True, 3.70),
        ("value(buyer.usd_per_1k_useful) < 4", False, 4.73),
        ("value(yield_ratio) > 0", True, 0.28),
        ("value(day.yield_ratio) > 0", False, -0.49),
        ("value(output_tokens_per_s) > 3000", True, 3100),
        ("value(valid) == 1", True, 1),
        ("value(test_bill.spend.cut_off) < 1", True, 0.31),
        ("value(endpoints.vllm-70b.requests.ok) > 1", True, 1946),
        ("value(run.metrics.ttft_s.p50) < 0.3", True, 0.212),
    ],
)
def test_a_gate_judges_the_number_it_names(tmp_path, gate: str, passed: bool, found: float) -> None:
    [verdict] = check(samples.seller(tmp_path), [gate])
    assert verdict.passed is passed
    assert verdict.found == pytest.approx(found)


@pytest.mark.parametrize(
    ("sample", "gate", "says"),
    [
        ("owner", "p99(ttft_s) < 100", "p99 needs n >= 299, found n=64"),
        ("buyer", "value(yield_ratio) > -10", "not measurable from outside"),
        ("buyer", "value(bound.at_best_load.batch) > 0", "no deployment declared"),
        ("undeclared", "value(usd_per_1k_useful) < 1000", "no price card and no deployment"),
        ("seller", "max(lateness_s) < 1000", "not measured"),
        ("empty", "share(failed) < 1", "no finished requests"),
        ("empty", "value(yield_ratio) > -10", "not been priced"),
        ("empty", "mean(ttft_s) < 1000", "no request was finished"),
    ],
)
def test_what_was_not_measured_fails_and_says_why(tmp_path, sample: str, gate: str, says: str) -> None:
    [verdict] = check(samples.RUNS[sample](tmp_path), [gate])
    assert not verdict.passed
    assert verdict.found is None
    assert says in verdict.reason


def test_the_headline_is_the_owners_cost_with_hardware_and_the_bill_without(tmp_path) -> None:
    [own] = check(samples.seller(tmp_path / "a"), ["value(usd_per_1k_useful) < 100"])
    [bought] = check(samples.buyer(tmp_path / "b"), ["value(usd_per_1k_useful) < 100"])
    assert (own.found, bought.found) == (3.70, 5.42)


@pytest.mark.parametrize(
    ("gates", "added"),
    [((), True), (("p90(ttft_s) < 2",), True), (("share(failed) < 0.5",), False), (("count(failed) < 5",), False)],
)
def test_failures_are_limited_unless_the_scenario_does_it(gates: tuple[str, ...], added: bool) -> None:
    assert (DEFAULT_GATE in with_default(gates)) is added


def test_verdicts_are_read_as_they_were_written(tmp_path) -> None:
    verdicts = [Verdict(gate="p99(ttft_s) < 1", passed=False, found=None, reason="p99 needs n >= 299")]
    write_verdicts(tmp_path, verdicts)
    assert read_verdicts(tmp_path) == verdicts
    (tmp_path / "verdicts.json").write_text("{")
    assert read_verdicts(tmp_path) == []


def test_a_soak_limits_how_fast_its_figures_move(tmp_path: Path) -> None:
    falling = Slope(per_hour=-30.0, low=-50.0, high=-10.0, n=20, level=1000.0)
    never = Slope(per_hour=0.0, low=-0.0004, high=0.0004, n=20, level=0.0)
    run = samples.run_result(
        slopes={"output_tokens_per_s": falling, "failed_share": never, "ttft_s": None, "j_per_output_token": None},
        reasons={"slopes.j_per_output_token": "power was neither declared nor measured"},
    )
    contents = replace(read_run_contents(samples.seller(tmp_path)), run=run)
    gates = (
        "drift(output_tokens_per_s) < 0.06", "drift(output_tokens_per_s) < 0.04", "slope(output_tokens_per_s) > -40",
        "slope(failed_share) < 0.001", "drift(failed_share) < 0.1", "drift(j_per_output_token) < 0.05",
        "value(slopes.output_tokens_per_s.low) > -60",
    )  # fmt: skip
    verdicts = judge(contents, gates)
    assert [verdict.passed for verdict in verdicts] == [True, False, True, True, False, False, True]
    assert verdicts[0].found == pytest.approx(0.05) and "of 1000 per hour, at 95 %" in verdicts[0].reason
    assert "[-50, -10]" in verdicts[2].reason and "no level" in verdicts[4].reason
    assert verdicts[5].reason == "power was neither declared nor measured"
