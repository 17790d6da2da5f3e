"""read_answers(): a file of JSON lines -> an AnswerKey; every bad line is told at once."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.errors import InputError, Mistake
from harness.simulator.texts import AnswerKey

_SHAPE = '{"contains": "<a whole line of the question>" or "prompt_sha256": "<hex>", "answer": "<text>"}'


def read_answers(path: Path) -> AnswerKey:
    """Read an answers file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise InputError([Mistake("--answers", str(path), found, "a readable file of JSON lines")]) from None
    by_line: dict[str, str] = {}
    by_sha256: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for number, entry in _entries(lines):
        match entry:
            case {"contains": str(line), "answer": str(answer)} if line.strip() and "\n" not in line.strip():
                by_line[line.strip()] = answer
            case {"prompt_sha256": str(digest), "answer": str(answer)}:
                by_sha256[digest.lower()] = answer
            case _:
                mistakes.append(Mistake(str(path), f"line {number}", lines[number - 1][:60], _SHAPE))
    if mistakes:
        raise InputError(mistakes)
    return AnswerKey(by_line=by_line, by_sha256=by_sha256)


def _entries(lines: Iterable[str]) -> Iterable[tuple[int, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError:
                yield number, None
