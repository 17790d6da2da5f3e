"""foreign(): the headers of a POST -> why it does not come from our own page. No Locust in here."""

from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def foreign(host_header: str, origin: str | None, bound_to: str, trusted: set[str]) -> str | None:
    """Why a POST is not from our own page, or None. A page elsewhere cannot forge Host and Origin."""
    host = (urlsplit(f"//{host_header}").hostname or "").lower()
    if bound_to in LOOPBACK and host not in LOOPBACK and host not in trusted:
        return f"Host {host_header!r} is not this machine (--trusted-host NAME allows a proxy)"
    if origin is not None and urlsplit(origin).netloc.lower() != host_header.lower():
        return f"Origin {origin!r} is another site"
    return None
