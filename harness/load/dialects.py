"""Endpoint + Plan + Prompt -> Target and Call: where a request goes, and every byte of it.

What an endpoint understands is data (`Endpoint.request`, `Endpoint.dialect`); nothing vendor-specific goes to an
endpoint that did not declare it.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import msgspec

import harness
from harness.errors import InputError, Mistake, PreflightError
from harness.load.calls import Call, Deadlines, Identity, Target
from harness.load.proxies import Destination, proxy_for
from harness.load.scenarios import Plan
from harness.load.thinking import merged, thinking_fields
from harness.providers import Endpoint, RequestOptions

#: Dialects whose server can be told to ignore the end-of-sequence token.
IGNORES_EOS = frozenset({"vllm", "llamacpp"})
#: Fields of a message in which thoughts can go back; a tag inside the content goes back there, a summary not at all.
_THOUGHT_FIELDS = frozenset({"reasoning", "reasoning_content"})

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
#: Headers that the engine sets itself; a second value would make the request ambiguous.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type", "accept",
                   "accept-encoding", "x-request-id", "expect", "upgrade"})  # fmt: skip

_encode = msgspec.json.Encoder().encode


class Plain(msgspec.Struct, frozen=True, kw_only=True):
    """A request outside the run: any path of the endpoint's host; its body comes back as text."""

    path: str
    body: Mapping[str, Any] | None = None  # None: a GET
    total_s: float = 20.0


class Asked(Protocol):
    """What a request needs of a prompt."""

    @property
    def messages(self) -> Sequence[Mapping[str, str]]:
        """Chat messages: role and content."""


def resolve_target(endpoint: Endpoint) -> Target:
    """Host, port, TLS and resolved addresses of an endpoint. Names are looked up here, never during a run."""
    url = _split_url(endpoint)
    host = (url.hostname or "").encode("idna").decode("ascii") if not _is_ip(url.hostname or "") else url.hostname or ""
    tls = url.scheme == "https"
    port = url.port or (443 if tls else 80)
    proxy = proxy_for(Destination(host=host, port=port, tls=tls), endpoint.proxy, os.environ)
    return Target(
        host=host,
        port=port,
        tls=tls,
        ca_file=endpoint.ca_file if tls else None,
        addresses=_look_up(host, port) if proxy is None else _look_up(proxy.host, proxy.port),
        proxy=proxy,
    )


def build_call(plan: Plan, prompt: Asked, identity: Identity, target: Target, key: str | None) -> Call:
    """One chat completion request, ready to be sent."""
    endpoint, workload = plan.endpoint, plan.scenario.workload
    fixed_length = workload.fixed_length and endpoint.dialect in IGNORES_EOS
    body = _body(plan, prompt, fixed_length)
    if identity.cap_tokens is not None and body.get(endpoint.request.cap_field) == workload.max_tokens:
        body[endpoint.request.cap_field] = identity.cap_tokens  # one request may ask for less than the workload
    content = _encode(body)
    _refuse_open_key(endpoint, target, key)
    headers = {**endpoint.request.headers, **plan.extra_headers}
    return Call(
        identity=identity,
        target=target,
        payload=_head("POST", request_path(endpoint), target, _fields(identity, headers, key, len(content))) + content,
        dialect=endpoint.dialect,
        stream=bool(body["stream"]),
        deadlines=_deadlines(plan.deadlines),
        keep_deltas=plan.keep_deltas,
        keep_text=plan.keep_answers or workload.turns is not None,  # a history needs the answers
        fixed_length=fixed_length,
        send_ns=identity.planned_ns,
    )


def build_plain(endpoint: Endpoint, plain: Plain, target: Target, key: str | None, identity: Identity) -> Call:
    """A GET or POST of any path on the endpoint's own host, e.g. `/version` or `/v1/models`."""
    _refuse_open_key(endpoint, target, key)
    content = b"" if plain.body is None else _encode(plain.body)
    length = None if plain.body is None else len(content)
    fields = _fields(identity, endpoint.request.headers, key, length)
    total_s = plain.total_s
    return Call(
        identity=identity,
        target=target,
        payload=_head("GET" if length is None else "POST", plain.path, target, fields) + content,
        dialect="raw",
        stream=False,
        deadlines=Deadlines(connect_s=min(10.0, total_s), ttft_s=total_s, gap_s=total_s, total_s=total_s),
        keep_deltas=False,
    )


def said_by_model(request: RequestOptions, answer: str, reasoning: str | None, field: str | None) -> dict[str, str]:
    """An answer as a message of the history. Thoughts are dropped, unless the endpoint wants them back as it sent them:
    in the field of their own (`field`), or by their tag inside the content."""
    said = {"role": "assistant", "content": answer}
    if not request.keeps_reasoning or not reasoning or field is None:
        return said
    if field in _THOUGHT_FIELDS:
        return {**said, field: reasoning}
    return said if field.startswith("reasoning_details") else {**said, "content": reasoning + answer}


def base_path(endpoint: Endpoint) -> str:
    """Path of the API: as given, and /v1 where the URL has none at all."""
    path = _split_url(endpoint).path.rstrip("/")
    return path or "/v1"


def request_path(endpoint: Endpoint) -> str:
    """Path (and query, as Azure needs it) of chat completions, or of the older completions."""
    url = _split_url(endpoint)
    path = base_path(endpoint)
    if not path.endswith("/completions"):
        path += "/completions" if endpoint.request.form == "completions" else "/chat/completions"
    return path + (f"?{url.query}" if url.query else "")


def _body(plan: Plan, prompt: Asked, fixed_length: bool) -> dict[str, Any]:
    endpoint, workload, request = plan.endpoint, plan.scenario.workload, plan.endpoint.request
    body: dict[str, Any] = {
        "model": endpoint.model,
        **_asked(prompt, request),
        "stream": True,
        request.cap_field: workload.max_tokens,
    }
    if workload.temperature is not None:
        body["temperature"] = workload.temperature
    if request.include_usage or request.continuous_usage:
        body["stream_options"] = {"include_usage": True}
        if request.continuous_usage:
            body["stream_options"]["continuous_usage_stats"] = True
    if fixed_length:
        body["ignore_eos"] = True
    body |= request.extra_body
    body = merged(body, thinking_fields(workload, endpoint.dialect))  # this run's wish goes before the endpoint's rule
    body |= plan.extra_body
    if not body["stream"]:
        body.pop("stream_options", None)  # vLLM answers 400 to both
    return body


def _asked(prompt: Asked, request: RequestOptions) -> dict[str, Any]:
    """Messages, or for the older API their texts as one prompt."""
    if request.form == "completions":
        return {"prompt": "\n\n".join(message["content"] for message in prompt.messages)}
    return {"messages": prompt.messages}


def _fields(identity: Identity, extra: Mapping[str, str], key: str | None, length: int | None) -> list[tuple[str, str]]:
    fields = [
        ("User-Agent", f"trueyield/{harness.__version__}"),
        ("Accept", "text/event-stream" if length is not None else "application/json"),
        ("Accept-Encoding", "identity"),
        ("X-Request-Id", identity.request_id),
    ]
    if key is not None:
        fields.append(("Authorization", f"Bearer {key}"))
    if length is not None:
        fields += [("Content-Type", "application/json"), ("Content-Length", str(length))]
    ours = {name.lower() for name, _ in fields if name != "User-Agent"} | _OURS
    mistakes = [_header_mistake(name, "is set by trueyield itself") for name in extra if name.lower() in ours]
    if mistakes:
        raise InputError(mistakes)
    if "user-agent" in {name.lower() for name in extra}:
        fields.pop(0)
    return fields + list(extra.items())


def _head(method: str, path: str, target: Target, fields: Iterable[tuple[str, str]]) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.port != (443 if target.tls else 80):
        host += f":{target.port}"
    # A proxy needs the whole URL; through a tunnel the target itself reads the request.
    whole = f"http://{host}{path}" if target.proxy is not None and not target.tls else path
    lines = [f"{method} {whole} HTTP/1.1", f"Host: {host}"]
    if target.proxy is not None and not target.tls and target.proxy.authorization:
        lines.append(f"Proxy-Authorization: {target.proxy.authorization}")
    mistakes = []
    for name, value in fields:
        if not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            mistakes.append(_header_mistake(name, "holds a character that no header may hold"))
        lines.append(f"{name}: {value}")
    if mistakes:
        raise InputError(mistakes)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _header_mistake(name: str, what: str) -> Mistake:
    """Never shows a value: it may be a key."""
    return Mistake("request", f"headers.{name!r}", what, "another header, one line of Latin-1 text")


def _deadlines(overrides: Mapping[str, float]) -> Deadlines:
    return msgspec.structs.replace(Deadlines(), **overrides)


def _split_url(endpoint: Endpoint) -> SplitResult:
    return _split(endpoint.name, endpoint.base_url)


@lru_cache(maxsize=64)  # asked twice a request
def _split(name: str, base_url: str) -> SplitResult:
    try:
        url = urlsplit(base_url)
        fine = url.scheme in {"http", "https"} and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        fine = False
    if not fine or url.username or re.search(r"[\x00-\x20\x7f]", base_url) or not base_url.isascii():
        raise InputError([Mistake(name, "base_url", repr(base_url), "http://host[:port][/path] without user name")])
    return url


def _look_up(host: str, port: int) -> tuple[tuple[int, str, int], ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise PreflightError(
            f"cannot resolve {host}: {error.strerror or error}", "check the base_url of the endpoint"
        ) from None
    return tuple(dict.fromkeys((int(family), str(address[0]), port) for family, _, _, _, address in found))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refuse_open_key(endpoint: Endpoint, target: Target, key: str | None) -> None:
    """A key must not cross a network in clear text."""
    if key is None or target.tls or endpoint.allow_http:
        return
    here = all(ipaddress.ip_address(ip.partition("%")[0]).is_loopback for _, ip, _ in target.addresses)
    if target.proxy is not None or not here:
        raise InputError(
            [Mistake(endpoint.name, "base_url", "plain http with an API key", "https, or allow_http: true")],
            "anybody on the way could read the key",
        )
