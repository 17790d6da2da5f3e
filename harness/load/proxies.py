"""Environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) + target -> the proxy to go through, or none.

A loopback target is never sent through a proxy of the environment: only an entry's own `proxy:` says so.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from harness.errors import InputError, Mistake
from harness.load.calls import Proxy

NO_PROXY = "none"  # an entry's word for "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a request is to go."""

    host: str
    port: int
    tls: bool


def proxy_for(goal: Destination, declared: str | None, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy that an entry declares, else that of the environment. Raises InputError for what is no HTTP proxy."""
    if declared is not None:
        return None if declared == NO_PROXY else read_proxy(declared, "proxy")
    if _is_loopback(goal.host) or _excluded(goal, _value(environment, "no_proxy")):
        return None
    for name in ("https_proxy" if goal.tls else "http_proxy", "all_proxy"):
        if found := _value(environment, name):
            return read_proxy(found, name.upper())
    return None


def read_proxy(text: str, where: str) -> Proxy:
    """A proxy's URL, taken apart; user and password are never shown."""
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
        url = urlsplit("")
    if url.scheme != "http" or not host:
        kind = f"a {url.scheme} proxy" if url.scheme else "no proxy's URL (not shown)"
        raise InputError([Mistake("environment", where, kind, "http://host:port")],
                         "SOCKS and TLS to the proxy itself are not supported")  # fmt: skip
    authorization = None
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Proxy(host=host, port=port or 80, authorization=authorization)


def _value(environment: Mapping[str, str], name: str) -> str:
    """Lower case first, as curl and Python read it; no value where a CGI request could have set it."""
    if name == "http_proxy" and "REQUEST_METHOD" in environment:
        return environment.get(name, "").strip()
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _excluded(goal: Destination, listed: str) -> bool:
    return any(_matches(goal, item.strip().lower()) for item in listed.split(",") if item.strip())


def _matches(goal: Destination, item: str) -> bool:
    """A host, a domain and all below it, host:port, an address, a network (10.0.0.0/8), or *."""
    if item == "*":
        return True
    host = goal.host.lower().strip("[]")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(item.strip("[]"), strict=False)
    except ValueError:
        pass
    name, colon, port = item.rpartition(":")
    if colon and port.isdigit() and name.count(":") != 1:
        if int(port) != goal.port:
            return False
        item = name.strip("[]")
    item = item.removeprefix("*").lstrip(".")
    return host == item or host.endswith("." + item)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
