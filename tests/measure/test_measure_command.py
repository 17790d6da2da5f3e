"""`trueyield measure`: files, text in 80 columns, JSON alone on stdout, exit codes; and Parquet beside the records."""

import json
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from made_runs import S, folder, moved, record

from harness.cli.measure import command, summary
from harness.measure.parquet import table_of, write_parquet
from harness.measure.runs import measure, read_run
from harness.records import ClientLag, StreamRecord, decode_offsets


def several(n):
    return [moved(record(), k * S // 20, request_id=f"r{k}", seq=k) for k in range(n)]


def invoke(*arguments):
    return CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)


def test_it_writes_and_prints(tmp_path):
    outcome = invoke(str(folder(tmp_path, several(40))))
    assert outcome.return_value == 0
    assert "VALID" in outcome.stdout and "ttft_s" in outcome.stdout and "useful" in outcome.stdout
    assert max(len(line) for line in outcome.stdout.splitlines()) <= 80
    assert read_run(tmp_path) == measure(tmp_path)
    assert pq.read_table(tmp_path / "records.parquet").num_rows == 40


def test_json_is_one_document(tmp_path):
    outcome = invoke(str(folder(tmp_path, several(3))), "--json", "--no-parquet")
    assert json.loads(outcome.stdout) == json.loads((tmp_path / "run.json").read_text())
    assert not (tmp_path / "records.parquet").exists()


def test_an_invalid_measurement_exits_4_and_bad_input_2(tmp_path):
    assert invoke(str(folder(tmp_path, [], finished=False)), "--no-parquet").return_value == 4
    missing = subprocess.run(
        [sys.executable, "-m", "harness", "measure", str(tmp_path / "nowhere")], capture_output=True, text=True
    )
    assert missing.returncode == 2 and "manifest.json" in missing.stderr and "Traceback" not in missing.stderr


def test_parquet_holds_every_field_and_the_metrics(tmp_path):
    lag = ClientLag(mean=1.5, p99=2.5, max=3)
    records = [*several(2), record(request_id="x", client_lag_ns=lag, server_times={"queue": 0.5}, delta_offsets=None)]
    rows = table_of(records).to_pylist()
    assert set(StreamRecord.__struct_fields__) - set(rows[0]) == {"client_lag_ns", "delta_offsets"}
    assert rows[0]["delta_offsets_us"] == list(decode_offsets(records[0].delta_offsets))
    assert rows[2]["delta_offsets_us"] == [] and rows[2]["client_lag_ns_p99"] == 2.5
    assert json.loads(rows[2]["server_times"]) == {"queue": 0.5}
    assert rows[0]["ttft_s"] == pytest.approx(0.2) and rows[0]["outcome"] == "ok" and rows[0]["done_seen"] is True
    assert write_parquet(folder(tmp_path, [])).exists()


def test_twenty_thousand_records_take_seconds_not_minutes(tmp_path):
    path = folder(tmp_path, several(20_000))
    begin = time.perf_counter()
    result = measure(path)
    assert result.requests.total == 20_000
    assert time.perf_counter() - begin < 10


def test_summary_of_a_run_without_anything(tmp_path):
    assert summary(measure(folder(tmp_path, [], stages=None)))
