"""The endpoint on a real loopback socket: routes, truth, aborts, faults, overload, keys."""

import asyncio
import contextlib
import json
import re
from collections import Counter

import aiohttp
import pytest
from batches import model

from harness.simulator.dialects import DIALECTS
from harness.simulator.endpoint import Endpoint
from harness.simulator.server import Address, listen, serving
from harness.simulator.settings import Settings
from harness.simulator.texts import Author, Lengths
from harness.simulator.truth import TruthFile, decode_truth

LENGTHS = Lengths(thought_median=12, thought_sigma=0.4, answer_median=6, answer_sigma=0.3)


class Bench:
    """A running endpoint, a session, and its truth file."""

    def __init__(self, endpoint, session, url, path):
        self.endpoint, self.session, self.url, self.path = endpoint, session, url, path

    def body(self, text="What?", **fields):
        fields = {"model": "sim", "stream": True, "stream_options": {"include_usage": True}, **fields}
        if not fields["stream"]:
            del fields["stream_options"]
        return {"messages": [{"role": "user", "content": text}], **fields}

    async def ask(self, text="What?", request_id=None, **fields):
        """(status, body text)."""
        headers = {"X-Request-Id": request_id} if request_id else {}
        async with self.session.post(
            f"{self.url}/v1/chat/completions", json=self.body(text, **fields), headers=headers
        ) as response:
            return response.status, await response.text()

    async def get(self, path, **headers):
        async with self.session.get(self.url + path, headers=headers) as response:
            return response.status, await response.text()

    def truth(self):
        return {entry.request_id: entry for entry in map(decode_truth, self.path.read_bytes().splitlines())}

    async def until(self, condition):
        for _ in range(400):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("did not happen within two seconds")


def on_bench(tmp_path, scenario, *, dialect="vllm", batch=None, author=None, **settings):
    """Run `scenario(bench)` against a served endpoint."""

    async def main():
        rules = DIALECTS[dialect]
        writer = Author(lengths=LENGTHS, **(author or {}))
        chosen = {"model_name": "sim", "rules": rules, "author": writer, "reasoning_field": rules.reasoning_field}
        path = tmp_path / "truth.jsonl"
        truth = TruthFile(path)
        endpoint = Endpoint(Settings(**{**chosen, **settings}), batch or model(step_ms=1.0), truth)
        listener = listen(Address(host="127.0.0.1", port=0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        connector = aiohttp.TCPConnector(limit=0)
        async with serving(endpoint, listener), aiohttp.ClientSession(connector=connector) as session:
            await asyncio.wait_for(scenario(Bench(endpoint, session, url, path)), 20)
        truth.close()

    asyncio.run(main())


def events(text):
    """Parsed data events without [DONE]."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_truth_equals_what_came_over_the_wire(tmp_path, dialect):
    async def scenario(bench):
        answers = await asyncio.gather(*[bench.ask(f"q{i}", f"r{i}") for i in range(12)])
        truth = bench.truth()
        assert set(truth) == {f"r{i}" for i in range(12)}
        for index, (status, text) in enumerate(answers):
            entry, chunks = truth[f"r{index}"], events(text)
            assert status == entry.status == 200 and text.endswith("data: [DONE]\n\n")
            usage = next(chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage"))
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (entry.input_tokens, entry.output_tokens)
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
            thoughts = [d for d in deltas if d.get("reasoning") or d.get("reasoning_content")]
            answer = [d for d in deltas if d.get("content")]
            assert Counter(entry.delta_phase) == Counter({"r": len(thoughts), "a": len(answer)})
            shown = entry.output_tokens - (entry.reasoning_tokens if dialect == "openai" else 0)
            assert sum(entry.delta_tokens) == shown
            assert entry.arrived_ns < entry.delta_ns[0] <= entry.delta_ns[-1] <= entry.ended_ns
            assert entry.delta_ns == sorted(entry.delta_ns) and not entry.aborted

    on_bench(tmp_path, scenario, dialect=dialect)


def test_stream_false_and_tokens_per_delta(tmp_path):
    async def scenario(bench):
        _, text = await bench.ask("q", "s", max_tokens=11)
        _, whole = await bench.ask("q", "w", stream=False, max_tokens=11)
        truth = bench.truth()
        # a delta that ends the thought is told as two, at one time
        tokens_at = Counter()
        for at_ns, tokens in zip(truth["s"].delta_ns, truth["s"].delta_tokens, strict=True):
            tokens_at[at_ns] += tokens
        assert list(tokens_at.values()) == [1, 4, 4, 2]
        message = json.loads(whole)["choices"][0]["message"]
        deltas = [chunk["choices"][0]["delta"] for chunk in events(text) if chunk["choices"]]
        assert "".join(delta.get("reasoning", "") for delta in deltas) == message.get("reasoning", "")
        assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
        assert (truth["w"].delta_ns, truth["w"].stream, truth["w"].output_tokens) == ([], False, 11)

    on_bench(tmp_path, scenario, batch=model(step_ms=1.0, tokens_per_delta=4))


def test_a_client_that_leaves_frees_its_slot_and_is_told_in_the_truth(tmp_path):
    async def scenario(bench):
        url, headers = f"{bench.url}/v1/chat/completions", {"X-Request-Id": "gone"}
        body = bench.body(max_tokens=5000, ignore_eos=True)
        async with bench.session.post(url, json=body, headers=headers) as response:
            await response.content.readany()
            waiting = asyncio.ensure_future(bench.ask(request_id="waiting"))
            await bench.until(lambda: bench.endpoint.model.waiting)
            response.close()
        status, text = await waiting
        assert status == 200 and text.endswith("[DONE]\n\n")
        gone = bench.truth()["gone"]
        assert gone.aborted and 0 < gone.output_tokens < 5000 and gone.finish_reason is None
        assert gone.output_tokens == sum(gone.delta_tokens)
        assert bench.endpoint.monitor.endings == {"stop": 1, "length": 0, "abort": 1, "error": 0}

    on_bench(tmp_path, scenario, batch=model(step_ms=1.0, max_batch=1))


def test_overload_is_an_event_for_streams_and_a_status_for_others(tmp_path):
    async def scenario(bench):
        long = [asyncio.ensure_future(bench.ask(max_tokens=400, ignore_eos=True)) for _ in range(2)]
        await bench.until(lambda: len(bench.endpoint.model.waiting) == 1)
        status, text = await bench.ask(request_id="refused")
        assert (status, events(text)[0]["error"]["code"]) == (200, 503) and text.endswith("[DONE]\n\n")
        status, text = await bench.ask(stream=False)
        assert (status, json.loads(text)["error"]["code"]) == (503, 503)
        assert (bench.truth()["refused"].status, bench.truth()["refused"].fault) == (503, "overload")
        await asyncio.gather(*long)
        assert (
            'vllm:admission_rejections_total{engine="0",model_name="sim",reason="max_num_queued_reqs"} 2.0'
            in (await bench.get("/metrics"))[1]
        )

    on_bench(tmp_path, scenario, batch=model(step_ms=1.0, max_batch=1, max_queue=1))


def test_injected_faults(tmp_path):
    async def scenario(bench):
        kinds = Counter()
        for index in range(30):
            try:
                _, text = await bench.ask(f"q{index}", f"r{index}")
                kinds["error" if '"error"' in text else None] += 1
            except aiohttp.ClientPayloadError:
                kinds["cut"] += 1
        await bench.until(lambda: len(bench.truth()) == 30)
        truth = bench.truth().values()
        assert Counter(entry.fault for entry in truth) == kinds and len(kinds) == 3
        assert not any(entry.aborted for entry in truth)

    on_bench(tmp_path, scenario, author={"error_share": 0.3, "cut_share": 0.3})


@pytest.mark.parametrize(
    ("dialect", "ending"),
    [
        ("vllm", '"code": 500}}\n\ndata: [DONE]\n\n'),
        ("deepseek", '"prompt_cache_miss_tokens":9}}\n\ndata: [DONE]\n\n'),
        ("ollama", '"delta":{"content":""},"finish_reason":null}]}\n\n'),
    ],
)
def test_failures_speak_the_dialect(tmp_path, dialect, ending):
    async def scenario(bench):
        status, text = await bench.ask("What was that?", "r")
        entry = bench.truth()["r"]
        assert status == entry.status == 200 and text.endswith(ending)
        assert (entry.fault, entry.finish_reason) == ("error", None)
        assert ("insufficient_system_resource" in text) == (dialect == "deepseek")
        assert (await bench.ask(stream=False))[0] == 500

    on_bench(tmp_path, scenario, dialect=dialect, author={"error_share": 1.0})


def test_refused_requests(tmp_path):
    async def scenario(bench):
        status, text = await bench.ask(request_id="wrong", model="other")
        assert (status, json.loads(text)["error"]["type"]) == (404, "NotFoundError")
        async with bench.session.post(f"{bench.url}/v1/chat/completions", data=b"{") as response:
            assert response.status == 400
        status, text = await bench.ask("x" * 400, request_id="long", max_tokens=20)
        assert (status, json.loads(text)["error"]["code"]) == (400, 400)
        assert {entry.status for entry in bench.truth().values()} == {404, 400}
        assert await bench.get("/nothing") == (404, '{"detail": "Not Found"}')
        assert bench.endpoint.summary()["refused"] == {"404": 1, "400": 2}

    on_bench(tmp_path, scenario, context_tokens=100)


@pytest.mark.parametrize(
    ("dialect", "open_paths"), [("vllm", ["/health", "/metrics", "/version"]), ("llamacpp", ["/health"])]
)
def test_a_key_is_asked_for(tmp_path, dialect, open_paths):
    async def scenario(bench):
        for path in ("/health", "/metrics", "/version", "/v1/models"):
            assert (await bench.get(path))[0] == (200 if path in open_paths else 401), path
            assert (await bench.get(path, Authorization="Bearer secret"))[0] == 200
        assert (await bench.get("/v1/models", Authorization="Bearer wrong"))[0] == 401
        assert (await bench.ask())[0] == 401

    on_bench(tmp_path, scenario, dialect=dialect, api_key="secret")


def test_llamacpp_holds_its_headers_until_a_slot_is_free(tmp_path):
    async def scenario(bench):
        first = asyncio.ensure_future(bench.ask(max_tokens=300, ignore_eos=True, request_id="first"))
        await bench.until(lambda: bench.endpoint.model.running)
        async with bench.session.post(f"{bench.url}/v1/chat/completions", json=bench.body(model="any")) as response:
            assert first.done() or "first" in bench.truth()
            assert (await response.text()).endswith("[DONE]\n\n")
        await first

    on_bench(tmp_path, scenario, dialect="llamacpp", batch=model(step_ms=1.0, max_batch=1))


def test_deepseek_sends_comments_while_a_request_waits(tmp_path):
    async def scenario(bench):
        first = asyncio.ensure_future(bench.ask(max_tokens=300, ignore_eos=True))
        await bench.until(lambda: bench.endpoint.model.running)
        _, text = await bench.ask()
        await first
        assert text.startswith(": keep-alive\n\n: keep-alive\n\n") and "[DONE]" in text
        assert ": keep-alive" not in text.partition("data:")[2]

    on_bench(tmp_path, scenario, dialect="deepseek", batch=model(step_ms=1.0, max_batch=1), keep_alive_s=0.02)


def test_metrics_count_what_happened(tmp_path):
    async def scenario(bench):
        await asyncio.gather(*[bench.ask(f"q{i}") for i in range(9)])
        _, page = await bench.get("/metrics")
        value = dict(re.findall(r'^(vllm:\w+)\{engine="0",model_name="sim"\} (\S+)$', page, re.M))
        truth = bench.truth().values()
        assert float(value["vllm:generation_tokens_total"]) == sum(entry.output_tokens for entry in truth)
        assert float(value["vllm:prompt_tokens_total"]) == sum(entry.input_tokens for entry in truth)
        assert float(value["vllm:time_to_first_token_seconds_count"]) == 9
        assert float(value["vllm:inter_token_latency_seconds_count"]) == sum(len(e.delta_ns) - 1 for e in truth)
        assert float(value["vllm:num_requests_running"]) == float(value["vllm:num_requests_waiting"]) == 0
        assert 'finished_reason="stop",model_name="sim"} 9.0' in page

    on_bench(tmp_path, scenario)


def test_models_version_and_summary(tmp_path):
    async def scenario(bench):
        await bench.ask()
        assert json.loads((await bench.get("/v1/models"))[1])["data"][0]["id"] == "sim"
        assert "0.32.0" in (await bench.get("/version"))[1]
        summary = json.loads((await bench.get("/truth/summary"))[1])
        assert summary["endings"]["stop"] == 1 and summary["steps"] > 0 and summary["lateness_max_s"] >= 0

    on_bench(tmp_path, scenario)


def test_http_1_0_gets_its_stream_without_chunks(tmp_path):
    async def scenario(bench):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(bench.url.rpartition(":")[2]))
        body = json.dumps(bench.body()).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        text = (await reader.read()).decode().partition("\r\n\r\n")[2]
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert text.startswith("data: {") and text.endswith("data: [DONE]\n\n")

    on_bench(tmp_path, scenario)
