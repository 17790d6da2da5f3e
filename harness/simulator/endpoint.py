"""Endpoint: settings and a batch model -> an aiohttp application with every route of the simulated server."""

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from harness.simulator.arrivals import Arrivals
from harness.simulator.asks import Refusal
from harness.simulator.chat import Chat
from harness.simulator.model import BatchModel
from harness.simulator.monitoring import Monitor
from harness.simulator.pump import Lateness, Pump
from harness.simulator.settings import Settings
from harness.simulator.truth import TruthEntry, TruthFile

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """The server without its socket. One instance serves one event loop."""

    def __init__(self, settings: Settings, model: BatchModel, truth: TruthFile | None = None) -> None:
        self.model = model
        self.model_name = settings.model_name
        self.monitor = Monitor(model, settings.model_name)
        self.lateness = Lateness(round(settings.overrun_s * 1e9))
        self.arrivals = Arrivals()
        self._settings = settings
        self._truth = truth
        self._chat: Chat | None = None

    def application(self) -> web.Application:
        """All routes. DeepSeek's base URL has no /v1, so both forms are served."""
        app = web.Application(client_max_size=64 * 2**20, middlewares=[self._guard])
        for prefix in ("/v1", ""):
            app.router.add_post(f"{prefix}/chat/completions", self._chat_route)
            app.router.add_get(f"{prefix}/models", self._models)
        for path, body in (("/health", ""), ("/ping", ""), ("/version", '{"version":"0.32.0+simulated"}')):
            app.router.add_get(path, _fixed(body))
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/truth/summary", self._summary)
        app.cleanup_ctx.append(self._life)
        return app

    def summary(self) -> dict[str, Any]:
        """What happened so far, and how punctual this process was."""
        counters = self.model.counters
        return {
            "endings": dict(self.monitor.endings),
            "refused": self.monitor.refused,
            "output_tokens": counters.output_tokens,
            "prompt_tokens": counters.prompt_tokens,
            "cached_tokens": counters.cached_tokens,
            "preemptions": counters.preemptions,
            "peak_running": counters.peak_running,
            "process_cpu_s": time.process_time(),
            **self.lateness.summary(),
        }

    async def _life(self, _: web.Application) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        pump = Pump(self.model, loop, self.lateness)
        self._chat = Chat(self._settings, pump, self.arrivals, self._ended)
        beat = loop.create_task(self._keep_alive(self._chat))
        yield
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat
        pump.close()

    async def _keep_alive(self, chat: Chat) -> None:
        while self._settings.rules.keep_alive_comments:
            await asyncio.sleep(self._settings.keep_alive_s)
            chat.keep_alive()

    def _ended(self, entry: TruthEntry, first_ns: int | None) -> None:
        self.monitor.ended(entry, first_ns)
        if self._truth is not None:
            self._truth.append(entry)

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Ask for the key where one is set: vLLM guards /v1 only, llama.cpp everything but /health."""
        key, path = self._settings.api_key, request.path
        everything = self._settings.rules.name == "llamacpp"
        guarded = path != "/health" if everything else path.startswith(("/v1", "/chat", "/models"))
        if key is not None and guarded:
            sent = request.headers.get("Authorization", "")
            if not hmac.compare_digest(sent.encode(), f"Bearer {key}".encode()):
                refusal = Refusal(401, "Invalid API Key", "authentication_error", "invalid_api_key")
                return web.json_response(refusal.body(self._settings.rules), status=401)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.json_response({"detail": "Not Found"}, status=404)

    async def _chat_route(self, request: web.Request) -> web.StreamResponse:
        assert self._chat is not None, "the application has not started"
        return await self._chat.handle(request)

    async def _models(self, _: web.Request) -> web.Response:
        name, context = self._settings.model_name, self._settings.context_tokens
        entry = {"id": name, "object": "model", "owned_by": self._settings.rules.name, "max_model_len": context}
        return web.json_response({"object": "list", "data": [entry]})

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self.monitor.page(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _summary(self, _: web.Request) -> web.Response:
        return web.json_response(self.summary())


def _fixed(body: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, content_type="application/json" if body else "text/plain")

    return answer
