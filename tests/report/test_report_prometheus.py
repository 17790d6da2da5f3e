import random
import shutil
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.errors import Outcome
from harness.records import Wall, encode_record
from harness.report.prometheus import E2E_BUCKETS_S, MOST_SERIES, TTFT_BUCKETS_S, Histogram, LiveRun, metrics_page
from tests.report import report_samples as samples

WALL = Wall(offset_ns=samples.WALL_OFFSET, error_ns=100, taken_at="2026-11-21T10:15:00+00:00")


def live_run(records: int = 50, **options: object) -> LiveRun:
    live = LiveRun(**options)  # type: ignore[arg-type]
    source = random.Random(5)
    for ordinal in range(records):
        live.add(encode_record(samples.record(ordinal, source)), WALL)
    live.set_users(8)
    live.set_in_flight(7, awaiting_first=2)
    return live


def values(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(page.decode())
    return {(row.name, tuple(sorted(row.labels.items()))): row.value for family in families for row in family.samples}


def total(page: bytes, name: str, **labels: str) -> float:
    return sum(
        value
        for (found, pairs), value in values(page).items()
        if found == name and labels.items() <= dict(pairs).items()
    )


def test_the_page_tells_what_was_counted() -> None:
    live = live_run(price_of=lambda record, wall: 0.001 if record.outcome == "ok" else None)
    page = metrics_page(live)
    assert total(page, "trueyield_requests_total", outcome="ok") == 48
    assert total(page, "trueyield_requests_total", outcome="rate_limited") == 2
    assert total(page, "trueyield_input_tokens_total") == 48 * 310
    parts = total(page, "trueyield_reasoning_tokens_total") + total(page, "trueyield_answer_tokens_total")
    assert total(page, "trueyield_output_tokens_total") == parts > 0
    assert total(page, "trueyield_spend_usd_total") == pytest.approx(0.048)
    assert total(page, "trueyield_unpriced_requests_total") == 2
    assert total(page, "trueyield_ttft_seconds_count") == total(page, "trueyield_ttft_seconds_bucket", le="+Inf") == 48
    assert total(page, "trueyield_users") == 8
    assert total(page, "trueyield_in_flight_requests") == 7
    assert total(page, "trueyield_awaiting_first_token_requests") == 2
    assert total(page, "trueyield_worst_client_lag_seconds") == pytest.approx(9e-5)


def test_the_endpoints_own_card_prices_where_no_function_does() -> None:
    live = live_run(endpoint=samples.endpoint(), scenario="reasoning")
    tokens = sum(live.tokens["input"].values()) + sum(live.tokens["output"].values())
    assert live.total_usd == pytest.approx(tokens * 0.88e-6)
    assert b'scenario="reasoning"' in metrics_page(live)


def test_what_the_server_does_not_tell_has_no_series() -> None:
    page = metrics_page(live_run())
    assert not [name for name, _ in values(page) if name == "trueyield_cached_tokens_total"]
    assert total(page, "trueyield_spend_usd_total") == 0


def test_there_is_a_page_before_the_first_run() -> None:
    assert total(metrics_page(None), "trueyield_build_info") == 1


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"endpoint": 1}', b"\xff"])
def test_a_line_that_is_no_record_is_counted_apart(line: bytes) -> None:
    live = LiveRun()
    live.add(line, WALL)
    assert (live.unreadable, dict(live.requests)) == (1, {})


def test_a_record_without_a_clock_is_counted_unpriced() -> None:
    live = LiveRun(price_of=lambda record, wall: 1.0)
    live.add(encode_record(samples.record(1, random.Random(1))), None)
    assert (live.total_usd, sum(live.unpriced.values())) == (0, 1)


def test_invented_model_names_cannot_fill_the_page() -> None:
    live = LiveRun()
    source = random.Random(1)
    for number in range(3 * MOST_SERIES):
        live.add(encode_record(samples.record(1, source, model=f"m{number}")), WALL)
    assert len(live.requests) == MOST_SERIES + 1


def test_hostile_labels_stay_labels() -> None:
    live = LiveRun()
    live.add(encode_record(samples.record(1, random.Random(1), model=samples.HOSTILE + '"} 9\nx 1\\')), WALL)
    page = metrics_page(live)
    assert {name for name, _ in values(page)} == {name for name, _ in values(metrics_page(live_run(2)))} - set()
    assert total(page, "trueyield_requests_total") == 1


@pytest.mark.parametrize("limits", [TTFT_BUCKETS_S, E2E_BUCKETS_S])
def test_buckets_are_cumulative_and_hold_their_limit(limits: tuple[float, ...]) -> None:
    histogram = Histogram(limits)
    for limit in limits:
        histogram.observe(limit)
    histogram.observe(1e9)
    counts = [number for _, number in histogram.buckets()]
    assert counts == list(range(1, len(limits) + 2))


def test_only_whole_answers_have_a_length() -> None:
    live = LiveRun()
    for outcome in (Outcome.OK, Outcome.CENSORED, Outcome.TIMEOUT_TOTAL):
        live.add(encode_record(samples.record(1, random.Random(1), outcome=outcome)), WALL)
    page = metrics_page(live)
    assert total(page, "trueyield_ttft_seconds_count") == 3
    assert total(page, "trueyield_e2e_seconds_count") == 1


def test_a_master_loads_no_heavy_library_for_it() -> None:
    heavy = "{'pandas', 'plotly', 'scipy', 'pyarrow', 'numpy'}"
    code = f"import sys, harness.report.prometheus; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.system
def test_promtool_has_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    page = metrics_page(live_run(endpoint=samples.endpoint(), scenario="reasoning"))
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
