"""Hand-made answers in the documented or observed shape of each server, and what a record must say of them."""

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

from harness.load.calls import Call, Identity, Target
from harness.load.stream import Stream
from harness.load.stream.verdict import CloseReason
from harness.records import StreamRecord

KEY = "sk-canary-0123456789"


def make_call(**changes: Any) -> Call:
    identity = Identity(
        run_id="run", request_id="req", worker="w1", seq=1, endpoint="e", model="m", scenario="s", stage="measure",
        started_ns=100,
    )  # fmt: skip
    payload = f"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n\r\n{{}}".encode()
    values: dict[str, Any] = {"identity": identity, "target": Target("h", 1), "payload": payload, "keep_text": True}
    return Call(**(values | changes))


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1",
        "choices": choices,
    } | more


def event(data: Any, end: str = "\n") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}{end}{end}".encode()


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion} | more


def chunked(parts: list[bytes], head: str = "", end: bytes = b"0\r\n\r\n", kind: str = "text/event-stream") -> bytes:
    begin = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode()
    return begin + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + end


def sized(body: bytes, status: str = "200 OK", head: str = "", kind: str = "application/json") -> bytes:
    text = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    return text.encode() + body


def until_eof(parts: list[bytes]) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b"".join(parts)


DONE = event("[DONE]")
ROLE = event(chunk({"role": "assistant", "content": ""}))


def said(*texts: str, name: str = "content") -> list[bytes]:
    return [event(chunk({name: text})) for text in texts]


@dataclass(frozen=True)
class Case:
    name: str
    wire: bytes
    expected: dict[str, Any]
    reason: CloseReason = "ended"
    call: dict[str, Any] = field(default_factory=dict)
    answer: str | None = None
    reasoning: str | None = None


OK = {"outcome": "ok", "status": 200}
VLLM_TAIL = [event(chunk({"content": " end"}, "stop")), event(chunk(usage=usage(7, 4))), DONE]

CASES = [
    Case("vllm", chunked([ROLE, *said("one", " two", " three"), *VLLM_TAIL]),
         OK | {"deltas": 4, "delta_phase": "aaaa", "output_tokens": 4, "input_tokens": 7, "token_source": "usage",
               "finish_reason": "stop", "done_seen": True, "response_model": "m-1", "reasoning_tokens": 0},
         answer="one two three end"),
    Case("vllm reasoning, parser says 0 reasoning tokens",
         chunked([ROLE, *said("think", "ing!", name="reasoning"), *said("yes", " it is"),
                  event(chunk({}, "stop")),
                  event(chunk(usage=usage(7, 8, completion_tokens_details={"reasoning_tokens": 0}))), DONE]),
         OK | {"delta_phase": "rraa", "reasoning_tokens": 4, "answer_tokens": 4, "split_source": "estimate",
               "token_source": "usage", "reasoning_field": "reasoning"},
         answer="yes it is", reasoning="thinking!"),
    Case("vllm continuous usage, tokens of the first deltas",
         chunked([event(chunk({"role": "assistant", "content": ""}, usage=usage(7, 0))),
                  event(chunk({"reasoning": "ab"}, usage=usage(7, 2))),
                  event(chunk({"content": "cdef"}, usage=usage(7, 5))),
                  event(chunk({}, "stop", usage=usage(7, 5))), event(chunk(usage=usage(7, 5))), DONE]),
         OK | {"first_delta_tokens": 2, "first_answer_delta_tokens": 3, "output_tokens": 5, "token_source": "usage"}),
    Case("vllm continuous usage, cut",
         chunked([event(chunk({"content": "ab"}, usage=usage(7, 2))),
                  event(chunk({"content": "cd"}, usage=usage(7, 4)))], end=b""),
         {"outcome": "cut", "output_tokens": 4, "token_source": "continuous_usage"}, reason="reset"),
    Case("vllm overload: error event behind status 200",
         chunked([event({"error": {"message": "Service Unavailable", "type": "ServiceUnavailable", "param": None,
                                   "code": 503}}), DONE]),
         {"outcome": "stream_error", "status": 200, "error": "Service Unavailable (ServiceUnavailable, 503)"}),
    Case("vllm crash in mid-stream",
         chunked([ROLE, *said("one"), event({"error": {"message": "died", "type": "InternalServerError",
                                                       "code": 500}}), DONE]),
         {"outcome": "stream_error", "deltas": 1, "error": "died (InternalServerError, 500)"}),
    Case("error as a string", chunked([ROLE, event({"error": "out of memory"}), DONE]),
         {"outcome": "stream_error", "error": "out of memory"}),
    Case("error by event name", chunked([b"event: error\n" + event({"message": "overloaded"})]),
         {"outcome": "stream_error"}),
    Case("error object without an error key", chunked([event({"object": "error", "message": "bad", "code": 500})]),
         {"outcome": "stream_error"}),
    Case("key echoed in a stream error", chunked([event({"error": f"key {KEY} is bad"})]),
         {"outcome": "stream_error", "error": "key [key] is bad"}),
    Case("key echoed in an answer", chunked([*said("it is ", KEY[:7], KEY[7:]), event(chunk({}, "stop")), DONE]),
         OK | {"deltas": 3}, answer="it is [key]"),
    Case("llama.cpp: null role content, finish apart, timings",
         chunked([event(chunk({"role": "assistant", "content": None})), *said("a", "b"), event(chunk({}, "stop")),
                  event(chunk(usage=usage(5, 2, prompt_tokens_details={"cached_tokens": 3}),
                              timings={"prompt_ms": 12.5, "predicted_n": 2})), DONE]),
         OK | {"deltas": 2, "cached_tokens": 3, "server_times": {"prompt_ms": 12.5, "predicted_n": 2.0}}),
    Case("transformers: no [DONE], usage on the finish chunk",
         chunked([ROLE, *said("a", "b"), event(chunk({}, "stop", usage=usage(5, 2)))]),
         OK | {"done_seen": False, "output_tokens": 2, "token_source": "usage"}),
    Case("llama-cpp-python: no usage at all", chunked([ROLE, *said("abc", "def"), event(chunk({}, "stop")), DONE]),
         OK | {"output_tokens": 2, "token_source": "estimate", "input_tokens": None}),
    Case("no usage and long deltas", chunked([*said("x" * 400), event(chunk({}, "stop")), DONE]),
         OK | {"output_tokens": 100, "token_source": "estimate"}),
    Case("deepseek: comments, both fields, usage on the last chunk",
         chunked([b": keep-alive\n\n", b": keep-alive\n\n",
                  event(chunk({"role": "assistant", "content": None, "reasoning_content": ""}, usage=None)),
                  event(chunk({"content": None, "reasoning_content": "hm"}, usage=None)),
                  event(chunk({"content": "yes", "reasoning_content": None}, usage=None)),
                  event(chunk({"content": "", "reasoning_content": None}, "stop",
                              usage=usage(20, 9, prompt_cache_hit_tokens=16, prompt_cache_miss_tokens=4,
                                          completion_tokens_details={"reasoning_tokens": 6}))), DONE]),
         OK | {"delta_phase": "ra", "cached_tokens": 16, "reasoning_tokens": 6, "answer_tokens": 3,
               "split_source": "usage", "reasoning_field": "reasoning_content"}),
    Case("deepseek gives up",
         chunked([*said("a"), event(chunk({"content": ""}, "insufficient_system_resource")), DONE]),
         {"outcome": "stream_error", "error": "finish_reason insufficient_system_resource"}),
    Case("ollama new: content present while thinking, 3 plain integers",
         chunked([event(chunk({"role": "assistant", "content": "", "reasoning": "hm"})),
                  event(chunk({"content": "", "reasoning": "m"})), *said("ok"), event(chunk({}, "stop")),
                  event(chunk(usage=usage(4, 3))), DONE]),
         OK | {"delta_phase": "rra", "output_tokens": 3}),
    Case("ollama old: role on every chunk, finish on the last content",
         chunked([event(chunk({"role": "assistant", "content": "a"})),
                  event(chunk({"role": "assistant", "content": "b"}, "stop")), DONE]), OK | {"deltas": 2}),
    Case("ollama fails in mid-stream", chunked([*said("a"), event(chunk({"content": ""}, model=""))]),
         {"outcome": "cut", "done_seen": False, "response_model": "m-1", "deltas": 1}),
    Case("openrouter: comments, provider, details, cost",
         chunked([b": OPENROUTER PROCESSING\n\n",
                  event(chunk({"role": "assistant", "content": "", "reasoning": None,
                               "reasoning_details": [{"type": "reasoning.text", "text": "hmm"}]}, provider="Acme")),
                  event(chunk({"content": "", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]})),
                  *said("yes"), event(chunk({"content": ""}, "stop", provider="Acme")),
                  event(chunk({"role": "assistant", "content": ""}, None, provider="Acme",
                              usage=usage(9, 5, cost=0.00125))), DONE]),
         OK | {"delta_phase": "ra", "served_by": "Acme", "usd_reported": 0.00125, "token_source": "usage",
               "reasoning_field": "reasoning_details"}),
    Case("groq: usage in a field of its own",
         chunked([*said("a"), event(chunk({}, "stop", x_groq={"id": "r", "usage": usage(3, 1, queue_time=0.25)})),
                  DONE]), OK | {"output_tokens": 1, "server_times": {"queue_time": 0.25}}),
    Case("mistral: typed parts in content",
         chunked([event(chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]})),
                  event(chunk({"content": [{"type": "text", "text": "yes"}]})), event(chunk({}, "stop")), DONE]),
         OK | {"delta_phase": "ra"}, answer="yes", reasoning="hm"),
    Case("think tags split over deltas",
         chunked([ROLE, *said("<th", "ink>", "hm", "m</th", "ink>", "\n\n", "yes"), event(chunk({}, "stop")), DONE]),
         OK | {"delta_phase": "rrrrraa", "reasoning_field": "<think>"},
         answer="\n\nyes", reasoning="<think>hmm</think>"),
    Case("the template had opened the thought",
         chunked([*said("hm", " <b>", " m", "</think>", "yes"), event(chunk({}, "stop")), DONE]),
         OK | {"delta_phase": "rrrra", "reasoning_field": "</think>"}, answer="yes", reasoning="hm <b> m</think>"),
    Case("legacy completions", chunked([event({"choices": [{"text": "ab", "index": 0, "finish_reason": None}]}),
                                        event({"choices": [{"text": "", "finish_reason": "length"}]}), DONE]),
         {"outcome": "truncated", "deltas": 1}, answer="ab"),
    Case("tool calls", chunked([
        event(chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]})),
        event(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\":1}"}}]})),
        event(chunk({}, "tool_calls")), DONE]), OK | {"delta_phase": "tt", "finish_reason": "tool_calls"}),
    Case("truncated", chunked([*said("a"), event(chunk({}, "length")), DONE]), {"outcome": "truncated"}),
    Case("cut in thought", chunked([*said("a", name="reasoning"), event(chunk({}, "length")), DONE]),
         {"outcome": "cut_in_thought", "answer_tokens": 0}),
    Case("hidden thought, cut", chunked([ROLE, event(chunk({}, "length")),
                                         event(chunk(usage=usage(3, 9, completion_tokens_details={
                                             "reasoning_tokens": 9}))), DONE]),
         {"outcome": "cut_in_thought", "reasoning_tokens": 9, "deltas": 0}),
    Case("hidden thought, known from usage only",
         chunked([ROLE, *said("yes", " it", " is"), event(chunk({}, "stop")),
                  event(chunk(usage=usage(3, 903, completion_tokens_details={"reasoning_tokens": 900}))), DONE]),
         OK | {"delta_phase": "aaa", "first_reasoning_ns": None, "reasoning_tokens": 900, "answer_tokens": 3,
               "output_tokens": 903, "split_source": "usage", "token_source": "usage", "reasoning_field": None}),
    Case("summarised thought: the summary is no measure of it",
         chunked([event(chunk({"content": "", "reasoning": "I add.",
                               "reasoning_details": [{"type": "reasoning.summary", "summary": "I add."}]})),
                  *said("yes"), event(chunk({}, "stop")),
                  event(chunk(usage=usage(3, 901, completion_tokens_details={"reasoning_tokens": 900}))), DONE]),
         OK | {"delta_phase": "ra", "reasoning_tokens": 900, "answer_tokens": 1, "split_source": "usage",
               "reasoning_field": "reasoning_details.summary"}, reasoning="I add."),
    Case("harmony: analysis, then a tool call in commentary",
         chunked([*said("<|channel|>", "analysis", "<|message|>", "hm", "<|end|>", "<|start|>", "assistant",
                        "<|channel|>", "commentary", " to=f", "<|message|>", "{}"), event(chunk({}, "stop")), DONE]),
         OK | {"delta_phase": "r" * 9 + "aaa", "reasoning_field": "<|channel|>analysis<|message|>"},
         answer=" to=f<|message|>{}"),
    Case("harmony: analysis, then final",
         chunked([*said("<|channel|>analysis<|message|>", "hm", "<|end|><|start|>assistant<|channel|>fi",
                        "nal<|message|>", "yes"), event(chunk({}, "stop")), DONE]),
         OK | {"delta_phase": "rrrra"}, answer="yes"),
    Case("harmony: cut in the analysis", chunked([*said("<|channel|>analysis<|message|>", "hm"),
                                                  event(chunk({}, "length")), DONE]),
         {"outcome": "cut_in_thought", "answer_tokens": 0}),
    Case("harmony: a final message without a thought",
         chunked([*said("<|channel|>", "final", "<|message|>", "yes"), event(chunk({}, "stop")), DONE]),
         OK | {"delta_phase": "aaaa", "reasoning_tokens": 0}),
    Case("fixed length", chunked([*said("a"), event(chunk({}, "length")), DONE]), OK, call={"fixed_length": True}),
    Case("empty", chunked([ROLE, event(chunk({}, "stop")), DONE]), {"outcome": "empty", "deltas": 0}),
    Case("text that looks like the last chunk",
         chunked([b"data: " + json.dumps(chunk({"content": "a"})).encode() + b"\r\n\r\n",
                  event("0"*0 + json.dumps(chunk({"content": "b"})), "\r\n"), b": 0\r\n\r\n", b": 0\r\n\r\n",
                  *said("c"), event(chunk({}, "stop")), DONE]), OK | {"deltas": 3}, answer="abc"),
    Case("CRLF lines", chunked([event(chunk({"content": "a"}), "\r\n"), event(chunk({}, "stop"), "\r\n"),
                                event("[DONE]", "\r\n")]), OK | {"deltas": 1}),
    Case("CR lines", chunked([event(chunk({"content": "a"}), "\r"), event(chunk({}, "stop"), "\r"),
                              event("[DONE]", "\r")]), OK | {"deltas": 1}),
    Case("BOM, ids, names, no space, retry",
         chunked([b"\xef\xbb\xbfid: 1\nevent: message\nretry: 5\ndata:" + json.dumps(chunk({"content": "a"})).encode()
                  + b"\n\n", event(chunk({}, "stop")), DONE]), OK | {"deltas": 1}),
    Case("one event on several data lines",
         chunked([b'data: {"choices":\ndata: [{"delta":{"content":"ab"}}]}\n\n', event(chunk({}, "stop")), DONE]),
         OK | {"deltas": 1}, answer="ab"),
    Case("last event without its blank line", chunked([*said("a"), event(chunk({}, "stop")), b"data: [DONE]"]), OK),
    Case("many events in one chunk, one event in many",
         chunked([b"".join(said("a", "b")) + event(chunk({"content": "é数"}))[:40],
                  event(chunk({"content": "é数"}))[40:] + event(chunk({}, "stop")) + DONE]),
         OK | {"deltas": 3}, answer="abé数"),
    Case("chunk extensions, upper case, trailers",
         b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\ntransfer-encoding: Chunked\r\n\r\n"
         + b"".join(b"%X;x=y\r\n%s\r\n" % (len(part), part) for part in [*said("a"), event(chunk({}, "stop")), DONE])
         + b"000;last\r\nX-Sum: 1\r\nY: 2\r\n\r\n", OK | {"deltas": 1}),
    Case("interim heads", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
         + chunked([*said("a"), event(chunk({}, "stop")), DONE]), OK),
    Case("until EOF", until_eof([*said("a"), event(chunk({}, "stop")), DONE]), OK, reason="eof"),
    Case("until EOF, half an event", until_eof([*said("a"), event(chunk({"content": "b"}))[:30]]),
         {"outcome": "cut", "deltas": 1}, reason="eof"),
    Case("by length", sized(b"".join([*said("a"), event(chunk({}, "stop")), DONE]), kind="text/event-stream"), OK),
    Case("cut in a chunk", chunked([*said("a", "b")], end=b"")[:-30], {"outcome": "cut", "deltas": 1}, reason="reset"),
    Case("cut behind [DONE]", chunked([*said("a"), event(chunk({}, "stop")), DONE], end=b""), OK, reason="eof"),
    Case("nothing at all", b"", {"outcome": "cut", "status": None, "reads": 0}, reason="eof"),
    Case("half a head", b"HTTP/1.1 200 O", {"outcome": "cut", "status": None}, reason="reset"),
    Case("censored", chunked([*said("a", "b")], end=b""), {"outcome": "censored", "deltas": 2}, reason="censored"),
    Case("gzip that nobody asked for",
         chunked([gzip.compress(b"".join([*said("a"), event(chunk({}, "stop")), DONE]))],
                 head="Content-Encoding: gzip\r\n"), OK | {"content_encoding": "gzip", "deltas": 1}),
    Case("broken gzip", chunked([b"no gzip"], head="Content-Encoding: gzip\r\n"), {"outcome": "protocol_error"}),
    Case("brotli", chunked([b"x"], head="Content-Encoding: br\r\n"), {"outcome": "protocol_error"}),
    Case("half a surrogate pair, NaN",
         chunked([b'data: {"choices":[{"delta":{"content":"a\\ud83d"},"logprobs":NaN}]}\n\n',
                  event(chunk({}, "stop")), DONE]), OK | {"deltas": 1}, answer="a?"),
    Case("bad UTF-8 where nobody looks", chunked([b'data: {"model":"\xff","choices":[]}\n\n', *said("a"),
                                                  event(chunk({}, "stop")), DONE]), OK | {"deltas": 1}),
    Case("not JSON", chunked([*said("a"), event("{broken"), DONE]), {"outcome": "protocol_error", "deltas": 1}),
    Case("JSON, but no object", chunked([event("[1]"), DONE]), {"outcome": "protocol_error"}),
    Case("bad UTF-8", chunked([b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n']),
         {"outcome": "protocol_error"}),
    Case("bad chunk size", chunked([*said("a")], end=b"xyz\r\n"), {"outcome": "protocol_error", "deltas": 1}),
    Case("chunk without its CRLF", chunked([])[:-5] + b"2\r\nabXX", {"outcome": "protocol_error"}),
    Case("garbage", b"\x16\x03\x01\x02 hello", {"outcome": "protocol_error", "status": None}),
    Case("endless head", b"HTTP/1.1 200 OK\r\n" + b"X-Pad: y\r\n" * 10_000, {"outcome": "protocol_error"}),
    Case("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
         {"outcome": "protocol_error"}),
    Case("a page instead of a stream", sized(b"<html>Welcome</html>", kind="text/html"),
         {"outcome": "protocol_error", "status": 200}),
    Case("plain words instead of a stream", sized(b"Internal Server Error", kind="text/plain"),
         {"outcome": "protocol_error"}),
    Case("JSON error instead of a stream", sized(b'{"error":{"message":"no","code":500}}'),
         {"outcome": "stream_error", "error": "no (500)"}),
    Case("JSON answer instead of a stream", sized(json.dumps({"choices": [{"message": {"content": "hi"}}]}).encode()),
         {"outcome": "protocol_error"}),
    Case("redirect", sized(b"", "307 Temporary Redirect", "Location: https://other/\r\n"),
         {"outcome": "http_error", "status": 307, "error": "redirect to https://other/ refused"}),
    Case("401 as a string", sized(b'{"error":"Unauthorized"}', "401 Unauthorized"),
         {"outcome": "http_error", "status": 401, "error": '{"error":"Unauthorized"}'}),
    Case("401 that echoes the key", sized(f"bad key {KEY}".encode() * 300, "401 No"),
         {"outcome": "http_error", "status": 401, "error": ("bad key [key]" * 300)[:2048]}),
    Case("429", sized(b"slow down", "429 Too Many Requests", "Retry-After: 2.5\r\n"),
         {"outcome": "rate_limited", "retry_after_s": 2.5, "error": "slow down"}),
    Case("503 page", chunked([b"<html>", b"x" * 100_000], kind="text/html").replace(b"200 OK", b"503 No"),
         {"outcome": "http_error", "status": 503, "error": "<html>" + "x" * 2042}),
    Case("204", b"HTTP/1.1 204 No Content\r\n\r\n", {"outcome": "cut", "status": 204}),
    Case("not streamed",
         sized(json.dumps({"model": "m-1", "choices": [{"message": {"content": "<think>hm</think>hi"},
                                                        "finish_reason": "stop"}], "usage": usage(3, 6)}).encode()),
         OK | {"deltas": 0, "first_answer_ns": None, "output_tokens": 6, "finish_reason": "stop"},
         call={"stream": False}, answer="hi", reasoning="<think>hm</think>"),
    Case("not streamed, blank lines while waiting",
         sized(b'\n\n\n{"choices":[{"message":{"content":"hi"},"finish_reason":"length"}]}'),
         {"outcome": "truncated"}, call={"stream": False}),
    Case("not streamed, no JSON", sized(b"oops", kind="text/plain"), {"outcome": "protocol_error"},
         call={"stream": False}),
    Case("raw", sized(b'{"data":[]}'), OK, call={"dialect": "raw", "stream": False}, answer='{"data":[]}'),
]  # fmt: skip


def replay(case: Case, pieces: list[bytes]) -> tuple[StreamRecord, Stream]:
    """Feed the pieces with rising stamps; a stream that says it has ended gets no more."""
    stream = Stream(make_call(**case.call))
    stream.timeline.sent_last_ns = 1000
    stream.timeline.clock = "kernel"
    for number, piece in enumerate(pieces):
        if stream.feed(piece, 2_000_000 + number * 1000, 2_000_500 + number * 1000):
            break
    return stream.close(9_000_000_000, case.reason), stream
