"""Books: one run's folder while the run goes on. Lines go in unparsed; manifest.json is written at both ends."""

import os
import shutil
from pathlib import Path

import msgspec

from harness.errors import InputError, Mistake
from harness.records import Manifest, WorkerEntry, write_manifest
from loadtests.spool import Spool


class Books:
    """Opens with a manifest, closes with the finished one."""

    def __init__(self, out: Path, manifest: Manifest, *, spools: bool) -> None:
        """`spools`: workers ship lines to us; a single process writes records.jsonl as its own spool instead."""
        self.folder = out / manifest.run_id
        self.manifest = manifest
        try:
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(
                [Mistake(str(self.folder), "", error.strerror or "?", "a new, writable folder")]
            ) from error
        self._records = Spool(self.records_path) if spools else None
        self.records_path.touch()
        self._answers: Spool | None = None
        write_manifest(self.folder, manifest)

    @property
    def records_path(self) -> Path:
        """records.jsonl"""
        return self.folder / "records.jsonl"

    def spool_path(self, worker: str) -> Path:
        """Where a worker of this run writes first."""
        return self.records_path if self._records is None else self.folder / "spool" / f"{worker}.jsonl"

    def append(self, lines: bytes, count: int) -> None:
        """Record lines of a worker, as they are."""
        if self._records is not None and lines:
            self._records.append_many(lines, count)

    def append_answers(self, lines: bytes) -> None:
        """Answer lines; the file exists only where there are answers."""
        if not lines:
            return
        if self._answers is None:
            self._answers = Spool(self.folder / "answers.jsonl")
        self._answers.append_many(lines, lines.count(b"\n"))

    def enter(self, worker: str, entry: WorkerEntry) -> None:
        """What a worker says of itself; the last word counts."""
        self.manifest = msgspec.structs.replace(self.manifest, workers={**self.manifest.workers, worker: entry})
        write_manifest(self.folder, self.manifest)

    def close(self, manifest: Manifest, *, complete: bool) -> None:
        """Write the finished manifest. Spools of a complete run are copies, those of an incomplete one are evidence."""
        self.manifest = manifest
        if self._records is not None:
            self._records.close()
        if self._answers is not None:
            self._answers.close()
        if complete:
            shutil.rmtree(self.folder / "spool", ignore_errors=True)
        write_manifest(self.folder, manifest)


def point_latest(folder: Path) -> None:
    """Let `latest`, beside the folder, point at it. A file system without links simply has no `latest`."""
    draft = folder.parent / f".latest-{os.getpid()}"
    try:
        draft.unlink(missing_ok=True)
        draft.symlink_to(folder.name, target_is_directory=True)
        draft.replace(folder.parent / "latest")
    except OSError:
        draft.unlink(missing_ok=True)
