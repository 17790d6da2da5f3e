"""What each tool says it measured, read from its own export: one `Seen` per request, in the order of the file."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import split_by_connection
from harness.records import decode_offsets


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as a tool reports it; ms. `started` is on a clock of the tool's own, for order only."""

    ttft_ms: float
    request_id: str = ""
    started: float | None = None
    gaps_ms: tuple[float, ...] | None = None
    mean_gap_ms: float | None = None


def read_stamps(folder: Path) -> list[Seen]:
    """The small clients of `users/`: a line of stamps per request."""
    return [_from_stamps(json.loads(line)) for line in (folder / "stamps.jsonl").read_text().splitlines()]


def _from_stamps(line: dict[str, object]) -> Seen:
    sent_ns, deltas_ns = line["sent_ns"], line["deltas_ns"]
    gaps = tuple((after - before) / 1e6 for before, after in zip(deltas_ns, deltas_ns[1:], strict=False))
    return Seen(request_id=line["request_id"], ttft_ms=(deltas_ns[0] - sent_ns) / 1e6, gaps_ms=gaps)


def read_trueyield(folder: Path) -> list[Seen]:
    """Our own records: TTFT from the last request byte, offsets from the same moment."""
    (run,) = [path for path in (folder / "out").iterdir() if path.is_dir() and not path.is_symlink()]
    return list(_from_records(run))


def _from_records(run: Path) -> Iterator[Seen]:
    for record in sum(split_by_connection(run), []):
        if record.delta_offsets is not None:
            at_ms = [offset / 1e3 for offset in decode_offsets(record.delta_offsets)]
            gaps = tuple(after - before for before, after in zip(at_ms, at_ms[1:], strict=False))
            yield Seen(request_id=record.request_id, ttft_ms=at_ms[0], gaps_ms=gaps)


def read_evalscope(folder: Path) -> list[Seen]:
    """The table of requests in benchmark_data.db, seconds."""
    (database,) = (folder / "out").glob("**/benchmark_data.db")
    query = "select start_time, first_chunk_latency, inter_token_latencies from result where success"
    with closing(sqlite3.connect(database)) as open_database:
        return [
            Seen(started=started, ttft_ms=ttft * 1e3, gaps_ms=tuple(gap * 1e3 for gap in json.loads(gaps)))
            for started, ttft, gaps in open_database.execute(query)
        ]


def read_aiperf(folder: Path) -> list[Seen]:
    """profile_export.jsonl, ms; chunks without content are not in its gaps."""
    lines = (folder / "out" / "profile_export.jsonl").read_text().splitlines()
    return [_from_aiperf(json.loads(line)) for line in lines]


def _from_aiperf(line: dict[str, dict]) -> Seen:
    told = line["metrics"]
    return Seen(
        request_id=line["metadata"]["x_request_id"],
        ttft_ms=told["time_to_first_token"]["value"],
        gaps_ms=tuple(told["inter_chunk_latency"]["value"]),
    )


def read_guidellm(folder: Path) -> list[Seen]:
    """The successful requests of its JSON report, ms; one mean gap a request."""
    (benchmark,) = json.loads((folder / "out.json").read_text())["benchmarks"]
    return [
        Seen(
            started=told["request_start_time"],
            ttft_ms=told["time_to_first_token_ms"],
            mean_gap_ms=told["inter_token_latency_ms"],
        )
        for told in benchmark["requests"]["successful"]
    ]


def read_genai_bench(folder: Path) -> list[Seen]:
    """individual_request_metrics, seconds, in order of completion; one mean gap a request, no start and no id."""
    (report,) = (folder / "out").glob("D*.json")
    requests = json.loads(report.read_text())["individual_request_metrics"]
    return [Seen(ttft_ms=told["ttft"] * 1e3, mean_gap_ms=_ms(told["tpot"])) for told in requests if told["ttft"]]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
