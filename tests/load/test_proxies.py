"""Which proxy a request takes, and that it arrives through it: whole URLs for http, a tunnel for https."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Serve, call_for, make_plan, record_of
from raw_server import Visit

from harness.config import load_providers
from harness.errors import InputError
from harness.load.calls import Call, Proxy
from harness.load.client import Client
from harness.load.dialects import build_call, resolve_target
from harness.load.proxies import Destination, proxy_for
from harness.providers import Endpoint, RequestOptions

API = Destination(host="api.example.com", port=443, tls=True)
PLAIN = Destination(host="10.1.2.3", port=8000, tls=False)
HERE = Destination(host="127.0.0.1", port=8000, tls=False)
P = "http://proxy:3128"

CHOICES = [
    (API, None, {}, None),
    (API, None, {"HTTPS_PROXY": P}, "proxy"),
    (API, None, {"https_proxy": P, "HTTPS_PROXY": "http://other:1"}, "proxy"),
    (API, None, {"HTTP_PROXY": P}, None),
    (API, None, {"ALL_PROXY": P}, "proxy"),
    (API, None, {"HTTPS_PROXY": "proxy:3128"}, "proxy"),
    (PLAIN, None, {"HTTP_PROXY": P}, "proxy"),
    (PLAIN, None, {"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None),
    (PLAIN, None, {"http_proxy": P, "NO_PROXY": "10.0.0.0/8"}, None),
    (PLAIN, None, {"http_proxy": P, "NO_PROXY": "10.1.2.3"}, None),
    (PLAIN, None, {"http_proxy": P, "NO_PROXY": "10.1.2.3:8000"}, None),
    (PLAIN, None, {"http_proxy": P, "NO_PROXY": "10.1.2.3:8001"}, "proxy"),
    (API, None, {"HTTPS_PROXY": P, "NO_PROXY": "localhost, example.com"}, None),
    (API, None, {"HTTPS_PROXY": P, "no_proxy": ".example.com"}, None),
    (API, None, {"HTTPS_PROXY": P, "no_proxy": "*.example.com"}, None),
    (API, None, {"HTTPS_PROXY": P, "no_proxy": "*"}, None),
    (API, None, {"HTTPS_PROXY": P, "no_proxy": "ample.com"}, "proxy"),
    (HERE, None, {"HTTP_PROXY": P}, None),
    (Destination(host="localhost", port=1, tls=True), None, {"ALL_PROXY": P}, None),
    (Destination(host="::1", port=1, tls=True), None, {"ALL_PROXY": P}, None),
    (HERE, P, {}, "proxy"),
    (API, "none", {"HTTPS_PROXY": P}, None),
]


@pytest.mark.parametrize("case", CHOICES, ids=str)
def test_choice(case: tuple[Destination, str | None, dict[str, str], str | None]) -> None:
    goal, declared, environment, expected = case
    found = proxy_for(goal, declared, environment)
    assert (found.host if found else None) == expected
    assert found is None or found.port == 3128


def test_user_and_password() -> None:
    found = proxy_for(API, None, {"HTTPS_PROXY": "http://me:p%40ss@proxy"})
    assert found == Proxy("proxy", 80, "Basic bWU6cEBzcw==")


@pytest.mark.parametrize("url", ["socks5://me:secret@p:1080", "https://p:1", "http://", "http://p:x"])
def test_other_proxies_are_refused(url: str) -> None:
    with pytest.raises(InputError) as caught:
        proxy_for(API, None, {"HTTPS_PROXY": url})
    assert "secret" not in str(caught.value)


def test_a_plain_request_goes_to_the_proxy_with_its_whole_url(client: Client, serve: Serve) -> None:
    proxy = serve()
    plan = make_plan("http://203.0.113.7:8000/v1", proxy=f"http://127.0.0.1:{proxy.port}")
    example = call_for(proxy)
    call = build_call(plan, Question(), example.identity, resolve_target(plan.endpoint), None)
    record = record_of(client.call(call))
    assert record.outcome == "ok"
    begin = proxy.visits[0].request.split(b"\r\n")[:2]
    assert begin == [b"POST http://203.0.113.7:8000/v1/chat/completions HTTP/1.1", b"Host: 203.0.113.7:8000"]


def test_a_key_does_not_go_through_a_proxy_in_clear_text(serve: Serve) -> None:
    plan = make_plan("http://203.0.113.7:8000/v1", proxy="http://127.0.0.1:1")
    with pytest.raises(InputError, match="plain http"):
        build_call(plan, Question(), call_for(serve()).identity, resolve_target(plan.endpoint), "sk-1234567")


def test_a_tunnel(client: Client, serve: Serve, certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    server = serve(context=context)
    with tunnel(server.port) as (port, requests):
        endpoint = make_plan(
            server.url, ca_file=str(certificates / "ca.pem"), proxy=f"http://127.0.0.1:{port}"
        ).endpoint
        target = resolve_target(endpoint)
        plain = call_for(server)
        record = record_of(client.call(Call(plain.identity, target, plain.payload)))
    assert (record.outcome, record.deltas, record.connection) == ("ok", 5, "fresh")
    assert requests == [f"CONNECT localhost:{server.port} HTTP/1.1"]


def refuse(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("script", "words"),
    [(refuse, "HTTP 407"), (lambda visit: visit.sock.shutdown(socket.SHUT_RDWR), "closed the connection"),
     (lambda visit: visit.send(b"nonsense nonsense"), "not HTTP")],
)  # fmt: skip
def test_a_tunnel_that_never_stands(client: Client, serve: Serve, script, words) -> None:  # type: ignore[no-untyped-def]
    proxy = serve(script)
    endpoint = make_plan("https://203.0.113.7/v1", proxy=f"http://127.0.0.1:{proxy.port}").endpoint
    plain = call_for(proxy)
    record = record_of(client.call(Call(plain.identity, resolve_target(endpoint), plain.payload)))
    assert record.outcome == "connect_error" and words in (record.error or ""), record.error


class Question:
    messages = ({"role": "system", "content": "Be short."}, {"role": "user", "content": "What is 6 x 7?"})


def test_the_older_completions(client: Client, serve: Serve) -> None:
    def text(visit: Visit) -> None:
        body = b'data: {"choices":[{"text":"42","index":0,"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        visit.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )

    server = serve(text)
    plan = make_plan(server.url, request=RequestOptions(form="completions"))
    call = build_call(plan, Question(), call_for(server).identity, resolve_target(plan.endpoint), None)
    assert (record := record_of(client.call(call))).outcome == "ok" and record.deltas == 1
    request = server.visits[0].request
    assert request.startswith(b"POST /v1/completions HTTP/1.1\r\n")
    assert b'"prompt":"Be short.\\n\\nWhat is 6 x 7?"' in request and b"messages" not in request


def test_entries(tmp_path: Path) -> None:
    path = tmp_path / "providers.yaml"
    begin = "endpoints:\n  e:\n    model: m\n    request: {{form: completions}}\n"
    entry = begin + "    base_url: https://h\n    proxy: {}\n"
    path.write_text(entry.format("http://proxy:3128"))
    endpoint: Endpoint = load_providers(path).endpoints["e"]
    assert (endpoint.proxy, endpoint.request.form) == ("http://proxy:3128", "completions")
    for wrong in ("http://me:secret@proxy", "https://proxy", "nobody"):
        path.write_text(entry.format(wrong))
        with pytest.raises(InputError) as caught:
            load_providers(path)
        assert "proxy" in str(caught.value) and "secret" not in str(caught.value)


@contextmanager
def tunnel(port: int) -> Iterator[tuple[int, list[str]]]:
    """A CONNECT proxy for one connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[str] = []

    def copy(source: socket.socket, goal: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                goal.sendall(data)
            goal.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve() -> None:
        client, _ = listener.accept()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(4096)
        requests.append(head.split(b"\r\n")[0].decode())
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=copy, args=(server, client))
            back.start()
            copy(client, server)
            back.join(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], requests
    finally:
        listener.close()
        thread.join(15)
