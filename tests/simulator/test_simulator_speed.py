"""How fast the two edges are, in processor time: part of the soak, since a busy machine would make them flicker."""

import asyncio
import json
import time
import urllib.request

import aiohttp
import pytest
from batches import model
from test_simulate_command import started, stopped

from harness.records import encode_record
from harness.simulator.model import NS
from harness.simulator.texts import Author, Lengths
from harness.simulator.truth import encode_truth
from harness.simulator.virtual import VirtualEdge, plain_questions

pytestmark = pytest.mark.soak


def test_the_virtual_edge_makes_5000_requests_a_second():
    lengths = Lengths(thought_median=8, thought_sigma=0.4, answer_median=4, answer_sigma=0.3)
    edge = VirtualEdge(model(max_batch=64), Author(lengths=lengths), plain_questions(lambda n: f"What is {n} + 1?"))
    began, count = time.process_time(), 0
    for truth, record in edge.closed_loop(64, 60 * NS):
        encode_record(record)
        encode_truth(truth)
        count += 1
    assert count > 20_000 and count / (time.process_time() - began) >= 5000


async def _hold(url, streams, seconds):
    """Keep `streams` endless streams open; the summaries at both ends."""

    async def read(session, number):
        messages = [{"role": "user", "content": f"Count from {number}."}]
        body = {"model": "fast-8b", "stream": True, "ignore_eos": True, "max_tokens": 100_000, "messages": messages}
        async with session.post(f"{url}/chat/completions", json=body) as response:
            async for _ in response.content.iter_any():
                pass

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        readers = [asyncio.ensure_future(read(session, number)) for number in range(streams)]
        await asyncio.sleep(1)
        first = await asyncio.to_thread(_summary, url)
        await asyncio.sleep(seconds)
        second = await asyncio.to_thread(_summary, url)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return first, second


def _summary(url):
    with urllib.request.urlopen(url.removesuffix("/v1") + "/truth/summary", timeout=10) as response:
        return json.loads(response.read())


def test_the_server_needs_less_than_a_core_for_5000_deltas_a_second(tmp_path):
    process, url = started(tmp_path)
    try:
        first, second = asyncio.run(_hold(url, 24, 5))
    finally:
        code, _, _ = stopped(process)
    deltas = second["output_tokens"] - first["output_tokens"]
    cpu_s = second["process_cpu_s"] - first["process_cpu_s"]
    assert code == 0 and deltas / cpu_s >= 10_000, "half a core at 5,000 a second"
