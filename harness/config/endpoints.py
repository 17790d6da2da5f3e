"""providers.yaml -> Providers, and a name or URL from the command line -> the Endpoint to load."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config.catalog import SECTIONS, built_in_shelves, fill
from harness.config.demand_rows import curve_named
from harness.config.documents import Document, read_document
from harness.config.endpoint_checks import check_entry
from harness.config.endpoint_rows import DeploymentRow, EndpointRow
from harness.config.keys import ADVICE
from harness.config.rows import check_row, in_file_order, mistake_at, near_miss, shown
from harness.config.urls import BadUrl, read_url
from harness.errors import InputError, Mistake
from harness.providers import Catalog, Deployment, Endpoint, GpuHour, PriceCard

#: Where an embedded simulator will listen; the port is chosen when it starts.
EMBEDDED_URL = "http://127.0.0.1:0/v1"
_PLAIN = {"count", "precision", "kv_precision", "max_batch", "memory_share", "utilisation", "prefill_count", "split"}
_CARD_FIELDS = ("price_card", "sell_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The endpoints of one file by name, and the catalog (with the file's own rows) that they were read against."""

    path: Path
    endpoints: dict[str, Endpoint]
    catalog: Catalog


def default_providers_path() -> Path:
    """./providers.yaml if there is one, else the file that came with trueyield."""
    own = Path("providers.yaml")
    if own.is_file():
        return own
    packaged = Path(__file__).parents[1] / "providers.yaml"  # in an installed package
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "providers.yaml"


def load_providers(path: Path | None = None) -> Providers:
    """Read and check a whole file. Raises InputError with every mistake in it."""
    path = path or default_providers_path()
    document = read_document(path)
    mistakes = list(document.mistakes)
    for section in document.root:
        if section not in ("endpoints", *SECTIONS):
            known = near_miss(section, ("endpoints", *SECTIONS), "a section of this file")
            mistakes.append(mistake_at(document, (section,), "an unknown section", known))
    shelves = built_in_shelves()
    fill(shelves, document, mistakes)
    catalog = shelves.catalog()
    endpoints = {}
    for name, found in _entries(document, mistakes).items():
        endpoint = _endpoint(document, name, found, catalog, mistakes)
        if endpoint is not None:
            endpoints[name] = endpoint
    if mistakes:
        raise InputError(in_file_order(mistakes))
    return Providers(path=path, endpoints=endpoints, catalog=catalog)


def _entries(document: Document, mistakes: list[Mistake]) -> Mapping[str, Any]:
    entries = document.root.get("endpoints")
    if isinstance(entries, dict):
        return entries
    mistakes.append(mistake_at(document, ("endpoints",), shown(entries), "a mapping of names to endpoints"))
    return {}


def _endpoint(document: Document, name: str, found: Any, catalog: Catalog, mistakes: list[Mistake]) -> Endpoint | None:
    """Form and meaning are checked apart, so that a wrong form hides no wrong meaning."""
    place = ("endpoints", name)
    own: list[Mistake] = []
    row = check_row(EndpointRow, document, place, found, own)
    if isinstance(found, dict):
        check_entry(document, place, found, catalog, own)
    mistakes.extend(_without_secrets(own))
    if row is None or own:
        return None
    return Endpoint(
        name=name,
        base_url=read_url(row.base_url).url if row.base_url else EMBEDDED_URL,
        ca_file=str(_beside(document, row.ca_file)) if row.ca_file else None,
        request=row.request.value(),
        price_card=_card(catalog, row.price_card),
        sell_at=_card(catalog, row.sell_at),
        compare_with=tuple(catalog.prices[card] for card in row.compare_with),
        deployment=_deployment(row.deployment, catalog, document) if row.deployment else None,
        notes=_doubts(row, catalog),
        **row.model_dump(include={"model", "dialect", "api_key_env", "allow_http", "proxy", "embedded"}),
    )


def _without_secrets(mistakes: list[Mistake]) -> list[Mistake]:
    """Where a place holds a secret, the words that do not show it stand alone."""
    secret = {mistake.key for mistake in mistakes if mistake.expected == ADVICE}
    return [mistake for mistake in mistakes if mistake.key not in secret or mistake.expected == ADVICE]


def _doubts(row: EndpointRow, catalog: Catalog) -> tuple[str, ...]:
    """What was accepted by `accept_unverified` or replaced by `override`: said again wherever the figures are used."""
    used: list[tuple[str, Any]] = [
        ("prices", catalog.prices[name]) for name in (row.price_card, row.sell_at, *row.compare_with) if name
    ]
    if row.deployment is not None:
        used.append(("accelerators", catalog.accelerators[row.deployment.accelerator]))
        used.append(("models", catalog.models[row.deployment.model]))
        used += [("gpu_hours", catalog.gpu_hours[row.deployment.gpu_hour])] if row.deployment.gpu_hour else []
    doubts = [
        f"{item.name} is {item.status} in the catalog{f': {item.note}' if item.note else ''}"
        for _, item in used
        if item.status != "verified"
    ]
    own = [
        f"{item.name} overrides the built-in row of {section}: {item.source}, {item.as_of}"
        for section, item in used
        if f"{section}.{item.name}" in catalog.overridden
    ]
    return tuple(dict.fromkeys(doubts + own))


def _card(catalog: Catalog, name: str | None) -> PriceCard | None:
    return None if name is None else catalog.prices[name]


def _beside(document: Document, path: str) -> Path:
    """A path in a file is meant from where the file lies."""
    return Path(document.name).parent / Path(path).expanduser()


def _deployment(row: DeploymentRow, catalog: Catalog, document: Document) -> Deployment:
    hour = catalog.gpu_hours[row.gpu_hour] if row.gpu_hour else None
    fallback = "total cost of ownership, declared inputs" if row.tco else "declared"
    return Deployment(
        accelerator=catalog.accelerators[row.accelerator],
        model=catalog.models[row.model],
        usd_per_gpu_hour=hour.usd_per_gpu_hour if hour else row.usd_per_gpu_hour,
        usd_per_gpu_hour_low=hour.low if hour else None,
        usd_per_gpu_hour_high=hour.high if hour else None,
        tco=row.tco.value() if row.tco else None,
        price_basis=row.price_basis or (hour.basis if hour else fallback),
        price_as_of=row.price_as_of or (hour.as_of if hour else None),
        power=row.power.value() if row.power else None,
        rent=_rent_of(row.accelerator, catalog) if row.tco else None,
        layout=row.layout(),
        **row.steps(),
        demand=curve_named(row.demand, Path(document.name).parent) if row.demand else None,
        day=row.day.value(catalog.prices) if row.day else None,
        **row.model_dump(include=_PLAIN),
    )


def _rent_of(accelerator: str, catalog: Catalog) -> GpuHour | None:
    """What the catalog says an hour of it rents for on demand; a doubtful row is no answer."""
    for hour in catalog.gpu_hours.values():
        if hour.accelerator == accelerator and hour.basis.startswith("on-demand rent") and hour.status == "verified":
            return hour
    return None


def resolve_endpoint(name_or_url: str, model: str | None, providers: Providers) -> Endpoint:
    """The entry of that name, or a bare endpoint for a URL; a URL never takes an entry's key. Raises InputError."""
    entry = providers.endpoints.get(name_or_url)
    if entry is not None:
        return entry if not model or model == entry.model else _with_model(entry, model, providers.catalog)
    if not _means_url(name_or_url):
        expected = near_miss(name_or_url, providers.endpoints, f"an endpoint of {providers.path} or a URL")
        raise InputError([Mistake("--endpoint", "", shown(name_or_url), expected)])
    try:
        address = read_url(name_or_url)
    except BadUrl as problem:
        raise InputError([Mistake("--endpoint", "", problem.found, problem.expected)]) from None
    if not model:
        mistake = Mistake("--model", "", "nothing", "the model's name as the server at this URL knows it")
        raise InputError([mistake], hint=f"see {address.url}/models for the names, then add --model NAME")
    return Endpoint(name=address.label, base_url=address.url, model=model, notes=_namesakes(address.url, providers))


def _means_url(text: str) -> bool:
    return any(mark in text for mark in ("://", "/", ":"))


def _namesakes(url: str, providers: Providers) -> tuple[str, ...]:
    """A URL that an entry has too: said, not taken, because its key and prices were not asked for."""
    names = [name for name, entry in providers.endpoints.items() if entry.base_url == url and not entry.embedded]
    return tuple(f"entry {name} has the same URL: --endpoint {name} uses its key, price card and deployment"
                 for name in names)  # fmt: skip


def _with_model(entry: Endpoint, model: str, catalog: Catalog) -> Endpoint:
    """Another model of the same endpoint. A card for the entry's own model holds for no other."""
    notes = list(entry.notes)
    changes: dict[str, Any] = {"model": model}
    for name in _CARD_FIELDS:
        card: PriceCard | None = getattr(entry, name)
        if card is None or card.model != entry.model:
            continue
        other = _same_provider(catalog, card, model)
        changes[name] = other
        instead = f"{other.name} instead" if other else "no card of this provider for that model"
        notes.append(f"{name} {card.name} is for {card.model}, not for {model}: {instead}")
    return replace(entry, notes=tuple(notes), **changes)


def _same_provider(catalog: Catalog, card: PriceCard, model: str) -> PriceCard | None:
    for other in catalog.prices.values():
        if other.provider == card.provider and other.model == model and other.status == "verified":
            return other
    return None
