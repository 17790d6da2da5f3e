"""An aiohttp loop that does what the request loop of `vllm bench serve` is known for, without vLLM.

Reads come from iter_any; a read that ends on an event is parsed twice (once to see whether it is whole); the empty
role chunk is the first token. It is not vLLM's code, which needs all of vLLM to run.
"""

import asyncio
import json
import os
import time

import aiohttp
from tickets import BODY, Tickets


class Events:
    """Splits what has arrived into server-sent events."""

    def __init__(self) -> None:
        self.buffer = ""

    def add(self, read: bytes) -> list[str]:
        """Complete events; one that lacks its blank line counts as soon as it parses."""
        self.buffer += read.decode("utf-8")
        events = []
        while "\n\n" in self.buffer:
            event, self.buffer = self.buffer.split("\n\n", 1)
            if event := event.strip():
                events.append(event)
        if self.buffer.startswith("data: "):
            content = self.buffer.removeprefix("data: ").strip()
            if content == "[DONE]" or _parses(content):
                events.append(self.buffer.strip())
                self.buffer = ""
        return events


def _parses(content: str) -> bool:
    try:
        json.loads(content)
    except json.JSONDecodeError:
        return False
    return True


async def stream(session: aiohttp.ClientSession, url: str, request_id: str) -> tuple[int, list[int]]:
    """(start, stamps of the role chunk or first delta, then of each further delta), ns."""
    sent_ns, role_ns, deltas_ns = time.perf_counter_ns(), 0, []
    text, events = "", Events()
    async with session.post(url, json=BODY, headers={"x-request-id": request_id}) as response:
        async for read in response.content.iter_any():
            if not (read := read.strip()):
                continue
            for event in events.add(read):
                data = event.removeprefix("data: ")
                if event.startswith(":") or data == "[DONE]":
                    continue
                stamp_ns, parsed = time.perf_counter_ns(), json.loads(data)
                if choices := parsed.get("choices"):
                    content = choices[0]["delta"].get("content")
                    role_ns = role_ns or stamp_ns
                    text += content or ""
                    if content:
                        deltas_ns.append(stamp_ns)
    return sent_ns, [role_ns, *deltas_ns[1:]]


async def main() -> None:
    """As many streams at once as asked for, all started together."""
    tickets, url = Tickets(), os.environ["PEER_URL"] + "/v1/chat/completions"
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=6 * 60 * 60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def user() -> None:
            while tickets.left:
                request_id = tickets.draw()
                tickets.done(None, request_id, *await stream(session, url, request_id))

        await asyncio.gather(*(user() for _ in range(int(os.environ["PEER_STREAMS"]))))


asyncio.run(main())
