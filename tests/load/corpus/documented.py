"""Write the answers of servers that are not run here, in their documented shape: `python .../documented.py`.

Sources: each file's `how` line. What was documented is the order and the fields of events, not these very bytes.
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "documented"


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    document = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1795295677, "model": "m"}
    return f"data: {json.dumps(document | {'choices': choices} | more, ensure_ascii=False)}\n\n"


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


DONE = "data: [DONE]\n\n"
WORDS = ["Six", " times", " seven", " is", " 42."]
THOUGHTS = ["Six", " sevens", "..."]

#: name -> (server and version, how it is known, events)
STREAMS: dict[str, tuple[str, str, list[str]]] = {
    "deepseek": (
        "DeepSeek API, V4",
        "documented: api-docs.deepseek.com; keep-alive comments, usage on the finish chunk, null elsewhere",
        [": keep-alive\n\n", ": keep-alive\n\n",
         *(chunk({"reasoning_content": word, "content": None}, usage=None) for word in THOUGHTS),
         *(chunk({"reasoning_content": None, "content": word}, usage=None) for word in WORDS),
         chunk({"content": "", "reasoning_content": None}, "stop",
               usage=usage(12, 10, prompt_cache_hit_tokens=8, prompt_cache_miss_tokens=4,
                           prompt_tokens_details={"cached_tokens": 8},
                           completion_tokens_details={"reasoning_tokens": 4})), DONE],
    ),
    "deepseek-gave-up": (
        "DeepSeek API, V4", "documented: finish_reason insufficient_system_resource",
        [chunk({"content": "Six"}), chunk({"content": ""}, "insufficient_system_resource", usage=usage(12, 1)), DONE],
    ),
    "ollama": (
        "Ollama 0.32",
        "documented: from its source; role in the first chunk only, thoughts in delta.reasoning, finish apart",
        [chunk({"role": "assistant", "content": "", "reasoning": THOUGHTS[0]}),
         *(chunk({"content": "", "reasoning": word}) for word in THOUGHTS[1:]),
         *(chunk({"content": word}) for word in WORDS), chunk({}, "stop"), chunk(None, usage=usage(12, 9)), DONE],
    ),
    "ollama-failed": (
        "Ollama 0.32", "documented: from its source; a failure is an empty chunk without a model, then the end",
        [chunk({"role": "assistant", "content": "Six"}), chunk({"content": ""}, model="")],
    ),
    "openrouter": (
        "OpenRouter", "documented: openrouter.ai/docs; comments, provider, reasoning_details, cost in usage",
        [": OPENROUTER PROCESSING\n\n",
         *(chunk({"role": "assistant", "content": "", "reasoning": word,
                  "reasoning_details": [{"type": "reasoning.text", "text": word}]}, provider="Together")
           for word in THOUGHTS),
         *(chunk({"role": "assistant", "content": word}, provider="Together") for word in WORDS),
         chunk({"role": "assistant", "content": ""}, "stop", provider="Together"),
         chunk({"role": "assistant", "content": ""}, None, provider="Together",
               usage=usage(12, 9, cost=0.0000123, completion_tokens_details={"reasoning_tokens": 3})), DONE],
    ),
    "openrouter-error": (
        "OpenRouter", "documented: openrouter.ai/docs; an error beside a choice that ends with error",
        [chunk({"content": "Six"}), chunk({"content": ""}, "error", error={"code": 502, "message": "Upstream died"}),
         DONE],
    ),
    "groq": (
        "Groq", "documented: console.groq.com/docs; usage inside x_groq, with times",
        [chunk({"role": "assistant", "content": ""}, x_groq={"id": "req_1"}),
         *(chunk({"content": word}) for word in WORDS),
         chunk({}, "stop", x_groq={"id": "req_1", "usage": usage(12, 5, queue_time=0.1, prompt_time=0.01,
                                                                 completion_time=0.02, total_time=0.03)}), DONE],
    ),
    "vllm-overload": (
        "vLLM 0.32.0", "documented: observed; --max-num-queued-reqs, an error event behind status 200",
        ['data: {"error": {"message": "Service Unavailable", "type": "ServiceUnavailableError", "param": null, '
         '"code": 503}}\n\n', DONE],
    ),
}  # fmt: skip


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, (server, how, events) in STREAMS.items():
        parts = [event.encode() for event in events]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        head = f"# engine: {server}\n# how: {how}\n\n"
        http = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        (FOLDER / f"{name}.http").write_bytes(head.encode() + http.encode() + body)


if __name__ == "__main__":
    main()
