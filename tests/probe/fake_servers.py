"""Servers that answer the paths of a probe in the documented shape of Ollama, SGLang, LM Studio and hosted APIs."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any]
#: As a status: the connection is closed without a word.
HANGS_UP = 0


@dataclass
class Fake:
    """Paths -> replies; a chat request goes to `chat`. `seen` is what was asked: (path, body, authorization)."""

    routes: dict[str, Reply]
    chat: Callable[[dict[str, Any]], Reply]
    key: str | None = None
    seen: list[tuple[str, dict[str, Any] | None, str | None]] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, body: dict[str, Any] | None, authorization: str | None) -> Reply:
        self.seen.append((path, body, authorization))
        if self.key is not None and authorization != f"Bearer {self.key}":
            return 401, {"error": {"message": "no key", "type": "authentication_error"}}
        if path.endswith("/chat/completions") and body is not None:
            return self.chat(body)
        return self.routes.get(path, (404, {"detail": "Not Found"}))


def events(texts: list[dict[str, Any]], usage: dict[str, Any] | None, *, own_chunk: bool = True) -> str:
    """A stream: deltas, the finish event, usage on an event of its own or on the finish event, [DONE]."""
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in texts]
    finish: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    if usage is not None and not own_chunk:
        finish["usage"] = usage
    chunks.append(finish)
    if usage is not None and own_chunk:
        chunks.append({"choices": [], "usage": usage})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def cap_of(body: dict[str, Any]) -> int:
    return min(body[name] for name in ("max_tokens", "max_completion_tokens") if name in body)


def plain_chat(body: dict[str, Any]) -> Reply:
    """Every cap is kept; usage where it is asked for."""
    if body["model"] == "trueyield-no-such-model":
        return 404, {"error": {"message": "no such model", "type": "not_found_error", "param": None, "code": None}}
    count = cap_of(body)
    asked = body.get("stream_options", {}).get("include_usage")
    words = len(body["messages"][0]["content"].split())
    usage = {"prompt_tokens": words, "completion_tokens": count, "total_tokens": words + count}
    return 200, events([{"content": f" {n}"} for n in range(count)], usage if asked else None)


@contextmanager
def running(fake: Fake) -> Iterator[Fake]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(fake.answer(self.path, None, self.headers.get("Authorization")))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._reply(fake.answer(self.path, body, self.headers.get("Authorization")))

        def _reply(self, reply: Reply) -> None:
            status, value = reply
            if status == HANGS_UP:
                self.close_connection = True
                return
            kind = "text/event-stream" if isinstance(value, str) and value.startswith("data:") else "application/json"
            content = (value if isinstance(value, str) else json.dumps(value)).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


def ollama() -> Fake:
    name = "deepseek-r1:32b"
    details = {"format": "gguf", "family": "qwen2", "parameter_size": "32.8B", "quantization_level": "Q4_K_M"}
    times = {"done": True, "load_duration": 3_210_000_000, "prompt_eval_count": 5, "prompt_eval_duration": 20_000_000,
             "eval_count": 1, "eval_duration": 30_000_000}  # fmt: skip

    def chat(body: dict[str, Any]) -> Reply:
        if body["model"] != name:
            return 404, {"error": {"message": f"model '{body['model']}' not found", "type": "not_found_error",
                                   "param": None, "code": None}}  # fmt: skip
        usage = {"prompt_tokens": 9, "completion_tokens": cap_of(body), "total_tokens": 9 + cap_of(body)}
        asked = body.get("stream_options", {}).get("include_usage")
        thought = [{"role": "assistant", "content": "", "reasoning": "hm"}]
        return 200, events(thought * cap_of(body), usage if asked else None)

    return Fake(
        {
            "/": (200, "Ollama is running"),
            "/api/version": (200, {"version": "0.32.15"}),
            "/api/tags": (200, {"models": [{"name": name, "details": details}]}),
            "/api/show": (200, {"details": details, "model_info": {"qwen2.context_length": 131072}}),
            "/api/ps": (200, {"models": []}),
            "/api/generate": (200, times),
            "/v1/models": (200, {"data": [{"id": name, "object": "model", "owned_by": "library"}]}),
        },
        chat,
    )


def sglang() -> Fake:
    return Fake(
        {
            "/v1/models": (200, {"data": [{"id": "Qwen/Qwen3-32B", "owned_by": "sglang", "max_model_len": 40960}]}),
            "/get_model_info": (200, {"model_path": "Qwen/Qwen3-32B", "is_generation": True}),
            "/get_server_info": (200, {"version": "0.5.9", "tp_size": 2, "dtype": "bfloat16", "quantization": None,
                                       "max_running_requests": 48, "mem_fraction_static": 0.88,
                                       "kv_cache_dtype": "fp8_e5m2"}),
        },
        plain_chat,
    )  # fmt: skip


def lm_studio() -> Fake:
    name = "deepseek-r1-distill-qwen-7b"
    row = {"id": name, "arch": "qwen2", "quantization": "Q4_K_M", "compatibility_type": "gguf",
           "loaded_context_length": 8192}  # fmt: skip
    return Fake(
        {
            "/v1/models": (200, {"data": [{"id": name, "owned_by": "organization_owner"}]}),
            "/api/v0/models": (200, {"data": [row]}),
        },
        plain_chat,
    )


def hosted_reasoner() -> Fake:
    """Takes max_completion_tokens only, hides its thoughts, caches, wants a key."""

    def chat(body: dict[str, Any]) -> Reply:
        if "max_tokens" in body:
            words = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
            return 400, {"error": {"message": words, "type": "invalid_request_error", "param": "max_tokens",
                                   "code": "unsupported_parameter"}}  # fmt: skip
        status, text = plain_chat(body)
        if status != 200 or not body.get("stream_options"):
            return status, text
        count, asked = cap_of(body), len(body["messages"][0]["content"])
        before = any(body["messages"] == seen["messages"] for _, seen, _ in fake.seen[:-1] if seen and asked > 500)
        usage = {"prompt_tokens": asked, "completion_tokens": count,
                 "prompt_tokens_details": {"cached_tokens": 1024 if before else 0},
                 "completion_tokens_details": {"reasoning_tokens": count}}  # fmt: skip
        return 200, events([], usage)

    fake = Fake({"/v1/models": (200, {"data": [{"id": "gpt-oss-120b", "owned_by": "system"}]})}, chat, key="k-1234567")
    return fake


def deepseek() -> Fake:
    def chat(body: dict[str, Any]) -> Reply:
        if body["model"] != "deepseek-flash":
            return 400, {"error": {"message": "Model Not Exist", "type": "invalid_request_error"}}
        usage = {"prompt_tokens": 9, "completion_tokens": cap_of(body), "prompt_cache_hit_tokens": 0,
                 "prompt_cache_miss_tokens": 9}  # fmt: skip
        return 200, events([{"reasoning_content": "hm", "content": None}] * 3, usage, own_chunk=False)

    return Fake({"/v1/models": (200, {"data": [{"id": "deepseek-flash", "owned_by": "deepseek"}]})}, chat)
