"""A base URL as text -> where it leads, or what is wrong with it; says nothing that could be a secret."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.config.keys import ADVICE, HIDDEN, looks_like_key

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A base URL, taken apart."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def label(self) -> str:
        """host:port, the name of an endpoint that has no entry."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """True where what is sent is encrypted or never leaves this machine."""
        return self.scheme == "https" or is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class BadUrl(Exception):
    """What was found in place of a base URL, and what would do."""

    found: str
    expected: str


def read_url(text: str) -> Address:
    """Take a base URL apart. Raises BadUrl."""
    if looks_like_key(text):
        raise BadUrl(HIDDEN, ADVICE)
    if "://" not in text:
        raise BadUrl(repr(text), f"a URL with its scheme: http://{text.strip('/') or 'host:port'}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadUrl("a URL with an impossible host or port", "http://host:port/v1") from None
    if parts.username is not None or parts.password is not None:
        raise BadUrl("a URL with a user or password (not shown)", ADVICE)
    if parts.query or parts.fragment:
        raise BadUrl("a URL with ? or # (not shown)", "a plain base URL; further fields go to request.extra_body")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadUrl(repr(text), "http://host:port/v1 or https://host/v1")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise BadUrl(repr(text), "a URL without spaces")
    if parts.path.rstrip("/").endswith("/completions"):
        raise BadUrl(repr(text), "the base URL only, without /chat/completions")
    port = _PORTS[parts.scheme] if port is None else port
    return Address(url=text.rstrip("/"), scheme=parts.scheme, host=parts.hostname, port=port)


def is_loopback(host: str) -> bool:
    """True for this machine's own names and addresses."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
