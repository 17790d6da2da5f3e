"""What was found -> an entry for providers.yaml, as text that `load_providers` takes as it stands."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.probe.cards import Guess
from harness.probe.findings import Server
from harness.providers import Accelerator, Endpoint, RequestOptions

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*\Z")
_WORDS_OF_YAML = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_URL = re.compile(r"https?://[A-Za-z0-9.:/_\[\]~%-]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What the user says the endpoint runs on; a server does not tell."""

    accelerator: Accelerator
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Everything that an entry is made of."""

    endpoint: Endpoint
    server: Server
    request: RequestOptions
    guess: Guess
    hardware: Hardware | None = None


def write_entry(draft: Draft) -> str:
    """The text, `endpoints:` and all."""
    endpoint = draft.endpoint
    lines = ["endpoints:", f"  {entry_name(draft)}:", f"    base_url: {_scalar(endpoint.base_url)}"]
    lines.append(f"    model: {_scalar(endpoint.model)}")
    lines += [f"    {name}: {_scalar(value)}" for name, value in _own(draft)]
    if request := _request(draft.request):
        lines.append(f"    request: {_flow(request)}")
    lines += _deployment(draft)
    return "\n".join(lines) + "\n"


def entry_name(draft: Draft) -> str:
    """The entry's own name, or one made of server and place."""
    name = draft.endpoint.name
    if not re.search(r"[:\[\]]", name):
        return name if _PLAIN.match(name) else json.dumps(name)
    return re.sub(r"[^a-z0-9]+", "-", f"{draft.server.name}-{name}".lower()).strip("-")


def _own(draft: Draft) -> Iterator[tuple[str, Any]]:
    endpoint, rows = draft.endpoint, _doubtful(draft)
    if draft.server.dialect != "openai":
        yield "dialect", draft.server.dialect
    for name in ("api_key_env", "ca_file", "proxy"):
        if value := getattr(endpoint, name):
            yield name, value
    if endpoint.allow_http:
        yield "allow_http", True
    if rows or any(card.status != "verified" for card in (endpoint.price_card, endpoint.sell_at) if card):
        yield "accept_unverified", True
    for name in ("price_card", "sell_at"):
        if card := getattr(endpoint, name):
            yield name, card.name


def _doubtful(draft: Draft) -> list[str]:
    """Rows of the suggested deployment that the catalog does not vouch for."""
    if not _complete(draft):
        return []
    assert draft.hardware is not None
    rows = (draft.hardware.accelerator, draft.guess.card)
    return [row.name for row in rows if row is not None and row.status != "verified"]


def _complete(draft: Draft) -> bool:
    return draft.hardware is not None and draft.guess.card is not None and draft.server.serving.precision is not None


def _request(options: RequestOptions) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if options.cap_field != "max_tokens":
        found["cap_field"] = options.cap_field
    if not options.include_usage:
        found["include_usage"] = False
    if options.continuous_usage:
        found["continuous_usage"] = True
    for name in ("extra_body", "headers"):
        if value := getattr(options, name):
            found[name] = dict(value)
    return found


def _deployment(draft: Draft) -> Iterator[str]:
    """The lines of `deployment:`; as comments where something is missing that only the user knows."""
    serving, guess, hardware = draft.server.serving, draft.guess, draft.hardware
    mark = "" if _complete(draft) else "# "
    lines = ["deployment:"]
    if hardware is not None:
        lines.append(f"  accelerator: {hardware.accelerator.name}{_doubt(hardware.accelerator)}")
        known = hardware.count or serving.accelerators or 1
        lines.append(f"  count: {known}")
    else:
        lines.append("  accelerator: h100-sxm      # yours: no server tells it (--accelerator NAME --count N)")
        lines.append(f"  count: {serving.accelerators or 1}")
    if guess.card is not None:
        lines.append(f"  model: {guess.card.name}{_doubt(guess.card) or f'    # {guess.how}'}")
    else:
        lines.append(f"  model:                     # {guess.near}")
    how = f"    # {serving.how['precision']}" if "precision" in serving.how else ""
    missing = "  precision:                 # not told: bf16, fp8, int8, q4_k_m, ..."
    lines.append(f"  precision: {serving.precision}{how}" if serving.precision else missing)
    lines += [
        f"  {name}: {value}"
        for name, value in (("kv_precision", serving.kv_precision), ("max_batch", serving.max_batch),
                            ("memory_share", serving.memory_share))
        if value is not None
    ]  # fmt: skip
    lines.append("  # usd_per_gpu_hour: 2.40   # what an hour costs you; or gpu_hour: NAME, or tco: {...}")
    return (f"    {mark}{line}" for line in lines)


def _doubt(row: Any) -> str:
    return "" if row.status == "verified" else f"    # {row.status} in the catalog"


def _scalar(value: Any) -> str:
    """A plain word where YAML cannot misread it, else JSON, which is YAML, too."""
    if isinstance(value, str) and (_PLAIN.match(value) or _URL.match(value)) and value.lower() not in _WORDS_OF_YAML:
        return value
    return json.dumps(value, ensure_ascii=False)


def _flow(value: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{_scalar(key)}: {_item(each)}" for key, each in value.items()) + "}"


def _item(value: Any) -> str:
    if isinstance(value, Mapping):
        return _flow(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_item, value)) + "]"
    return _scalar(value)
