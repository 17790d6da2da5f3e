"""Ten minutes of a trace replayed in one, by 1, 2 and 4 workers: every row leaves once, at its time.

A machine that is shared stops now and then for tens of milliseconds. Where the test may (root), no CPU sleeps, and a
watch on each, above everything else, notes when that was. Of the run with fewer such moments, the calls are judged
that none of them held up; all are told.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.measure.runs import measure
from harness.records import Manifest
from tests.loadtests.locust_processes import MODEL, Folder, locust, process, run_folder, simulate, spread
from tests.machine import held_up, quietest, stalls_in

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400)]

SECONDS, SCALE, RATE = 600, 10, 4.0
SCENARIO = f"""
description: ten minutes of a trace in one
workload: {{families: [arithmetic], difficulty: 1}}
users: 1
run_time_s: {SECONDS / SCALE + 1}
warm_up_s: 0
stop_timeout_s: 20
arrivals: {{kind: trace, trace: trace.jsonl, time_scale: {SCALE}}}
"""
#: judged: sent - planned
P99_MS = 5.0


def rows(seed: int = 7) -> Iterator[str]:
    """Bursty arrivals (cv 2) with prompts of a few hundred tokens, some of whose blocks are shared."""
    draw, at_s = random.Random(seed), 0.0
    while (at_s := at_s + draw.gammavariate(0.25, 4 / RATE)) < SECONDS:
        tokens = min(4000, round(draw.lognormvariate(6.2, 0.8)) + 40)
        ids = [draw.randrange(8)] * (tokens > 512) + [1000 + draw.randrange(1 << 20) for _ in range(tokens // 512)]
        row = {"timestamp": round(at_s * 1000), "input_length": tokens, "output_length": draw.randint(1, 24)}
        yield json.dumps({**row, "hash_ids": ids})


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_every_row_leaves_once_at_its_time(workers: int, tmp_path: Path, outcome: Callable[[str, str], None]) -> None:
    lines = list(rows())
    home, folder = quietest(tmp_path, lambda home: _replay(home, lines, workers))
    sent = Counter(int((record.prompt_id or "").rpartition(":")[2]) for record in folder.records)
    assert sent == Counter(range(len(lines))), "every row once"
    assert len({record.worker for record in folder.records}) == workers
    result = measure(folder.path)
    assert result.requests.not_sent == 0 and result.requests.planned == len(lines)
    planned, left = (
        np.array([getattr(r, name) for r in folder.records]) / 1e9 for name in ("planned_ns", "sent_last_ns")
    )
    late_ms = (left - planned) * 1e3
    assert late_ms.min() >= 0, "nothing leaves before its time"
    _on_the_plan(folder.manifest, lines, folder.records)
    held = held_up(stalls_in(home), np.column_stack([planned, left]))
    p50, p99, most = np.quantile(late_ms, [0.5, 0.99, 1])
    own = late_ms[~held]
    outcome(
        f"trace of {len(lines)} rows at {SCALE}x, {workers} workers, sent - planned",
        f"median {p50:.1f}, p99 {p99:.1f}, max {most:.1f} ms; without the {held.sum()} that the machine held up: "
        f"p99 {np.quantile(own, 0.99):.1f}, max {own.max():.1f} ms; none lost",
    )
    assert np.quantile(own, 0.99) <= P99_MS


def _replay(home: Path, lines: list[str], workers: int) -> Folder:
    """One run of the whole trace."""
    (home / "trace.jsonl").write_text("\n".join(lines))
    (home / "mine.yaml").write_text(SCENARIO)
    with simulate(home) as simulator:
        target = ["--endpoint", simulator.url, "--model", MODEL, "--scenario", "mine.yaml", "--out", str(home)]
        with process(locust("--headless", *target, *spread(workers)), home) as child:
            assert child.wait(150) in (0, 4), child.output.read_text()
    return run_folder(home)


def _on_the_plan(manifest: Manifest, lines: list[str], records: list) -> None:  # type: ignore[type-arg]
    """Planned times are the trace's on the common clock, whoever sent them."""
    assert manifest.stages is not None
    stamps = [json.loads(line)["timestamp"] for line in lines]
    for record in records:
        index = int((record.prompt_id or "").rpartition(":")[2])
        wall_ns = record.planned_ns + manifest.workers[record.worker].wall.offset_ns
        due_s = (stamps[index] - stamps[0]) / 1000 / SCALE
        assert (wall_ns - manifest.stages.began_ns) / 1e9 == pytest.approx(due_s, abs=0.02)
