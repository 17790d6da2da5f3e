"""Bytes of an HTTP/1.x response head -> ResponseHead: status, framing, and the few headers that a record needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_HEAD_BYTES = 64 * 1024

Framing = Literal["chunked", "length", "eof"]

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\Z")
_FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")


class ProtocolError(Exception):
    """The bytes are not what HTTP/1.1 or the event stream allows; ends in outcome protocol_error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """One response head, understood. `headers` has lower-case names; repeated fields are joined with a comma."""

    status: int
    headers: Mapping[str, str]
    framing: Framing
    length: int = 0  # of the body, where framing is "length"
    keep_alive: bool = True

    @property
    def content_type(self) -> str:
        """Media type without parameters, lower case; "" where the server names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after_s(self) -> float | None:
        """Retry-After in seconds; its date form is not used by any LLM server and counts as absent."""
        try:
            seconds = float(self.headers.get("retry-after", ""))
        except ValueError:
            return None
        return seconds if 0 <= seconds < 1e9 else None


def rate_limits(headers: Mapping[str, str]) -> dict[str, str] | None:
    """The headers that speak of limits, as they came, bounded in number and size; None without any."""
    names = [name for name in headers if name == "retry-after" or "ratelimit" in name or "rate-limit" in name]
    return {name[:64]: headers[name][:128] for name in names[:24]} or None


class HeadReader:
    """Collects bytes until a final response head is whole. Interim (1xx) heads are skipped, but count in the limit."""

    __slots__ = ("_bytes", "_skipped")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._skipped = 0

    @property
    def received(self) -> int:
        """Bytes seen so far."""
        return self._skipped + len(self._bytes)

    def feed(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """The head and the bytes behind it, or None while it is not whole."""
        search_from = max(0, len(self._bytes) - 3)
        self._bytes += data
        _require_http(self._bytes)
        while (end := self._bytes.find(b"\r\n\r\n", search_from)) >= 0:
            self._limit(end)
            head = parse_head(bytes(self._bytes[:end]))
            rest = bytes(self._bytes[end + 4 :])
            if head.status >= 200 or head.status == 101:
                self._bytes.clear()
                return head, rest
            self._skipped += end + 4
            self._bytes = bytearray(rest)
            _require_http(self._bytes)
            search_from = 0
        self._limit(len(self._bytes))
        return None

    def _limit(self, size: int) -> None:
        if self._skipped + size > MAX_HEAD_BYTES:
            raise ProtocolError(f"response head larger than {MAX_HEAD_BYTES} bytes")


def _require_http(begun: bytearray) -> None:
    """Garbage is refused at its first bytes, not after a deadline."""
    if not b"HTTP/1.".startswith(begun[:7]):
        raise ProtocolError("the answer is not HTTP/1.1")


def parse_head(block: bytes) -> ResponseHead:
    """Parse a head without its blank line; raises ProtocolError."""
    status_line, *lines = block.split(b"\r\n")
    matched = _STATUS_LINE.match(status_line)
    if not matched:
        raise ProtocolError(f"bad status line: {status_line[:80]!r}")
    headers = _parse_fields(lines)
    status, minor = int(matched[2]), matched[1]
    framing, length = _framing(status, headers)
    tokens = {token.strip() for token in headers.get("connection", "").lower().split(",")}
    persistent = "close" not in tokens and (minor == b"1" or "keep-alive" in tokens)
    both = "transfer-encoding" in headers and "content-length" in headers
    return ResponseHead(
        status=status,
        headers=headers,
        framing=framing,
        length=length,
        keep_alive=persistent and framing != "eof" and not both,
    )


def _parse_fields(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name_bytes, colon, value_bytes = line.partition(b":")
        if not colon or not _FIELD_NAME.match(name_bytes):
            raise ProtocolError(f"bad header line: {line[:80]!r}")
        name, value = name_bytes.decode("ascii").lower(), value_bytes.strip(b" \t").decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _framing(status: int, headers: Mapping[str, str]) -> tuple[Framing, int]:
    if status < 200 or status in {204, 304}:
        return "length", 0
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            raise ProtocolError(f"transfer-encoding {coding[:40]!r} is not chunked")
        return "chunked", 0
    lengths = {text.strip() for text in headers.get("content-length", "").split(",")} - {""}
    if not lengths:
        return "eof", 0
    text = lengths.pop()
    if lengths or not _LENGTH.match(text):
        raise ProtocolError(f"bad content-length: {headers['content-length'][:40]!r}")
    return "length", int(text)
