"""Conversations in real Locust processes: what a server receives turn by turn, what a prefix cache makes of it."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from locust_processes import MODEL, Folder, Simulator, locust, process, run_folder, spread
from raw_server import DONE, HEAD, LAST, ROLE, RawServer, Visit, frame
from stream_corpus import chunk, event, said, usage

from harness.errors import FAILED, Outcome
from harness.load.calls import Finished
from harness.load.conversations import Setting, begun, continued, pause_s, prompt_of, turns_of
from harness.load.prompts import system_message
from harness.load.ruler import Ruler
from harness.load.scenarios import Workload
from harness.measure.runs import measure
from harness.providers import RequestOptions
from harness.records import StreamRecord
from harness.simulator.texts import render_prompt, tokens_in

SCENARIO = """
description: conversations
workload: {workload}
users: {users}
run_time_s: {seconds}
warm_up_s: 0
stop_timeout_s: 10
arrivals: {arrivals}
"""
PROVIDERS = """
endpoints:
  talker:
    base_url: {url}
    model: m
    request: {{keeps_reasoning: {keeps}}}
"""
Serve = Callable[[Callable[[Visit], None]], RawServer]


def run(
    folder: Path, workload: dict[str, Any], *target: str, users: int = 3, seconds: float = 4, arrivals: str = "{}"
) -> Folder:
    file = folder / "talk.yaml"
    says = json.dumps(workload, ensure_ascii=False)
    file.write_text(SCENARIO.format(workload=says, users=users, seconds=seconds, arrivals=arrivals))
    command = locust("--headless", "--scenario", str(file), "--out", str(folder), *target)
    with process(command, folder) as child:
        # 3: a server that breaks off fails the gate on failures; 4: a busy machine starts calls late
        assert child.wait(60) in (0, 3, 4), child.output.read_text()  # type: ignore[attr-defined]
    return run_folder(folder)


def by_conversation(folder: Folder) -> dict[int, list[StreamRecord]]:
    """Records of each conversation in the order of its turns."""
    found: dict[int, list[StreamRecord]] = {}
    for record in sorted(folder.records, key=lambda record: record.started_ns):
        assert record.conversation is not None and record.turn is not None
        found.setdefault(record.conversation, []).append(record)
    for records in found.values():
        assert [record.turn for record in records] == list(range(1, len(records) + 1))
    return found


# -- what a server receives


def asked(visit: Visit) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(visit.request.partition(b"\r\n\r\n")[2])
    return body


def thoughtful(visit: Visit) -> None:
    """Thinks, answers, and tells which question it was."""
    number = len(asked(visit)["messages"])
    visit.send(HEAD + frame(ROLE) + frame(said("thought ", name="reasoning_content")[0]))
    visit.send(frame(said(f"answer {number}")[0]) + frame(event(chunk({}, "stop"))))
    visit.send(frame(event(chunk(usage=usage(10 * number, 5)))) + frame(DONE) + LAST)


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[RawServer] = []

    def start(script: Callable[[Visit], None]) -> RawServer:
        servers.append(RawServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def talk_to(server: RawServer, folder: Path, keeps: bool = False, **workload: Any) -> tuple[Folder, list[Any]]:
    """A run of one user; the messages of its requests, the preflight's left out."""
    providers = folder / "providers.yaml"
    providers.write_text(PROVIDERS.format(url=server.url, keeps=str(keeps).lower()))
    own = {"families": ["arithmetic", "units_zh"], "difficulty": 1, "turns": 3, "think_time": 0.05} | workload
    ran = run(folder, own, "--providers", str(providers), "--endpoint", "talker", users=1, seconds=3)
    return ran, [asked(visit)["messages"] for visit in server.visits if b"-w0-" in visit.request]


def test_a_server_receives_the_whole_history_and_no_thought(serve: Serve, tmp_path: Path) -> None:
    folder, received = talk_to(serve(thoughtful), tmp_path, system="Be brief.")
    assert len(received) >= 6 and len(received) == len(folder.records)
    for number in range(0, len(received) - 2, 3):
        first, second, third = received[number : number + 3]
        assert [message["role"] for message in first] == ["system", "user"]
        assert first[0]["content"].endswith("]\nBe brief.") and first[0] == received[0][0]
        assert second[:3] == [*first, {"role": "assistant", "content": "answer 2"}] and len(second) == 4
        assert third[:5] == [*second, {"role": "assistant", "content": "answer 4"}] and len(third) == 6
        assert "题目" in second[3]["content"] + third[5]["content"], "the Chinese family has its turn"
    assert "thought" not in json.dumps(received)


def test_an_endpoint_that_wants_its_thoughts_back_gets_them(serve: Serve, tmp_path: Path) -> None:
    _, received = talk_to(serve(thoughtful), tmp_path, keeps=True)
    assert received[1][1] == {"role": "assistant", "content": "answer 1", "reasoning_content": "thought "}


def test_a_turn_that_fails_ends_its_conversation_and_the_user_begins_another(serve: Serve, tmp_path: Path) -> None:
    def breaks_off(visit: Visit) -> None:
        if len(asked(visit)["messages"]) == 3:  # every second turn
            visit.send(HEAD + frame(ROLE) + frame(said("half")[0]))
            visit.reset()
        else:
            thoughtful(visit)

    folder, received = talk_to(serve(breaks_off), tmp_path)
    talks = by_conversation(folder)
    second = [records[1].outcome for records in talks.values() if len(records) == 2]
    failed = [outcome for outcome in second if outcome is not Outcome.CENSORED]  # the end of the run may be first
    assert len(failed) >= 2 and set(failed) <= FAILED
    assert {len(messages) for messages in received} == {1, 3}, "no third turn was ever asked"
    assert sorted(talks) == list(range(len(talks)))


def test_a_user_who_thinks_leaves_at_once_when_the_run_ends(serve: Serve, tmp_path: Path) -> None:
    begin = time.monotonic()
    folder, _ = talk_to(serve(thoughtful), tmp_path, think_time=600)
    assert time.monotonic() - begin < 20
    assert len(folder.records) == 1 and folder.manifest.finished


# -- against the simulator


TALK = {"families": ["arithmetic", "dates_zh"], "difficulty": 1, "turns": "uniform(2,4)", "max_tokens": 256}


def target(simulator: Simulator) -> list[str]:
    return ["--endpoint", simulator.url, "--model", MODEL]


def rebuilt(folder: Folder) -> Setting:
    """The setting that the run's only worker had."""
    stated = folder.manifest.scenario["workload"]
    workload = Workload(**{**stated, "families": tuple(stated["families"])})
    run_id = folder.manifest.run_id
    return Setting(
        workload=workload, seed=folder.manifest.seed, run_id=run_id, nonce=f"{run_id}.w0", ruler=Ruler(),
        request=RequestOptions(), system=system_message(workload, run_id),
    )  # fmt: skip


def test_input_tokens_grow_by_what_was_said_and_the_history_is_cached(simulator: Simulator, tmp_path: Path) -> None:
    folder = run(tmp_path, TALK | {"system": "Mind the units. " * 40}, *target(simulator), seconds=6)
    where, talks = rebuilt(folder), by_conversation(folder)
    lines = (folder.path / "answers.jsonl").read_text().splitlines()
    answers = {line["request_id"]: line["answer"] for line in map(json.loads, lines)}
    whole = [
        number for number, records in talks.items() if len(records) == turns_of(where.workload, where.seed, number)
    ]
    assert len(whole) >= 4, "some conversations came to their end"
    for number, records in talks.items():
        talk, before = begun(where, number), 0
        for record in records:
            prompt = prompt_of(where, talk)
            assert record.prompt_id == prompt.prompt_id
            assert record.input_tokens == tokens_in(render_prompt(prompt.messages)), "all of it, letter by letter"
            assert before <= (record.cached_tokens or 0) + 16, "all of the turn before but its last block is cached"
            before = record.input_tokens or 0
            if record.outcome is not Outcome.OK:
                break
            after = continued(where, talk, prompt, (record, Finished(0, b"", answers[record.request_id])))
            assert (after is None) == (record.turn == talk.turns)
            talk = after or talk
    turns = measure(folder.path).turns
    assert [turn.turn for turn in turns] == [1, 2, 3, 4][: len(turns)] and len(turns) >= 3
    inputs, shares = [turn.input_tokens or 0 for turn in turns], [turn.cached_share or 0 for turn in turns]
    assert inputs == sorted(inputs) and all(share > 0.7 for share in shares[1:])
    assert not any("by design" in note for note in measure(folder.path).notes), "a history is there to be hit"


@pytest.mark.parametrize("processes", [1, 2])
def test_any_number_of_workers_holds_the_same_conversations(
    simulator: Simulator, tmp_path: Path, processes: int
) -> None:
    folder = run(tmp_path, TALK, *target(simulator), *spread(processes), users=4, seconds=4)
    talks = by_conversation(folder)
    where = rebuilt(folder)
    assert len({record.worker for record in folder.records}) == processes
    assert set(range(8)) <= set(talks), "numbers are shared out from 0 on"
    for number, records in talks.items():
        talk = begun(where, number)
        assert len(records) <= talk.turns
        for record in records:
            assert record.prompt_id == prompt_of(where, talk).prompt_id
            talk = talk if record.turn == talk.turns else next_turn(where, talk)


def next_turn(where: Setting, talk: Any) -> Any:
    record = StreamRecord(
        run_id="r", request_id="q", worker="w0", seq=0, endpoint="e", model="m", scenario="s", stage="measure",
        started_ns=0, ended_ns=1, outcome=Outcome.OK,
    )  # fmt: skip
    return continued(where, talk, prompt_of(where, talk), (record, Finished(0, b"", "any")))


def test_think_time_passes_between_an_answer_and_the_next_question(simulator: Simulator, tmp_path: Path) -> None:
    folder = run(tmp_path, TALK | {"think_time": "lognormal(0.4,0.5)"}, *target(simulator), users=2, seconds=6)
    where, waited = rebuilt(folder), 0
    for number, records in by_conversation(folder).items():
        talk = begun(where, number)
        for before, after in zip(records, records[1:], strict=False):
            planned = pause_s(where, talk)
            passed = (after.started_ns - before.ended_ns) / 1e9
            assert planned - 0.002 <= passed <= planned + 0.25, (number, before.turn)
            talk, waited = next_turn(where, talk), waited + 1
    assert waited >= 5
    assert os.path.exists(folder.path / "answers.jsonl")


# -- in front of a queue

#: Longer than a record takes from the engine to Locust on a machine that runs tests.
HEARD_NS = 250_000_000


@pytest.mark.parametrize("processes", [1, 2])
def test_a_queue_lets_those_go_on_who_have_thought(simulator: Simulator, tmp_path: Path, processes: int) -> None:
    own = TALK | {"think_time": "lognormal(0.4,0.5)", "max_tokens": 48}
    arrivals = "{kind: queued, ahead: 4, max_in_flight: 12}"
    folder = run(tmp_path, own, *target(simulator), *spread(processes), seconds=6, arrivals=arrivals)
    talks, where = by_conversation(folder), rebuilt(folder)
    assert len({record.worker for record in folder.records}) == processes
    assert set(range(12)) <= set(talks), "numbers are shared out from 0 on"
    assert all(record.planned_ns is None for record in folder.records), "a queue plans nothing"
    due: list[tuple[int, StreamRecord]] = []
    for number, records in talks.items():
        talk = begun(where, number)
        assert len(records) <= talk.turns and len({record.worker for record in records}) == 1
        for place, record in enumerate(records):
            assert record.prompt_id == prompt_of(where, talk).prompt_id
            if place + 1 < len(records):
                due.append((record.ended_ns + round(pause_s(where, talk) * 1e9), records[place + 1]))
                assert records[place + 1].started_ns >= due[-1][0]
                talk = next_turn(where, talk)
    ended = [number for number, records in talks.items() if len(records) == begun(where, number).turns]
    assert len(ended) > 8, "many came to their last turn"
    for first in (records[0] for records in talks.values()):
        overlooked = [
            after for due_ns, after in due
            if after.worker == first.worker and due_ns + HEARD_NS < first.started_ns < after.started_ns
        ]  # fmt: skip
        assert not overlooked, "somebody had thought and waited, and a new conversation began"
    for records in talks.values():
        for before, after in zip(records, records[1:], strict=False):
            assert (before.input_tokens or 0) <= (after.cached_tokens or 0) + 16, "a history is there to be hit"
