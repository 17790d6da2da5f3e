"""Data sets that a user has on disk -> rows to ask, with a checker where the format has answers. Nothing is downloaded.

Formats: gsm8k, math and aime (JSON lines with a question and an answer), gpqa (CSV with one right and three wrong
answers), jsonl and csv (prompt or messages, answer if there is one), sharegpt, openai_batch.
"""

import csv
import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import InputError, Mistake
from harness.load.families.claim import Claim, find_claim, readable_tail
from harness.load.families.problem import Reading
from harness.load.families.quantity import check_number, stated_number
from harness.load.families.words import find_words

#: so many bad rows are told one by one
MOST_TOLD = 20
_ENDING = '\n\nEnd with one line that says "Answer:" and the final answer.'
_LETTERS = {letter.lower(): letter for letter in "ABCD"}
_WRONG = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
Messages = tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing to ask; `answer` None: nobody can check it."""

    messages: Messages
    answer: str | None = None
    is_choice: bool = False

    def check(self, text: str) -> Reading:
        """Compare a model's final answer with the row's: as a letter, as a number, else as the same expression."""
        expected = self.answer or ""
        if self.is_choice:
            words = find_words(text, _LETTERS)
            return Reading(right=words == [expected], extracted=None if words is None else " ".join(words) or None)
        number = stated_number(Claim(readable_tail(expected), ""))
        if number is not None:
            return check_number(number, {}, text)
        claim = find_claim(text, bool)
        stated = None if claim is None else _plain(claim.stated)
        return Reading(right=bool(stated) and stated == _plain(expected), extracted=stated)


def _plain(expression: str) -> str:
    return "".join(readable_tail(expression).split()).strip(".。*`").replace("\u2009", "")


@dataclass(frozen=True, slots=True)
class DataSet:
    """Rows of a file, and the hash of its bytes."""

    rows: tuple[Row, ...]
    sha256: str


@lru_cache(maxsize=4)
def read_dataset(path: str, form: str) -> DataSet:
    """Raises InputError with the line of every bad row (the first MOST_TOLD of them)."""
    try:
        data = Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Mistake(path, "", str(getattr(error, "strerror", None) or error), "a UTF-8 file")]) from None
    rows: list[Row] = []
    mistakes: list[Mistake] = []
    for line, entry in _entries(text, path, form):
        try:
            if not isinstance(entry, Mapping):
                raise ValueError("a mapping (JSON object)")
            rows.append(_READERS[form](entry, len(rows)))
        except (ValueError, KeyError, TypeError) as error:
            mistakes.append(Mistake(path, f"line {line}", "a row that cannot be asked", _wanted(error)))
    if mistakes:
        more = len(mistakes) - MOST_TOLD
        raise InputError(mistakes[:MOST_TOLD], f"and {more} more bad rows" if more > 0 else "")
    if not rows:
        raise InputError([Mistake(path, "", "no row", f"rows in the format {form}")])
    return DataSet(tuple(rows), hashlib.sha256(data).hexdigest())


def _wanted(error: Exception) -> str:
    return f"a field {error}" if isinstance(error, KeyError) else str(error)


def _entries(text: str, path: str, form: str) -> Iterator[tuple[int, Any]]:
    """Line number and value of every entry; a JSON array counts as its elements."""
    if form in ("csv", "gpqa"):
        reader = csv.DictReader(text.splitlines(keepends=True))
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise InputError([Mistake(path, f"line {reader.line_num}", str(error), "CSV with a header")]) from None
        return
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), 1)
        except (ValueError, RecursionError) as error:
            raise InputError([Mistake(path, "", str(error), "a JSON array, or one object a line")]) from None
        return
    for line, one in enumerate(text.split("\n"), 1):
        if one.strip():
            try:
                yield line, json.loads(one)
            except (ValueError, RecursionError):
                yield line, None


def _text(entry: Mapping[str, Any], *names: str) -> str:
    for name in names:
        for key in (name, name.capitalize()):
            value = entry.get(key)
            if isinstance(value, str | int | float) and str(value).strip():
                return str(value).strip()
    raise ValueError(f"a text under {' or '.join(names)}")


def _asked(text: str) -> Messages:
    return ({"role": "user", "content": text},)


def _gsm8k(entry: Mapping[str, Any], _number: int) -> Row:
    answer = _text(entry, "answer").rpartition("####")
    if not answer[1]:
        raise ValueError("an answer that ends in #### and the number")
    return Row(messages=_asked(_text(entry, "question") + _ENDING), answer=answer[2].strip())


def _math(entry: Mapping[str, Any], _number: int) -> Row:
    question = _text(entry, "problem", "question")
    if entry.get("answer") is not None or entry.get("Answer") is not None:
        return Row(messages=_asked(question + _ENDING), answer=_text(entry, "answer"))
    claim = find_claim(_text(entry, "solution"), bool) if "\\boxed" in _text(entry, "solution") else None
    if claim is None:
        raise ValueError("an answer, or a solution with \\boxed{}")
    return Row(messages=_asked(question + _ENDING), answer=claim.stated)


def _gpqa(entry: Mapping[str, Any], number: int) -> Row:
    right = _text(entry, "Correct Answer")
    options = [right, *(_text(entry, name) for name in _WRONG)]
    random.Random(f"gpqa:{number}").shuffle(options)
    told = "\n".join(f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True))
    question = f'{_text(entry, "question")}\n\n{told}\n\nEnd with one line that says "Answer:" and the letter.'
    return Row(messages=_asked(question), answer="ABCD"[options.index(right)], is_choice=True)


def _any(entry: Mapping[str, Any], _number: int) -> Row:
    answer = entry.get("answer")
    if isinstance(entry.get("messages"), list):
        messages = _messages(entry["messages"])
    else:
        messages = _asked(_text(entry, "prompt", "question", "problem", "text"))
    return Row(messages=messages, answer=None if answer in (None, "") else str(answer))


def _sharegpt(entry: Mapping[str, Any], _number: int) -> Row:
    """The first thing that a human said."""
    turns = entry["conversations"]
    said = next((turn["value"] for turn in turns if turn.get("from") in ("human", "user")), None)
    if not isinstance(said, str) or not said.strip():
        raise ValueError("conversations with a turn from human")
    return Row(messages=_asked(said))


def _openai_batch(entry: Mapping[str, Any], _number: int) -> Row:
    return Row(messages=_messages(entry["body"]["messages"]))


def _messages(found: Any) -> Messages:
    if not isinstance(found, list) or not found:
        raise ValueError("messages, each with role and content as texts")
    if not all(isinstance(each, dict) and isinstance(each.get("role"), str) for each in found):
        raise ValueError("messages, each with role and content as texts")
    if not all(isinstance(each.get("content"), str) for each in found):
        raise ValueError("messages, each with role and content as texts")
    return tuple({"role": each["role"], "content": each["content"]} for each in found)


_READERS: dict[str, Callable[[Mapping[str, Any], int], Row]] = {
    "gsm8k": _gsm8k, "math": _math, "aime": _math, "gpqa": _gpqa, "jsonl": _any, "csv": _any,
    "sharegpt": _sharegpt, "openai_batch": _openai_batch,
}  # fmt: skip
FORMATS = tuple(_READERS)


def row_id(path: str, form: str, ordinal: int) -> str:
    """Names one row for good: "file:format:hash:row:path"."""
    data = read_dataset(path, form)
    return f"file:{form}:{data.sha256[:16]}:{ordinal % len(data.rows)}:{path}"


def row_of(prompt_id: str) -> Row:
    """The row behind an id; ValueError where the file is gone, bad, or no longer the same."""
    _, form, digest, number, path = prompt_id.split(":", 4)
    try:
        data = read_dataset(path, form)
    except (InputError, KeyError):
        raise ValueError(f"{path} cannot be read") from None
    if not data.sha256.startswith(digest):
        raise ValueError(f"{path} is not the file that was asked")
    return data.rows[int(number)]
