"""Finding: one thing that is now known of an endpoint, and how it was found; Spent: what finding out has used."""

from dataclasses import dataclass, field
from typing import Any

from harness.providers import Dialect, RequestOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`value` None: asked, and not told. Nothing is a finding that was not asked or said."""

    name: str
    value: str | None
    how: str


@dataclass(slots=True, kw_only=True)
class Spent:
    """Requests that may cost tokens, and the tokens that the server counted for them."""

    calls: int = 0
    calls_without_usage: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cap_tokens: int = 0  # the sum of the caps that were sent: no answer could be longer


@dataclass(slots=True, kw_only=True)
class Serving:
    """What a server tells of the model that it really runs; None where it does not tell."""

    names: list[str] = field(default_factory=list)  # under which the catalog may know the model, the likeliest first
    family: str | None = None
    parameters: str | None = None
    quantization: str | None = None
    precision: str | None = None  # the catalog's word for it
    kv_precision: str | None = None
    context: int | None = None
    max_batch: int | None = None
    memory_share: float | None = None
    accelerators: int | None = None
    #: field -> the question that told it, where that is another than the one that told the server
    how: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Server:
    """Which program answers."""

    name: str
    dialect: Dialect
    version: str | None
    how: str
    serving: Serving = field(default_factory=Serving)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Everything that was found, and what came of it."""

    base_url: str
    model: str
    server: Server
    request: RequestOptions
    findings: tuple[Finding, ...]
    spent: Spent
    entry: str

    def document(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "schema": 1,
            "base_url": self.base_url,
            "model": self.model,
            "server": self.server.name,
            "dialect": self.server.dialect,
            "findings": [{"name": item.name, "value": item.value, "how": item.how} for item in self.findings],
            "spent": {name: getattr(self.spent, name) for name in Spent.__dataclass_fields__},
            "entry": self.entry,
        }
