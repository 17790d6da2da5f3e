"""A YAML file -> Document: plain values, and the line where each of them stands. The only reader of YAML.

Scalars follow YAML 1.2: dates stay texts, 12:30 is no number, yes and no are no booleans, 1e9 is a number.
Keys that stand twice, tags that build objects, and endless aliases are mistakes, not surprises.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.config.keys import looks_like_key
from harness.errors import InputError, Mistake

Place = tuple[str | int, ...]

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")
)
#: Far above any honest file; stops aliases that multiply each other.
_MOST_NODES, _DEEPEST = 50_000, 40
_OVERFLOW = ("values nested too deep or repeated too often", "a plain file of entries")


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its values, the line of each by path of keys and indices, and what was wrong with its form.

    Whoever reads a document tells `mistakes` together with those of meaning.
    """

    name: str
    root: Mapping[str, Any]
    lines: Mapping[Place, int]
    mistakes: tuple[Mistake, ...] = ()

    def where(self, place: Place) -> str:
        """'endpoints.vllm.dialect (line 12)'; the nearest line there is for something that is missing."""
        text = ".".join("[key]" if looks_like_key(str(part)) else str(part) for part in place)
        near = place
        while near and near not in self.lines:
            near = near[:-1]
        line = self.lines.get(near)
        return f"{text} (line {line})" if text and line else text


def read_document(path: Path) -> Document:
    """Read one YAML file whose top level is a mapping. Raises InputError where there is nothing to go on with."""
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError([Mistake(name, "", error.strerror or "no access", "a readable file")]) from None
    except UnicodeDecodeError as error:
        raise InputError([Mistake(name, "", f"bytes that are not UTF-8 at {error.start}", "UTF-8 text")]) from None
    return parse_document(text, name)


def parse_document(text: str, name: str) -> Document:
    """Parse YAML text; `name` stands for the file in every message."""
    node = _compose(text, name)
    reading = _Reading(name)
    root = reading.value(node, ()) if node is not None else {}
    if not isinstance(root, dict) or reading.overflowed:
        reading.mistakes.append(Mistake(name, "", f"a {type(root).__name__} at the top", "a mapping (key: value)"))
        raise InputError(reading.mistakes[: 1 if reading.overflowed else None])
    return Document(name, root, reading.lines, tuple(reading.mistakes))


def _compose(text: str, name: str) -> yaml.Node | None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        # The parser's snippet is left out: it quotes the file, and the file may hold a pasted key.
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = ", ".join(part for part in (error.context, error.problem) if part) or "text that is no YAML"
        where = f"line {line}" if line else ""
        raise InputError([Mistake(name, where, _safe(problem), "valid YAML")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = _safe(str(error).splitlines()[0]) if isinstance(error, yaml.YAMLError) else "text nested too deep"
        raise InputError([Mistake(name, "", reason, "valid YAML")]) from None
    return node


def _safe(problem: str) -> str:
    return "a syntax error (not shown: the line looks like it holds a key)" if looks_like_key(problem) else problem


class _Reading:
    """Nodes -> values, with lines and mistakes kept on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {}
        self.mistakes: list[Mistake] = []
        self.overflowed = False
        self._nodes = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.lines[place] = node.start_mark.line + 1
        self._nodes += 1
        if self.overflowed or self._nodes > _MOST_NODES or len(place) > _DEEPEST:
            if not self.overflowed:
                self.mistakes.insert(0, Mistake(self.name, "", *_OVERFLOW))
            self.overflowed = True
            return None
        if node.tag not in _PLAIN_TAGS:
            self._tell(place, f"the tag {node.tag.removeprefix('tag:yaml.org,2002:')}", "a plain value")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._tell(place, "a key that is a list or mapping", "a plain text as key")
                continue
            key = str(key_node.value)
            inner = (*place, key)
            line = key_node.start_mark.line + 1
            if key in found:
                found_text = f"a key that stands on line {self.lines[inner]} already"
                self.mistakes.append(Mistake(self.name, f"{_path(inner)} (line {line})", found_text, "each key once"))
                continue
            found[key] = self.value(value_node, inner)
            self.lines[inner] = line
        return found

    def _tell(self, place: Place, found: str, expected: str) -> None:
        line = self.lines.get(place)
        where = f"{_path(place)} (line {line})" if line else _path(place)
        self.mistakes.append(Mistake(self.name, where.strip(), _safe(found), expected))


def _path(place: Place) -> str:
    return ".".join("[key]" if looks_like_key(str(part)) else str(part) for part in place)


def _scalar(node: yaml.Node) -> str | int | float | bool | None:
    text: str = node.value
    if getattr(node, "style", None):  # quoted or a block: always a text
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
