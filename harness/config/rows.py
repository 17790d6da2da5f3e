"""Plain values of a Document -> checked rows, or one Mistake for each thing that is wrong with them."""

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from harness.config.documents import Document, Place
from harness.config.keys import ADVICE, HIDDEN, looks_like_key
from harness.errors import Mistake


class Row(BaseModel):
    """What every entry of a file has in common: no unknown fields, no silent conversion, finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


RowT = TypeVar("RowT", bound=Row)

_EXPECTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "string_too_short": "a text that is not empty",
}
#: What a text must look like -> how to say so.
MOMENT = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?(Z|[+-]\d\d:\d\d))?$"
AS_OF = r"^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$"
CLOCK = r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"
DAY = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
_FORMATS = {
    MOMENT: "an ISO moment, e.g. 2026-08-16T16:00:00Z or 2026-08-16",
    AS_OF: "the date of the figure: 2026-11-21, 2026-11, or '2026' in quotes",
    CLOCK: "a time of day in quotes, '00:00' to '24:00'",
    DAY: "a day, e.g. 2026-10-01",
}
_LINE = re.compile(r"\(?line (\d+)\)?$")
_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def check_row(row: type[RowT], document: Document, place: Place, found: Any, mistakes: list[Mistake]) -> RowT | None:
    """`found`, which stands at `place`, as a `row`; None after its mistakes were added."""
    try:
        return row.model_validate(found)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            mistakes.append(_mistake(row, document, place, detail))
        return None


def shown(found: Any) -> str:
    """A found value as a message may show it: short, and never a key."""
    if found is None:
        return "nothing"
    if isinstance(found, dict | list):  # may hold anything, a password too
        return "a mapping" if isinstance(found, dict) else "a list"
    text = repr(found)
    if looks_like_key(text):
        return HIDDEN
    return text if len(text) <= 60 else text[:57] + "..."


def near_miss(found: str, known: Iterable[str], what: str) -> str:
    """'an accelerator of the catalog: did you mean h100-sxm?', or the list of what there is."""
    names = list(known)
    near = _nearest(found, names)
    if near:
        return f"{what}: did you mean {' or '.join(near)}?"
    listed = ", ".join(sorted(names)[:12])
    return f"{what}: one of {listed}{', ...' if len(names) > 12 else ''}" if names else what


def _nearest(found: str, names: list[str]) -> list[str]:
    """Names that resemble what was found, or contain it; one that is clearly nearer than the rest stands alone."""
    near = difflib.get_close_matches(found, names, n=3, cutoff=0.5)
    likeness = {name: difflib.SequenceMatcher(None, name, found).ratio() for name in near}
    near = [name for name in near if likeness[name] >= likeness[near[0]] - 0.1]
    return near or (sorted(name for name in names if found.lower() in name)[:3] if len(found) > 1 else [])


def mistake_at(document: Document, place: Place, found: str, expected: str) -> Mistake:
    """A mistake with its line."""
    return Mistake(document.name, document.where(place), found, expected)


def in_file_order(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Mistakes as a reader meets them, each once."""

    def line_of(mistake: Mistake) -> int:
        found = _LINE.search(mistake.key)
        return int(found[1]) if found else 0

    return sorted(dict.fromkeys(mistakes), key=line_of)


def _mistake(row: type[Row], document: Document, place: Place, detail: ErrorDetails) -> Mistake:
    inside = tuple(part for part in detail["loc"] if part != "[key]")
    where: Place = (*place, *inside)
    if detail["type"] == "extra_forbidden":
        known = _fields_at(row, inside[:-1])
        return mistake_at(document, where, "an unknown key", near_miss(str(inside[-1]), known, "a key of this entry"))
    if detail["type"] == "missing":
        return mistake_at(document, where, "nothing", _described(row, inside) or "a value")
    found = shown(detail["input"])
    expected = ADVICE if found == HIDDEN else _expected(row, inside, detail)
    return mistake_at(document, where, found, expected)


def _expected(row: type[Row], inside: Place, detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "literal_error":
        names = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return near_miss(str(detail["input"]), names, "a known word")
    if kind in _LIMITS:
        field, words = _LIMITS[kind]
        return f"a number, {words} {context[field]:g}"
    if kind == "string_pattern_mismatch" and context["pattern"] in _FORMATS:
        return _FORMATS[context["pattern"]]
    described = _described(row, inside)
    plain = _EXPECTED.get(kind, "")
    if described and plain:
        return f"{plain}: {described}"
    return described or plain or str(context.get("error") or detail["msg"])


def _described(row: type[Row], inside: Place) -> str:
    if not inside:
        return ""
    fields = _fields_at(row, inside[:-1])
    field = fields.get(str(inside[-1]))
    return (field.description or "") if field is not None else ""


def _fields_at(row: type[Row], inside: Place) -> Mapping[str, Any]:
    """Fields of the row that a path leads to; empty inside free-form mappings."""
    here: Any = row
    for part in inside:
        here = _step(here, part)
    here = _unwrapped(here)
    return here.model_fields if isinstance(here, type) and issubclass(here, Row) else {}


def _step(here: Any, part: str | int) -> Any:
    here = _unwrapped(here)
    if isinstance(here, type) and issubclass(here, Row):
        field = here.model_fields.get(str(part))
        return field.annotation if field is not None else None
    arguments = typing.get_args(here)
    return arguments[-1] if arguments else None


def _unwrapped(annotation: Any) -> Any:
    """`X | None` -> X."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [item for item in typing.get_args(annotation) if item is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation
