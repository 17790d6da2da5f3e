"""Document: a JSON or CSV file goes in; values by key come out, and mistakes with file, key, found and expected."""

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import InputError, Mistake

LARGEST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON object (or CSV row) with its place; keys that are absent or null read as None."""

    file: str
    place: str
    value: dict[str, Any]
    mistakes: list[Mistake] = field(default_factory=list)

    def tell(self, key: str, found: str, expected: str) -> None:
        """One mistake."""
        where = ".".join(part for part in (self.place, key) if part)
        self.mistakes.append(Mistake(self.file, where, found, expected))

    def number(self, *path: str) -> float | None:
        """A number of 0 or more; tools write NaN or -1 where they have none."""
        found = self._at(path)
        if found is None or found == "" or isinstance(found, dict | list):
            return None
        try:
            value = float(found) if not isinstance(found, bool) else math.nan
        except (ValueError, OverflowError):
            self.tell(".".join(path), _shown(found), "a number")
            return None
        return value if math.isfinite(value) and value >= 0 else None

    def count(self, *path: str) -> int | None:
        """A whole number."""
        found = self.number(*path)
        return None if found is None else round(found)

    def text(self, *path: str) -> str | None:
        """A text; numbers are no names."""
        found = self._at(path)
        return found if isinstance(found, str) and found else None

    def truth(self, *path: str) -> bool:
        """true, or "true" of a CSV file."""
        found = self._at(path)
        return found is True or (isinstance(found, str) and found.lower() == "true")

    def part(self, *path: str) -> "Document":
        """An object inside; an empty one where it is absent, a mistake where it is something else."""
        found = self._at(path)
        if found is not None and not isinstance(found, dict):
            self.tell(".".join(path), _shown(found), "an object")
        inside = ".".join(part for part in (self.place, *path) if part)
        return Document(self.file, inside, found if isinstance(found, dict) else {}, self.mistakes)

    def parts(self, *path: str) -> list["Document"]:
        """The objects of a list."""
        found = self._at(path)
        if not isinstance(found, list):
            self.tell(".".join(path), "nothing" if found is None else _shown(found), "a list")
            return []
        inside = ".".join(part for part in (self.place, *path) if part)
        return [
            Document(self.file, f"{inside}[{place}]", item if isinstance(item, dict) else {}, self.mistakes)
            for place, item in enumerate(found)
        ]

    def _at(self, path: Iterable[str]) -> Any:
        found: Any = self.value
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found


def read_documents(path: Path) -> list[Document]:
    """A JSON object, a list of them, JSON lines, or the rows of a CSV file; InputError where it is none of these."""
    text = _text(path)
    if path.suffix.lower() == ".csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        found: list[Any] = [{key: value for key, value in row.items() if key is not None} for row in rows]
    else:
        found = _json(path, text)
    objects = [item for item in found if isinstance(item, dict)]
    if not objects or len(objects) < len(found):
        refuse([Mistake(str(path), "", "no JSON object" if not objects else "items that are no objects",
                        "a JSON object, a list of objects, or a CSV file with a head")])  # fmt: skip
    several = len(objects) > 1
    return [Document(str(path), f"[{place}]" if several else "", item) for place, item in enumerate(objects)]


def refuse(mistakes: list[Mistake]) -> None:
    """Stop where there is a mistake."""
    if mistakes:
        raise InputError(mistakes, hint="see `trueyield price --from TOOL --help` for what each tool's file is called")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            refuse([Mistake(str(path), "", "more than 1 GiB", "a summary file, not the records of every request")])
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise InputError([Mistake(str(path), "", why or "unreadable", "a readable JSON or CSV file")]) from None


def _json(path: Path, text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return [json.loads(line) for line in lines] if len(lines) > 1 else _no_json(path, error)
        except (ValueError, RecursionError):
            return _no_json(path, error)
    return found if isinstance(found, list) else [found]


def _no_json(path: Path, error: Exception) -> list[Any]:
    where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
    raise InputError([Mistake(str(path), where, f"no JSON ({getattr(error, 'msg', error)})", "a JSON file")]) from None


def _shown(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 40 else text[:37] + "..."
