"""Record what a real engine sends: `python tests/load/corpus/record.py ENGINE VERSION URL [MODEL [PID]]`.

One .http file a request; with the PID of a process of that engine only one, in the middle of which it is killed.
Each file: lines of `# name: value` (engine, version, request, how), a blank line, then the answer's bytes as they came.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

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
    "unknown-field": {"stream": True, "max_tokens": 1, "no_such_field": True},
    "bad-request": {"stream": True, "max_tokens": -5, "messages": "no list"},
    "too-long": {"stream": True, "max_tokens": 1, "messages": [{"role": "user", "content": "word " * 20_000}]},
    "after-too-long": {"stream": True, "max_tokens": 4},
}
KILLED = {"stream": True, "max_tokens": 1500, "ignore_eos": True, **USAGE}
_BYTES_BEFORE_THE_KILL = 4000

#: An engine that answers 422 to fields that it does not know; it is asked without them, and once with one.
_UNKNOWN_TO = {"transformers": "ignore_eos"}


def main(engine: str, version: str, url: str, model: str = "tiny", pid: str = "") -> None:
    """Ask everything and write the files."""
    place = urlsplit(url)
    facts = {"version": version, "how": "recorded"}
    if pid:
        body = body_for(engine, {"model": model, **KILLED})
        facts["how"] += ", its engine process killed in mid-stream"
        write(engine, "engine-killed", facts, body, ask(place, body, int(pid)))
        return
    for name, more in REQUESTS.items():
        body = body_for(engine, {"model": model} | more)
        write(engine, name, facts, body, ask(place, body))


def body_for(engine: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The request's JSON, in the words of this engine."""
    body = {"messages": QUESTION, "temperature": 0.0, **asked}
    unknown = _UNKNOWN_TO.get(engine, "")
    return {
        key: value for key, value in body.items() if key != unknown and not (key == "messages" and "prompt" in body)
    }


def write(engine: str, name: str, facts: dict[str, str], body: dict[str, Any], answer: bytes) -> None:
    """One file of the corpus."""
    folder = FOLDER / engine
    folder.mkdir(exist_ok=True)
    shown = json.dumps({key: value for key, value in body.items() if key != "messages"})
    lines = {"engine": engine, **facts, "request": shown}
    head = "".join(f"# {key}: {value}\n" for key, value in lines.items())
    (folder / f"{name}.http").write_bytes(head.encode() + b"\n" + answer)
    print(f"{engine}/{name}: {len(answer)} bytes")


def ask(place: SplitResult, body: dict[str, Any], kill: int | None = None) -> bytes:
    """One request on a connection of its own; every byte of the answer, until the server closes."""
    path = f"{place.path}/completions" if "prompt" in body else f"{place.path}/chat/completions"
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    answer = b""
    with socket.create_connection((place.hostname or "", place.port or 80), timeout=60) as sock:
        sock.sendall(head.encode() + content)
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                answer += piece
                if kill is not None and len(answer) > _BYTES_BEFORE_THE_KILL:
                    os.kill(kill, signal.SIGKILL)
                    kill = None
    return answer


if __name__ == "__main__":
    main(*sys.argv[1:])
