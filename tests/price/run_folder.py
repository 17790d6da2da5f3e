"""Run folders that tests of money write by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from harness.measure.results import Load, Mix, Requests, RunResult, Throughput, Tokens, Useful
from harness.measure.runs import write_run
from harness.providers import Endpoint
from harness.records import Manifest, Stages, StreamRecord, WorkerEntry, encode_record, write_manifest
from tests.price.records import EPOCH_S, SECOND, WALL

BEGAN_NS = EPOCH_S * SECOND


def result(**fields: Any) -> RunResult:
    """A valid run of 100 s: 1,000 output tok/s, 8 useful answers of 10, 20 decoding on average."""
    base = RunResult(
        run_id="r",
        valid=True,
        invalid_reasons=(),
        load=Load(state="unknown"),
        window_s=100.0,
        requests=Requests(planned=None, total=0, ok=0, failed=0, censored=0),
        outcomes={},
        tokens=Tokens(),
        window_tokens=Tokens(),
        metrics={},
        throughput=Throughput(requests_per_s=2.5, output_tokens_per_s=1000.0, input_tokens_per_s=250.0),
        goodput=None,
        useful=Useful(
            total=10, count=8, share=0.8, share_low=0.49, share_high=0.94, graded=10, right=8, why_not={"wrong": 2}
        ),
        mix=Mix(
            isl_tokens=100.0,
            osl_tokens=400.0,
            reasoning_share=0.75,
            cached_share=0.2,
            mean_in_flight=24.0,
            mean_decoding=20.0,
        ),
        endpoints={},
    )
    return replace(base, **fields)


def write_folder(
    folder: Path, endpoint: Endpoint, records: Sequence[StreamRecord], run: RunResult | None = None, **scenario: Any
) -> Path:
    """manifest.json, records.jsonl and run.json: warm-up 10 s, window 100 s, drain 5 s."""
    manifest = Manifest(
        run_id="r",
        trueyield_version="0",
        created_at="2026-11-20T02:00:00Z",
        seed=1,
        scenario=scenario,
        endpoint=msgspec.to_builtins(endpoint),
        stages=Stages(
            began_ns=BEGAN_NS,
            measure_begin_ns=BEGAN_NS + 10 * SECOND,
            measure_end_ns=BEGAN_NS + 110 * SECOND,
            ended_ns=BEGAN_NS + 115 * SECOND,
        ),
        workers={"w": WorkerEntry(wall=WALL, host="h", pid=1, records=len(records), final=True)},
        finished=True,
    )
    write_manifest(folder, manifest)
    (folder / "records.jsonl").write_bytes(b"".join(encode_record(one) + b"\n" for one in records))
    write_run(folder, run or result())
    return folder
