"""Book: sweep.json, what a sweep was asked for and the runs it has made so far."""

import os
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import InputError, Mistake
from harness.sweep.goals import goal_named
from harness.sweep.levels import Level
from harness.sweep.search import Role, Search

SWEEP_SCHEMA = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run: its load, its sub folder, why it was made."""

    users: int | None = None
    rate: float | None = None
    run: str
    role: Role = "level"

    @property
    def level(self) -> Level:
        """The load that it was offered."""
        return _level(self.users, self.rate)


def _level(users: int | None, rate: float | None) -> Level:
    return Level("users", float(users or 0)) if rate is None else Level("rate", rate)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The search as it was asked for, so that a resumed sweep makes the same choices. `goal` None: the first known."""

    levels: tuple[Level, ...]
    goal: str | None = None
    adaptive: bool = False
    tolerance: float = 0.05
    most_repeats: int = 2
    most_runs: int = 40
    confirm: bool = True
    all_levels: bool = False
    top: float | None = None

    def search(self, goal: str) -> Search:
        """The same, with a goal that has values."""
        return Search(**{**msgspec.structs.asdict(self), "goal": goal_named(goal)})


class Skipped(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A level that was asked for and not run."""

    users: int | None = None
    rate: float | None = None
    why: str

    @property
    def level(self) -> Level:
        """The load that it would have been offered."""
        return _level(self.users, self.rate)


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """sweep.json. `levels`: every run in the order it was begun; `options`: of the command line, never a secret."""

    schema: int = SWEEP_SCHEMA
    sweep_id: str
    scenario: Any = ""
    endpoint: Any = ""
    levels: list[Entry] = []
    asked: Asked | None = None
    interactivity: tuple[float, ...] = ()  # tok/s for one user that the report should speak of
    skipped: list[Skipped] = []
    options: dict[str, Any] = {}


def load_of(level: Level) -> dict[str, Any]:
    """{"users": 16} or {"rate": 4.5}"""
    return {"rate": level.size} if level.unit == "rate" else {"users": round(level.size)}


def entry_of(level: Level, run: str, role: Role) -> Entry:
    """One run of a level."""
    return Entry(**load_of(level), run=run, role=role)


def read_book(folder: Path) -> Book:
    """Raises InputError where sweep.json is missing or cannot be understood."""
    path = folder / "sweep.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Book)
    except FileNotFoundError:
        raise InputError([Mistake(str(path), "", "no such file", "a sweep folder")]) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError([Mistake(str(path), "", str(error), "a file that trueyield wrote")]) from error


def write_book(folder: Path, book: Book) -> None:
    """Whole or not at all."""
    draft = folder / f".sweep.json.{os.getpid()}"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(book), indent=2) + b"\n")
    draft.replace(folder / "sweep.json")
