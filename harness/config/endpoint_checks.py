"""One entry of providers.yaml as found -> the mistakes in its meaning: names, URLs, keys, prices, physics.

Works on what was found, not on the checked row, and passes over values of a wrong form, which are told elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.demand_rows import curve_named
from harness.config.documents import Document, Place
from harness.config.keys import ADVICE, HIDDEN, VARIABLE_NAME, is_secret_field, looks_like_key
from harness.config.layout_rows import layout_contradictions
from harness.config.rows import mistake_at, near_miss, shown
from harness.config.urls import Address, BadUrl, read_url
from harness.errors import InputError, Mistake
from harness.providers import Accelerator, Catalog

#: Formats of weights only: they are multiplied in half precision, or in FP32 where there is none (many CPUs).
_STORED_ONLY = frozenset({"q4_k_m", "mxfp4"})
_HALF = frozenset({"bf16", "fp16"})
_WIDE = _HALF | {"fp32"}
#: Fields of a request that trueyield itself writes.
_OWN_BODY = frozenset(
    {"model", "messages", "prompt", "stream", "stream_options", "max_tokens", "max_completion_tokens"}
)
#: Dialects whose server answers 400 to the thoughts of an earlier turn, or throws them away: ordinary turns go without.
_WITHOUT_THOUGHTS = frozenset({"deepseek"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*", re.ASCII)
_OWN_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "x-request-id"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry under examination."""

    document: Document
    place: Place
    found: Mapping[str, Any]
    catalog: Catalog
    mistakes: list[Mistake]

    def tell(self, inside: Place, found: str, expected: str) -> None:
        """One mistake, with its line."""
        self.mistakes.append(mistake_at(self.document, (*self.place, *inside), found, expected))

    def text(self, name: str) -> str | None:
        """A field if it is a text."""
        found = self.found.get(name)
        return found if isinstance(found, str) else None


def check_entry(
    document: Document, place: Place, found: Mapping[str, Any], catalog: Catalog, mistakes: list[Mistake]
) -> None:
    """Add every mistake in the meaning of one entry."""
    entry = _Entry(document, place, found, catalog, mistakes)
    _check_address(entry)
    _check_proxy(entry)
    _check_request(entry)
    _check_cards(entry)
    deployment = found.get("deployment")
    if isinstance(deployment, dict):
        _check_hardware(entry, deployment)
        _check_hour(entry, deployment)
        _check_demand(entry, deployment)
        _check_power(entry, deployment)
    for inside in _secrets(found, ()):
        entry.tell(inside, HIDDEN, ADVICE)


def _secrets(found: Any, inside: Place) -> Iterator[Place]:
    """Places that hold a key, by their name or by their looks."""
    if isinstance(found, dict):
        for name, value in found.items():
            if value is not None and is_secret_field(str(name)):
                yield (*inside, name)
            elif looks_like_key(str(name)):
                yield (*inside, name)
            else:
                yield from _secrets(value, (*inside, name))
    elif isinstance(found, list):
        for index, value in enumerate(found):
            yield from _secrets(value, (*inside, index))
    elif isinstance(found, str) and looks_like_key(found):
        yield inside


def _check_address(entry: _Entry) -> None:
    variable = entry.text("api_key_env")
    if variable is None and entry.found.get("api_key_env") is not None:
        entry.tell(("api_key_env",), HIDDEN, ADVICE)
    if variable is not None and not VARIABLE_NAME.fullmatch(variable):
        entry.tell(("api_key_env",), "a text that is no variable's name (not shown, it may be a key)",
                   "the NAME of an environment variable, in capitals, e.g. MY_PROVIDER_API_KEY")  # fmt: skip
    url, embedded = entry.text("base_url"), entry.found.get("embedded")
    if embedded is not None:
        if url is not None or variable is not None:
            entry.tell((), "embedded beside base_url or api_key_env", "embedded alone: it starts its own server")
        return
    if url is None:
        if entry.found.get("base_url") is None:
            entry.tell(("base_url",), "nothing", "where the API lives, e.g. http://127.0.0.1:8000/v1")
        return
    try:
        address = read_url(url)
    except BadUrl as problem:
        entry.tell(("base_url",), problem.found, problem.expected)
        return
    _check_transport(entry, address, variable)


def _check_transport(entry: _Entry, address: Address, variable: str | None) -> None:
    if variable is not None and not address.is_private and entry.found.get("allow_http") is not True:
        entry.tell(("base_url",), f"http:// to {address.host}, which would carry a key unencrypted",
                   "https://, or allow_http: true where the network is your own")  # fmt: skip
    ca_file = entry.text("ca_file")
    if ca_file is None:
        return
    if address.scheme != "https":
        entry.tell(("ca_file",), "a CA file for an http:// address", "https:// in base_url, or no ca_file")
        return
    path = Path(entry.document.name).parent / Path(ca_file).expanduser()
    if not path.is_file():
        entry.tell(("ca_file",), shown(ca_file), "a file that exists; a relative path starts beside this file")


def _check_proxy(entry: _Entry) -> None:
    """A proxy's user and password belong in the environment, like a key."""
    found = entry.text("proxy")
    if found is None or found == "none":
        return
    try:
        address = read_url(found)
    except BadUrl as problem:
        entry.tell(("proxy",), problem.found, "http://host:port without user and password, or none")
        return
    if address.scheme != "http":
        entry.tell(("proxy",), f"{address.scheme}:// to the proxy", "http://host:port")


def _check_request(entry: _Entry) -> None:
    request = entry.found.get("request")
    if not isinstance(request, dict):
        return
    if request.get("keeps_reasoning") is True and entry.found.get("dialect") in _WITHOUT_THOUGHTS:
        found = f"thoughts of earlier turns for a {entry.found['dialect']} endpoint"
        entry.tell(("request", "keeps_reasoning"), found, "false: it takes no thoughts back in ordinary turns")
    body, headers = request.get("extra_body"), request.get("headers")
    for name in body if isinstance(body, dict) else ():
        if name in _OWN_BODY:
            entry.tell(("request", "extra_body", name), "a field that trueyield writes itself", "any other field")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        inside = ("request", "headers", name)
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            entry.tell(inside, shown(name), "a header name that trueyield does not write itself")
        elif isinstance(value, str) and not _HEADER_VALUE.fullmatch(value):
            entry.tell(inside, "a value with line breaks or characters outside ASCII", "one line of plain ASCII")


def _check_cards(entry: _Entry) -> None:
    found = entry.found
    compare = found.get("compare_with")
    cards: list[tuple[Place, Any]] = [((name,), found.get(name)) for name in ("price_card", "sell_at")]
    if isinstance(compare, list):
        cards += [(("compare_with", index), name) for index, name in enumerate(compare)]
    for inside, name in cards:
        _row_of(entry, entry.catalog.prices, inside, name, "a price card of the catalog")


def _row_of(entry: _Entry, shelf: Mapping[str, Any], inside: Place, name: Any, what: str) -> Any:
    """The catalog row of that name; a mistake where there is none, or where it may not be used without a word."""
    if not isinstance(name, str):
        return None
    row = shelf.get(name)
    if row is None:
        entry.tell(inside, shown(name), near_miss(name, shelf, what))
    elif row.status != "verified" and entry.found.get("accept_unverified") is not True:
        why = f": {row.note}" if row.note else ""
        entry.tell(inside, f"{name}, which the catalog marks {row.status}{why}",
                   "a verified row, or accept_unverified: true in this entry")  # fmt: skip
    return row


def _check_hardware(entry: _Entry, deployment: Mapping[str, Any]) -> None:
    inside: Place = ("deployment",)
    accelerators, models = entry.catalog.accelerators, entry.catalog.models
    accelerator = _row_of(
        entry, accelerators, (*inside, "accelerator"), deployment.get("accelerator"), "an accelerator of the catalog"
    )
    model = _row_of(entry, models, (*inside, "model"), deployment.get("model"), "a model of the catalog")
    for key, found, expected in layout_contradictions(deployment, model):
        entry.tell((*inside, key), found, expected)
    precision = deployment.get("precision")
    if accelerator is not None and isinstance(precision, str):
        _check_precision(entry, accelerator, precision)


def _check_precision(entry: _Entry, accelerator: Accelerator, precision: str) -> None:
    wrong = precision_mistake(accelerator, precision)
    if wrong is not None:
        entry.tell(("deployment", "precision"), *wrong)


def precision_mistake(accelerator: Accelerator, precision: str) -> tuple[str, str] | None:
    """(found, expected) where an accelerator cannot multiply in that format; unknown formats are told elsewhere."""
    rates = set(accelerator.flops_per_s)
    fits = bool(rates & _WIDE) if precision in _STORED_ONLY | _HALF else precision in rates
    if fits or precision not in _STORED_ONLY | _HALF | {"fp8", "int8", "fp4"}:
        return None
    can = sorted(rates | (_STORED_ONLY if rates & _WIDE else set()))
    return f"{precision}, for which {accelerator.name} has no rate", f"one of {', '.join(can)}"


def _check_hour(entry: _Entry, deployment: Mapping[str, Any]) -> None:
    given = [name for name in ("usd_per_gpu_hour", "gpu_hour", "tco") if deployment.get(name) is not None]
    if len(given) > 1:
        entry.tell(("deployment",), " and ".join(given), "one of usd_per_gpu_hour, gpu_hour and tco")
    inside: Place = ("deployment", "gpu_hour")
    hour = _row_of(entry, entry.catalog.gpu_hours, inside, deployment.get("gpu_hour"), "a GPU hour of the catalog")
    accelerator = deployment.get("accelerator")
    if hour is not None and isinstance(accelerator, str) and hour.accelerator != accelerator:
        entry.tell(inside, f"{hour.name}, an hour of {hour.accelerator}", f"an hour of {shown(accelerator)}")
    tco = deployment.get("tco")
    if isinstance(tco, dict):
        _check_tco(entry, tco)


def _check_tco(entry: _Entry, tco: Mapping[str, Any]) -> None:
    capex, residual = tco.get("capex_usd"), tco.get("residual_usd")
    if isinstance(capex, int | float) and isinstance(residual, int | float) and residual > capex:
        entry.tell(("deployment", "tco", "residual_usd"), shown(residual), f"at most capex_usd, {capex:g}")


def _check_demand(entry: _Entry, deployment: Mapping[str, Any]) -> None:
    """One statement about the day: a share or a curve that can be read."""
    demand = deployment.get("demand")
    if demand is not None and deployment.get("utilisation") is not None:
        entry.tell(("deployment",), "utilisation and demand", "one of utilisation and demand")
    day = deployment.get("day")
    mix = day.get("mix") if isinstance(day, dict) else None
    if isinstance(mix, dict):
        for name in mix:
            _row_of(
                entry, entry.catalog.prices, ("deployment", "day", "mix", name), name, "a price card of the catalog"
            )
        shares = [share for share in mix.values() if isinstance(share, int | float)]
        if sum(shares) > 1:
            entry.tell(("deployment", "day", "mix"), f"shares of {sum(shares):g}", "shares that sum to at most 1")
    if isinstance(demand, str):
        try:
            curve_named(demand, Path(entry.document.name).parent)
        except InputError as error:
            for mistake in error.mistakes:
                entry.tell(("deployment", "demand"), mistake.found, mistake.expected)


def _check_power(entry: _Entry, deployment: Mapping[str, Any]) -> None:
    power, count, prefill = (deployment.get(name) for name in ("power", "count", "prefill_count"))
    if isinstance(power, dict):
        watts, idle = power.get("watts"), power.get("idle_watts")
        if isinstance(watts, int | float) and isinstance(idle, int | float) and idle > watts:
            entry.tell(("deployment", "power", "idle_watts"), shown(idle), f"at most watts, {watts:g}")
    if isinstance(prefill, int) and isinstance(count, int) and prefill >= count:
        entry.tell(("deployment", "prefill_count"), shown(prefill), f"less than count, {count}: some must decode")
    if deployment.get("split") == "price" and not (entry.found.get("price_card") or entry.found.get("sell_at")):
        entry.tell(("deployment", "split"), "price, without a card", "price_card or sell_at in this entry, or marginal")
