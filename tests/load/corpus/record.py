"""Record what a real engine sends: `python tests/load/corpus/record.py ENGINE VERSION URL`, one .http file a request.

Each file: lines of `# name: value` (engine, version, request, how), a blank line, then the answer's bytes as they came.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FOLDER = Path(__file__).parent
QUESTION = [{"role": "user", "content": "Count to ten, then say é and 日本."}]
USAGE = {"stream_options": {"include_usage": True}}
EACH = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}

#: name -> what is asked beside model and messages
REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"stream": True, "max_tokens": 24, "ignore_eos": True},
    "usage": {"stream": True, "max_tokens": 24, "ignore_eos": True, **USAGE},
    "usage-each": {"stream": True, "max_tokens": 24, "ignore_eos": True, **EACH},
    "capped-at-one": {"stream": True, "max_tokens": 1, **USAGE},
    "free-to-stop": {"stream": True, "max_tokens": 64, "temperature": 2.0, "seed": 3, **USAGE},
    "whole": {"stream": False, "max_tokens": 24, "ignore_eos": True},
    "completions": {"stream": True, "max_tokens": 16, "ignore_eos": True, "prompt": "Count to ten.", **USAGE},
    "unknown-model": {"stream": True, "max_tokens": 1, "model": "no-such-model"},
    "too-long": {"stream": True, "max_tokens": 1, "messages": [{"role": "user", "content": "word " * 20_000}]},
    "bad-request": {"stream": True, "max_tokens": -5, "messages": "no list"},
}


def main(engine: str, version: str, url: str) -> None:
    """Ask everything and write the files."""
    place = urlsplit(url)
    folder = FOLDER / engine
    folder.mkdir(exist_ok=True)
    for name, more in REQUESTS.items():
        body = {"model": "tiny", "messages": QUESTION, "temperature": 0.0, **more}
        path = f"{place.path}/chat/completions"
        if "prompt" in body:
            del body["messages"]
            path = f"{place.path}/completions"
        answer = ask(place.hostname or "", place.port or 80, path, json.dumps(body).encode())
        shown = json.dumps({key: value for key, value in body.items() if key != "messages"})
        head = f"# engine: {engine}\n# version: {version}\n# how: recorded\n# request: {shown}\n\n"
        (folder / f"{name}.http").write_bytes(head.encode() + answer)
        print(f"{engine}/{name}: {len(answer)} bytes")


def ask(host: str, port: int, path: str, content: bytes) -> bytes:
    """One request on a connection of its own; every byte of the answer, until the server closes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection((host, port), timeout=60) as sock:
        sock.sendall(head.encode() + content)
        pieces = []
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


if __name__ == "__main__":
    main(*sys.argv[1:])
