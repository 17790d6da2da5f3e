"""Traces of real traffic -> rows in order of time: Mooncake (JSONL), Azure LLM inference and BurstGPT (CSV).

Formats as published: kvcache-ai/Mooncake FAST25-release/traces (`timestamp` in ms, `input_length`, `output_length`,
`hash_ids`: one id each block of 512 tokens, the same wherever a prompt and all before it are the same),
Azure/AzurePublicDataset LLM inference traces (`TIMESTAMP`, `ContextTokens`, `GeneratedTokens`), HPMLL/BurstGPT
(`Timestamp` in s, `Request tokens`, `Response tokens`). They are told apart by their fields.
"""

import csv
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import InputError, Mistake

_EXPECTED = "a trace: Mooncake JSONL, Azure LLM CSV or BurstGPT CSV"
#: more would bury what is wrong with the file
_MISTAKES_SHOWN = 5
#: Azure writes 100 ns; datetime reads microseconds
_FRACTION = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One request of the trace: seconds since its first, its lengths, and (Mooncake) the ids of its prompt's blocks."""

    at_s: float
    input_tokens: int
    output_tokens: int
    hash_ids: tuple[int, ...] = ()


def read_trace(path: Path) -> tuple[TraceRow, ...]:
    """All rows in order of time, the first at 0 s; rows at one time stay in file order. InputError names bad lines.

    One process reads a file once, as long as it does not change: a large one takes seconds.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise InputError([Mistake(str(path), "", str(error), "a readable trace file")]) from None
    return _rows(path, state.st_size, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=1)
def _rows(path: Path, *_state: int) -> tuple[TraceRow, ...]:
    mistakes: list[Mistake] = []
    rows: list[TraceRow] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, fields in _lines(file, path):
                try:
                    rows.append(_row(fields))
                except (KeyError, ValueError, TypeError, OverflowError):
                    mistakes.append(Mistake(str(path), f"line {number}", str(dict(fields))[:80], _EXPECTED))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Mistake(str(path), "", str(error), "a readable trace file")]) from None
    if not rows and not mistakes:
        mistakes.append(Mistake(str(path), "", "no requests", _EXPECTED))
    if mistakes:
        more = len(mistakes) - _MISTAKES_SHOWN
        told = [Mistake(str(path), "", f"{more} more such lines", _EXPECTED)] if more > 0 else []
        raise InputError([*mistakes[:_MISTAKES_SHOWN], *told])
    rows.sort(key=lambda row: row.at_s)
    first = rows[0].at_s
    return tuple(replace(row, at_s=row.at_s - first) for row in rows)


def digest_of(path: Path) -> str:
    """SHA-256 of the file: every worker must replay the same one. InputError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError([Mistake(str(path), "", error.strerror or "?", "a readable trace file")]) from None


def _lines(file: Any, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix.lower() in (".jsonl", ".json"):
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _decoded(line)
    else:
        yield from enumerate(csv.DictReader(file), start=2)


def _decoded(line: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {"line": line.strip()}
    return fields if isinstance(fields, dict) else {"line": line.strip()}


def _row(fields: Mapping[str, Any]) -> TraceRow:
    """KeyError, ValueError, TypeError where a field is missing or no number."""
    time, tokens_in, tokens_out, seconds = next(names for names in _FORMATS if names[0] in fields or names[0] is None)
    if time is None:
        raise KeyError("no column of time")
    at_s = seconds(fields[time])
    if not math.isfinite(at_s):
        raise ValueError(time)
    return TraceRow(at_s, _count(fields[tokens_in]), _count(fields[tokens_out]), _ids(fields.get("hash_ids")))


def _count(value: Any) -> int:
    tokens = int(value)
    if tokens < 0 or isinstance(value, bool):
        raise ValueError("a negative number of tokens")
    return max(tokens, 1)  # BurstGPT writes 0 for requests that failed: they were sent all the same


def _ids(value: Any) -> tuple[int, ...]:
    """Only Mooncake has them; a CSV column of that name is some other thing's."""
    if not isinstance(value, list):
        return ()
    if not all(isinstance(number, int) for number in value):
        raise ValueError("hash_ids")
    return tuple(value)


def _timestamp(text: str) -> float:
    moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text.strip()))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_FORMATS: tuple[tuple[str | None, str, str, Callable[[Any], float]], ...] = (
    ("timestamp", "input_length", "output_length", lambda value: float(value) / 1e3),
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens", _timestamp),
    ("Timestamp", "Request tokens", "Response tokens", float),
    (None, "", "", float),
)
