"""Conversations that begin at planned times, in real Locust processes: which turns are planned when, and none lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from locust_processes import MODEL, Folder, Simulator, locust, process, run_folder, spread, started, stop, wait_for

from harness.errors import FAILED, Outcome
from harness.load.calls import Finished
from harness.load.conversations import Conversation, Setting, begun, continued, pause_s, prompt_of
from harness.load.prompts import system_message
from harness.load.ruler import Ruler
from harness.load.scenarios import Workload
from harness.measure.runs import measure
from harness.providers import RequestOptions
from harness.records import StreamRecord

TALK = {"families": ["arithmetic", "units_zh"], "difficulty": 1, "turns": "uniform(2,4)", "max_tokens": 24}
SCENARIO = """
description: conversations that begin at planned times
workload: {workload}
users: 3
run_time_s: {seconds}
warm_up_s: 0
stop_timeout_s: 10
arrivals: {arrivals}
"""
GOES_ON = (Outcome.OK, Outcome.TRUNCATED)


def command(simulator: Simulator, out: Path, arrivals: str, *arguments: str, **changes: Any) -> list[str]:
    seconds, file = changes.pop("seconds", 5), out / "talk.yaml"
    file.write_text(SCENARIO.format(workload=json.dumps(TALK | changes), arrivals=arrivals, seconds=seconds))
    target = ["--endpoint", simulator.url, "--model", MODEL, "--scenario", str(file), "--out", str(out)]
    return locust("--headless", *target, *arguments)


def ran(simulator: Simulator, out: Path, arrivals: str, *arguments: str, **changes: Any) -> Folder:
    with process(command(simulator, out, arrivals, *arguments, **changes), out) as child:
        # 3: cut in thought fails the gate on failures; 4: a busy machine starts calls late
        assert child.wait(60) in (0, 3, 4), child.output.read_text()  # type: ignore[attr-defined]
    folder = run_folder(out)
    assert folder.manifest.finished
    assert sum(entry.records or 0 for entry in folder.manifest.workers.values()) == len(folder.records)
    return folder


def by_conversation(folder: Folder) -> dict[int, list[StreamRecord]]:
    found: dict[int, list[StreamRecord]] = {}
    for record in sorted(folder.records, key=lambda record: record.turn or 0):
        assert record.conversation is not None and record.planned_ns is not None
        found.setdefault(record.conversation, []).append(record)
    for records in found.values():
        assert [record.turn for record in records] == list(range(1, len(records) + 1))
        assert len({record.worker for record in records}) == 1, "who began a conversation goes on with it"
    return found


def planned_s(folder: Folder, record: StreamRecord) -> float:
    """Since the common start, by the wall clock."""
    assert folder.manifest.stages is not None and record.planned_ns is not None
    return (record.planned_ns + folder.manifest.workers[record.worker].wall.offset_ns - began_ns(folder)) / 1e9


def began_ns(folder: Folder) -> int:
    assert folder.manifest.stages is not None
    return folder.manifest.stages.began_ns


def setting(folder: Folder, **changes: Any) -> Setting:
    own = {name: str(value) if name in ("turns", "think_time") else value for name, value in (TALK | changes).items()}
    workload = Workload(**{**own, "families": tuple(own["families"])})
    return Setting(
        workload=workload, seed=1, run_id=folder.path.name, nonce="", ruler=Ruler(), request=RequestOptions(),
        system=system_message(workload, ""),
    )  # fmt: skip


def next_turn(where: Setting, talk: Conversation) -> Conversation | None:
    record = StreamRecord(
        run_id="r", request_id="q", worker="w0", seq=0, endpoint="e", model="m", scenario="s", stage="measure",
        started_ns=0, ended_ns=1, outcome=Outcome.OK,
    )  # fmt: skip
    return continued(where, talk, prompt_of(where, talk), (record, Finished(0, b"", "any")))


@pytest.mark.parametrize("processes", [1, 2])
def test_every_turn_is_planned_behind_its_answer_and_its_pause_and_none_is_lost(
    simulator: Simulator, tmp_path: Path, processes: int
) -> None:
    """Constant arrivals of 12 requests/s, three turns on average: conversation k begins at k / 4 s, on any workers."""
    changes: dict[str, Any] = {"think_time": "lognormal(0.4,0.5)"}
    folder = ran(simulator, tmp_path, "{kind: constant, rate: 12}", *spread(processes), **changes)
    talks, where = by_conversation(folder), setting(folder, **changes)
    assert sorted(talks) == list(range(20)), "5 s of 4 conversations/s"
    assert len({record.worker for record in folder.records}) == processes
    for number, records in talks.items():
        talk: Conversation | None = begun(where, number)
        assert planned_s(folder, records[0]) == pytest.approx(number / 4, abs=0.02)
        for place, record in enumerate(records):
            assert talk is not None and record.prompt_id == prompt_of(where, talk).prompt_id
            due_ns = record.ended_ns + round(pause_s(where, talk) * 1e9)
            talk = next_turn(where, talk) if record.outcome in GOES_ON else None
            if place + 1 < len(records):
                assert abs((records[place + 1].planned_ns or 0) - due_ns) <= 2, "to the nanosecond"
            elif talk is not None:  # it was to go on, but not within the run
                due_s = (due_ns + folder.manifest.workers[record.worker].wall.offset_ns - began_ns(folder)) / 1e9
                assert due_s >= 5 - 0.02
    result = measure(folder.path)
    assert result.requests.planned == len(folder.records) and result.requests.not_sent == 0
    assert any("12 requests/s = 4 conversations/s x 3 turns" in note for note in folder.manifest.notes)
    assert len(result.turns) >= 2 and result.turns[1].input_tokens > result.turns[0].input_tokens  # type: ignore[operator]


def test_the_same_seed_plans_the_same_conversations_on_one_worker_and_on_two(
    simulator: Simulator, tmp_path: Path
) -> None:
    plans = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        folder = ran(simulator, out, "{kind: gamma, rate: 20, cv: 2}", *spread(processes), seconds=3)
        firsts = [record for record in folder.records if record.turn == 1]
        plans.append({record.conversation: (planned_s(folder, record), record.prompt_id) for record in firsts})
    one, two = plans
    assert one.keys() == two.keys() == set(range(len(one))) and len(one) > 8
    for number, (at_s, prompt_id) in one.items():
        assert two[number][1] == prompt_id and two[number][0] == pytest.approx(at_s, abs=0.02)


def test_a_cap_that_refuses_ends_the_conversation_and_is_counted(simulator: Simulator, tmp_path: Path) -> None:
    folder = ran(simulator, tmp_path, "{kind: poisson, rate: 60}", "--max-in-flight", "1", max_tokens=64, seconds=3)
    result = measure(folder.path)
    assert result.requests.not_sent > 20
    assert result.requests.planned == len(folder.records) + result.requests.not_sent
    assert any("NOT SENT" in note for note in result.notes)
    by_conversation(folder)
    broken_off = folder.manifest.workers["w0"].broken_off
    assert broken_off >= result.requests.not_sent, "of a conversation that was refused nothing more is asked"
    assert any(note.startswith(f"{broken_off} conversations ended before") for note in folder.manifest.notes)


def test_a_stopped_run_plans_nothing_more_and_keeps_what_was_open(simulator: Simulator, tmp_path: Path) -> None:
    arguments = command(simulator, tmp_path, "{kind: poisson, rate: 15}", think_time="0.3", seconds=60)
    with process(arguments, tmp_path) as child:
        folder = started(tmp_path, 6)
        wait_for(lambda: any(b'"turn":2' in file.read_bytes() for file in folder.path.rglob("*.jsonl")))
        assert stop(child) in (0, 3, 4)
    assert folder.manifest.finished and folder.manifest.stages is not None
    assert 5 < len(folder.records) < 200
    stopped_s = ((folder.manifest.stages.measure_end_ns or 0) - began_ns(folder)) / 1e9
    assert max(planned_s(folder, record) for record in folder.records) <= stopped_s + 0.25
    assert any(record.turn and record.turn > 1 for record in folder.records)
    assert not any(record.outcome in FAILED - {Outcome.CUT_IN_THOUGHT} for record in folder.records)
    by_conversation(folder)
