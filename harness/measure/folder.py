"""RunFolder: a run folder in, its manifest and every record it holds, once each, out.

Works on the folder of a run that was killed: lines that only reached a worker's spool count, and a torn last line
(a killed writer) is skipped and noted. Damage elsewhere is noted too and makes the measurement invalid.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.errors import InputError, Mistake
from harness.records import Manifest, StreamRecord, read_manifest

_records = msgspec.json.Decoder(StreamRecord)

Line = TypeVar("Line")


class AnswerLine(msgspec.Struct, frozen=True):
    """One line of answers.jsonl."""

    request_id: str
    prompt_id: str | None = None
    answer: str | None = None


_answers = msgspec.json.Decoder(AnswerLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """`damage`: lines that should be readable and are not; `notes`: what was mended on the way."""

    path: Path
    manifest: Manifest
    records: list[StreamRecord]
    notes: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()


@dataclass(slots=True)
class _Findings:
    notes: list[str]
    damage: list[str]


def read_folder(path: Path) -> RunFolder:
    """Manifest + records.jsonl + spool/*.jsonl, de-duplicated by request_id: the first line of a request holds."""
    with collector_paused():
        return _read_folder(path)


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection while many live objects are made: it would visit them all, again and again (4x slower)."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _read_folder(path: Path) -> RunFolder:
    manifest = _manifest(path)
    found = _Findings([], [])
    by_id: dict[str, StreamRecord] = {}
    for record in _read_lines(path / "records.jsonl", _records, found):
        by_id.setdefault(record.request_id, record)
    shipped = len(by_id)
    for spool in sorted((path / "spool").glob("*.jsonl")):
        for record in _read_lines(spool, _records, found):
            by_id.setdefault(record.request_id, record)
    if len(by_id) > shipped:
        found.notes.append(f"{len(by_id) - shipped} records were found only in spool/: the run did not close its books")
    return RunFolder(
        path=path,
        manifest=manifest,
        records=list(by_id.values()),
        notes=tuple(found.notes),
        damage=tuple(found.damage),
    )


def read_answers(path: Path) -> Iterator[AnswerLine]:
    """Lines of answers.jsonl; nothing where there is no such file."""
    yield from _read_lines(path / "answers.jsonl", _answers, _Findings([], []))


def _manifest(path: Path) -> Manifest:
    try:
        return read_manifest(path)
    except OSError:
        mistake = Mistake(str(path), "", "no readable manifest.json", "a run folder, as `trueyield run` writes it")
    except msgspec.DecodeError as error:
        mistake = Mistake(str(path / "manifest.json"), "", str(error), "a manifest of schema 1")
    raise InputError([mistake])


def _read_lines(path: Path, decoder: msgspec.json.Decoder[Line], found: _Findings) -> list[Line]:
    if not path.exists():
        return []
    data = path.read_bytes()
    try:
        return decoder.decode_lines(data)  # one call for the whole file: the fast way
    except msgspec.DecodeError:
        return _line_by_line(data, decoder, path.name, found)


def _line_by_line(data: bytes, decoder: msgspec.json.Decoder[Line], name: str, found: _Findings) -> list[Line]:
    lines = data.split(b"\n")
    torn = len(lines) - 1 if lines[-1].strip() else None  # the last line of a killed writer has no newline
    values: list[Line] = []
    broken: list[tuple[int, msgspec.DecodeError]] = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            values.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            if number == torn:
                found.notes.append(f"{name}: the last line is torn and was skipped (its writer was killed)")
            else:
                broken.append((number + 1, error))
    if broken:
        first, why = broken[0]
        found.damage.append(f"{name}: {len(broken)} unreadable lines, the first is line {first}: {why}")
    return values
