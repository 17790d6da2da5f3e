"""Stamps: an ASGI middleware that runs inside vLLM (`--middleware stamps.Stamps`) and notes when requests pass by.

One JSON line a streamed request, CLOCK_MONOTONIC ns: `request_id, arrived_ns` (uvicorn has read its head, nothing is
parsed yet), `first_ns` (just before the first event with text is handed to uvicorn). Between `arrived_ns` and the
start of vLLM's own clock lie reading, validation and the chat template; between that clock's stop and `first_ns` the
way back through the API server. Its histogram has neither.
"""

import json
import os
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

VARIABLE = "TRUEYIELD_STAMPS"
_TEXT = re.compile(rb'"(?:content|reasoning|text)": ?"[^"]')

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Stamps:
    """Passes everything on, and appends to the file that the environment names."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._lines = open(os.environ[VARIABLE], "a", buffering=1)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        arrived_ns = time.monotonic_ns()
        names = dict(scope.get("headers", ()))
        request_id = names.get(b"x-request-id", b"").decode()
        first_ns = 0

        async def stamped(message: Message) -> None:
            nonlocal first_ns
            if not first_ns and _TEXT.search(message.get("body", b"")):
                first_ns = time.monotonic_ns()
            await send(message)

        await self._app(scope, receive, stamped)
        if first_ns:
            line = {"request_id": request_id, "arrived_ns": arrived_ns, "first_ns": first_ns}
            self._lines.write(json.dumps(line) + "\n")
