"""Desk: the master's (or single process's) side of a run: mints it, takes batches, closes the books, reports it."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import gevent
import msgspec
from gevent.event import Event

from harness.errors import ExitCode, TrueyieldError
from harness.load.clock import now_ns, wall_ns
from harness.load.oversaturation import Seen
from harness.load.places import child_environment
from harness.load.scenarios import Plan
from harness.load.stages import ended_stages
from harness.records import Manifest, StreamRecord, WorkerEntry
from harness.report.prometheus import LiveRun
from harness.report.tally import Figures, Tally
from loadtests.books import Books, point_latest
from loadtests.manifests import make_manifest, new_run_id
from loadtests.notes import load_notes
from loadtests.options import Start, kept_options
from loadtests.shipping import Batch, Inbox
from loadtests.startup import Prepared, Startup

log = logging.getLogger(__name__)

#: The last batches follow the users' end at once; a worker that is silent for longer counts as lost.
LAST_BATCHES_S = 15.0
#: A wall clock that moved more than this during the run makes joined times doubtful.
DRIFT_NOTE_NS = 1_000_000
#: A request of the measure window came to an end.
_ANSWERED = re.compile(rb'"stage":"measure"[^\n]*"outcome":"(?:ok|truncated|cut_in_thought)"')
#: "no": a sweep prints one table for all of its runs.
CLOSING_TABLE_VARIABLE = "TRUEYIELD_CLOSING_TABLE"


@dataclass(slots=True, kw_only=True)
class Run:
    """One run, as the desk sees it."""

    plan: Plan
    books: Books
    live: LiveRun
    tally: Tally
    began_ns: int  # monotonic
    inbox: Inbox
    expected: set[str]
    entries: dict[str, WorkerEntry] = field(default_factory=dict)
    open_calls: dict[str, tuple[int, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stopped_ns: int | None = None  # wall
    invalid: bool = False
    closing: bool = False
    answered: bool = False  # a request of the measure window was
    closed: Event = field(default_factory=Event)
    report: gevent.Greenlet | None = None

    @property
    def elapsed_ns(self) -> int:
        """Since the run began; below zero while an open loop's common start is still ahead."""
        return now_ns() - self.began_ns

    @property
    def in_flight(self) -> int:
        """Open calls of all workers."""
        return sum(in_flight for in_flight, _ in self.open_calls.values())

    def seen(self) -> Seen:
        """Calls of all workers, as they last told."""
        awaiting = sum(awaiting for _, awaiting in self.open_calls.values())
        return Seen(self.elapsed_ns / 1e9, sum(self.inbox.total.values()), self.in_flight, awaiting)


class Desk:
    """`distributed`: workers ship their lines to us; otherwise this process's own station writes records.jsonl."""

    def __init__(self, start: Start, *, distributed: bool) -> None:
        """Raises InputError where files or folders are wrong."""
        self.start = start
        self.startup = Startup(start)
        self.run: Run | None = None
        self.folders: dict[str, Path] = {}
        self.failed: TrueyieldError | None = None
        self._distributed = distributed
        self._prepared: Prepared | None = None

    def prepare(self, form: Mapping[str, str] | None, workers: int) -> Plan:
        """Check the next run; what is wrong with it is raised here, before any user exists."""
        self._prepared = self.startup.prepare(form, workers)
        return self._prepared.plan

    def begin(self, workers: set[str], users: int) -> Run:
        """Mint a run and open its books."""
        prepared = self._prepared
        if prepared is None:
            prepared = self.startup.prepare(None, max(len(workers), 1))
        self._prepared = None
        chosen_id = self.start.values["run_id"] if self.run is None else ""
        run_id = chosen_id or new_run_id(prepared.plan.scenario.name)
        scenario = replace(prepared.plan.scenario, users=users or prepared.plan.scenario.users)
        plan = replace(prepared.plan, run_id=run_id, scenario=scenario, workers=max(len(workers), 1))
        manifest = make_manifest(plan, options=kept_options(self.start, prepared.order), preflight=prepared.preflight)
        assert manifest.stages is not None
        books = Books(self.start.out, manifest, spools=self._distributed)
        if not chosen_id:
            point_latest(books.folder)
        self.run = Run(
            plan=plan,
            books=books,
            live=LiveRun(endpoint=plan.endpoint, scenario=plan.scenario.name),
            tally=Tally(plan.endpoint.price_card),
            began_ns=manifest.stages.began_ns - (wall_ns() - now_ns()),
            inbox=Inbox(run_id),
            expected=set(workers),
        )
        self.folders[run_id] = books.folder
        log.info("run %s began", books.folder)
        return self.run

    def receive(self, batch: Batch) -> None:
        """Keep the lines of one batch; a batch of another run, or one that came before, is dropped."""
        run = self.run
        if run is None or run.closed.is_set() or not run.inbox.accept(batch):
            return
        if batch.entry is not None:
            run.entries[batch.worker] = msgspec.json.decode(batch.entry, type=WorkerEntry)
            run.expected.add(batch.worker)
            if run.entries[batch.worker].final and run.stopped_ns is None:
                self.note(f"worker {batch.worker} left before the end")
            run.books.enter(batch.worker, run.entries[batch.worker])
        run.books.append(batch.lines, batch.records)
        run.books.append_answers(batch.answers)
        run.open_calls[batch.worker] = (batch.in_flight, batch.awaiting_first)
        run.answered = run.answered or _ANSWERED.search(batch.lines) is not None
        try:
            _count(run, batch)
        except Exception:  # a live view must never cost a record
            log.exception("live figures of %s are incomplete", batch.worker)

    def stopping(self) -> None:
        """No request starts from here on."""
        if self.run is not None and self.run.stopped_ns is None:
            self.run.stopped_ns = wall_ns()

    @property
    def is_stopping(self) -> bool:
        """The last run was told to stop (and the next has not begun)."""
        return self.run is not None and self.run.stopped_ns is not None

    def note(self, text: str, *, invalid: bool = False) -> None:
        """What the run itself noticed; it goes into the manifest, once."""
        if self.run is None:
            log.warning("%s", text)
        elif text not in self.run.notes:
            log.warning("%s", text)
            self.run.notes.append(text)
            self.run.invalid |= invalid

    def waits_for(self, worker: str) -> bool:
        """Whether that worker's last batch is still to come."""
        run = self.run
        return run is not None and worker in run.expected and not (worker in run.entries and run.entries[worker].final)

    def close(self, present: Any = frozenset, limit_s: float = LAST_BATCHES_S) -> None:
        """Close the books: wait for last batches of workers that are `present()`, then write the finished manifest."""
        run = self.run
        if run is None:
            return
        if run.closing:  # by another greenlet
            run.closed.wait(limit_s)
            return
        run.closing = True
        self.stopping()
        give_up_ns = now_ns() + int(limit_s * 1e9)
        while any(self.waits_for(worker) for worker in present()) and now_ns() < give_up_ns:
            gevent.sleep(0.02)
        self._note_losses(run)
        run.books.close(_finished(run), complete=not run.invalid)
        run.closed.set()
        run.report = gevent.spawn(_report, run)

    def figures(self) -> Figures:
        """Live figures of the last run; only after `begin`."""
        assert self.run is not None
        return self.run.tally.figures(now_ns())

    def last_report(self) -> Path | None:
        """Folder of the newest run whose report exists."""
        return next((folder for folder in reversed(self.folders.values()) if (folder / "report.html").is_file()), None)

    def exit_code(self) -> int | None:
        """Of the last run; waits for its report. None where no run was ever begun."""
        if self.failed is not None:
            return int(self.failed.exit_code)
        if self.run is None or self.run.report is None:
            return None
        code = int(self.run.report.get())
        invalid = self.run.invalid and code in (ExitCode.PASSED, ExitCode.GATE_FAILED)
        return int(ExitCode.INVALID) if invalid else code

    def _note_losses(self, run: Run) -> None:
        for worker in sorted(run.expected):
            if self.waits_for(worker):
                self.note(f"worker {worker} was lost: it sent no final report", invalid=True)
        for worker, count in run.inbox.missing().items():
            self.note(f"worker {worker}: {count} records were announced but did not arrive", invalid=True)
        for worker, entry in sorted(run.entries.items()):
            if entry.final and entry.records != run.inbox.received.get(worker):
                self.note(
                    f"worker {worker}: wrote {entry.records}, sent {run.inbox.received.get(worker)}", invalid=True
                )
            if entry.engine_lost:
                self.note(f"worker {worker}: its engine died", invalid=True)
            if entry.wall_end and abs(entry.wall_end.offset_ns - entry.wall.offset_ns) > DRIFT_NOTE_NS:
                moved_ms = (entry.wall_end.offset_ns - entry.wall.offset_ns) / 1e6
                self.note(f"worker {worker}: its wall clock moved by {moved_ms:.1f} ms during the run")
        run.notes += load_notes(run.plan.scenario, run.entries.values())
        if run.inbox.foreign:
            self.note(f"{run.inbox.foreign} batches of another run were dropped")


def _count(run: Run, batch: Batch) -> None:
    run.live.set_in_flight(run.in_flight, sum(awaiting for _, awaiting in run.open_calls.values()))
    wall = run.entries[batch.worker].wall if batch.worker in run.entries else None
    for line in batch.lines.splitlines():
        record = run.live.add(line, wall)
        if record is not None:  # each line is read once; the fields that a tally needs have the same names in both
            run.tally.add(cast(StreamRecord, record), wall, now_ns())


def _finished(run: Run) -> Manifest:
    manifest = run.books.manifest
    assert manifest.stages is not None and run.stopped_ns is not None
    stages = ended_stages(manifest.stages, run.plan.scenario, stopped_ns=run.stopped_ns, ended_ns=wall_ns())
    return msgspec.structs.replace(
        manifest, stages=stages, workers_expected=len(run.expected), finished=True, notes=[*manifest.notes, *run.notes]
    )


def _report(run: Run) -> int:
    """Everything behind the records is made by a process of its own: no pandas and no charts beside the load."""
    command = [sys.executable, "-m", "harness", "report", str(run.books.folder)]
    quiet = os.environ.get(CLOSING_TABLE_VARIABLE) == "no"
    child = subprocess.Popen(
        command,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        start_new_session=True,
    )
    try:
        code = child.wait()
    except BaseException:
        child.terminate()
        raise
    return code if code in set(ExitCode) else int(ExitCode.BUG)
