"""A run is invalid when the instrument failed, and only then; load states come from evidence."""

import pytest
from made_runs import MS, S, folder, moved, record, worker

from harness.errors import Outcome
from harness.measure.load_state import Level, levels_of
from harness.measure.runs import measure
from harness.records import ClientLag


def lagging(clock, p99_ms):
    return {"clock": clock, "client_lag_ns": ClientLag(mean=1e5, p99=p99_ms * 1e6, max=int(p99_ms * 1e6))}


def run(n=40, **changes):
    return [moved(record(**changes), k * 200 * MS, request_id=f"r{k}", seq=k) for k in range(n)]


@pytest.mark.parametrize(
    ("records", "changes", "reason"),
    [
        (run(), {}, None),
        (run(), {"finished": False}, "final report is missing"),
        (run(), {"workers": {"w": worker(final=False)}}, "worker w was lost"),
        (run(), {"workers": {"w": worker(records=41)}}, "worker w wrote 41 records, 40 are here"),
        (run(), {"workers": {"w": worker(records=40)}}, None),
        (run(), {"workers_expected": 2}, "1 of 2 workers never reported"),
        (run(), {"workers": {"w": worker(engine_lost=True)}}, "engine of worker w died"),
        (
            [*run(), moved(record(outcome=Outcome.ENGINE_LOST), 0, request_id="x")],
            {},
            "1 requests ended as engine_lost",
        ),
        (run(outcome=Outcome.HTTP_ERROR), {}, "no request was delivered .* mostly http_error"),
        (run(stage="warmup"), {}, "no request began in it"),
        (run(**lagging("user", 4)), {}, None),
        (run(**lagging("user", 6)), {}, "p90 6.0 ms > 5 ms .n=40. on the user clock"),
        (run(**lagging("kernel", 6)), {}, None),
        (run(**lagging("kernel", 400)), {}, "read late"),
        (run(planned_ns=S - 51 * MS), {}, None),
        (run(planned_ns=S - 151 * MS), {}, "started calls late"),
        # a few failures of the endpoint are data
        ([*run(), moved(record(outcome=Outcome.CUT), 0, request_id="x")], {}, None),
    ],
)
def test_validity(tmp_path, records, changes, reason):
    result = measure(folder(tmp_path, records, **changes))
    assert result.valid is (reason is None), result.invalid_reasons
    if reason:
        import re

        assert any(re.search(reason, said) for said in result.invalid_reasons), result.invalid_reasons


def test_a_queue_in_front_of_the_endpoint_is_saturation(tmp_path):
    quick = moved(record(), 0, request_id="first", stage="warmup")
    queued = [
        moved(record(), k * 50 * MS, request_id=f"q{k}", sent_last_ns=S - 2 * S + k * 50 * MS + 2 * S - 800 * MS)
        for k in range(180)
    ]
    result = measure(folder(tmp_path, [quick, *queued]))
    assert result.load.state == "saturated", result.load
    assert "requests queued" in result.load.evidence[0]


def test_refusals_are_saturation_and_a_busy_run_is_unknown(tmp_path):
    busy = [moved(record(), k * 100 * MS - S, request_id=f"r{k}") for k in range(100)]
    assert measure(folder(tmp_path, busy)).load.state == "unknown"
    refused = [moved(record(outcome=Outcome.RATE_LIMITED), k * S, request_id=f"x{k}") for k in range(5)]
    assert measure(folder(tmp_path, [*busy, *refused])).load.state == "saturated"


@pytest.mark.parametrize(
    ("levels", "states"),
    [
        ([(1, 100, None)], ["unknown"]),
        ([(1, 100, None), (2, 195, None), (4, 210, None)], ["demand_limited", "saturated", "saturated"]),
        ([(1, 100, True), (2, 190, True), (4, 360, False)], ["demand_limited", "at_slo_knee", "demand_limited"]),
        ([(1, 100, True), (2, 190, True)], ["demand_limited", "demand_limited"]),
        ([(1, 100, False), (2, 100, False)], ["saturated", "saturated"]),
    ],
)
def test_levels_of_a_sweep(levels, states):
    found = levels_of([Level(size=u, output_tokens_per_s=rate, slos_hold=ok) for u, rate, ok in levels])
    assert [load.state for load in found] == states
    assert all(load.evidence for load in found)
