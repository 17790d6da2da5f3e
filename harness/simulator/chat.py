"""Chat: POST /v1/chat/completions -> an open Stream in the pump, its response, and its line of truth."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable

from aiohttp import HttpVersion11, web

from harness.simulator.arrivals import Arrivals
from harness.simulator.asks import Ask, Refusal, parse_ask
from harness.simulator.model import Job
from harness.simulator.prefix import prompt_blocks
from harness.simulator.pump import Pump
from harness.simulator.replies import FAILURE, Heading, Reply
from harness.simulator.settings import Settings
from harness.simulator.streams import Opening, Stream
from harness.simulator.texts import TOKEN_CHARS, render_prompt, tokens_in
from harness.simulator.truth import TruthEntry

_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


class Chat:
    """The one route that does work. `on_end` gets every request's truth, refused ones too."""

    def __init__(
        self, settings: Settings, pump: Pump, arrivals: Arrivals, on_end: Callable[[TruthEntry, int | None], None]
    ) -> None:
        self._settings = settings
        self._pump = pump
        self._arrivals = arrivals
        self._on_end = on_end
        self._numbers = itertools.count(1)
        self._open: set[Stream] = set()

    def keep_alive(self) -> None:
        """A comment to every stream that still waits."""
        for stream in self._open:
            stream.keep_alive()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request, from its body to its end."""
        body = await request.read()
        arrived_ns = self._arrivals.last(request.transport)
        number = next(self._numbers)
        request_id = request.headers.get("X-Request-Id") or f"sim-{number}"
        rules = self._settings.rules
        try:
            ask = parse_ask(body, rules)
            stream = self._begin(ask, request_id, arrived_ns, number)
        except Refusal as refusal:
            self._refused(refusal, request_id, arrived_ns)
            if refusal.kind == OVERLOADED and rules.overload_in_stream and ask.stream:
                return await _error_stream(request, refusal, self._settings)
            return web.json_response(refusal.body(rules), status=refusal.status)
        try:
            if ask.stream:
                return await self._stream(request, stream)
            await stream.done
            return _whole(stream)
        except (asyncio.CancelledError, ConnectionError):
            self._pump.abort(stream.opening.job)
            stream.abort()
            raise
        finally:
            self._open.discard(stream)

    def _begin(self, ask: Ask, request_id: str, arrived_ns: int, number: int) -> Stream:
        settings = self._settings
        if ask.model != settings.model_name and not settings.rules.any_model:
            words = f"The model `{ask.model}` does not exist."
            raise Refusal(404, words, "NotFoundError", "model_not_found")
        prompt = render_prompt(ask.wish.messages)
        script = settings.author.write(ask.wish, prompt)
        block_tokens = self._pump.model.limits.block_tokens
        job = Job(
            input_tokens=tokens_in(prompt),
            output_tokens=script.tokens,
            blocks=prompt_blocks(prompt, block_tokens * TOKEN_CHARS),
        )
        self._check_length(job, ask)
        heading = Heading(
            rules=settings.rules,
            reasoning_field=settings.reasoning_field,
            reply_id=_reply_id(settings.rules.name, number),
            created=int(time.time()),
            model=ask.model,
            include_usage=ask.include_usage or ask.continuous_usage,
            continuous_usage=ask.continuous_usage,
        )
        opening = Opening(
            request_id=request_id,
            arrived_ns=arrived_ns,
            job=job,
            script=script,
            reply=Reply(heading, script),
            is_stream=ask.stream,
        )
        stream = Stream(opening, time.monotonic_ns, asyncio.get_running_loop().create_future(), self._ended)
        self._open.add(stream)
        refusal = self._pump.submit(job)
        if refusal is not None:
            self._open.discard(stream)
            raise _too_long(job.input_tokens, None) if refusal == "too_long" else _overloaded()
        return stream

    def _check_length(self, job: Job, ask: Ask) -> None:
        context = self._settings.context_tokens
        if context is not None and job.input_tokens + (ask.wish.cap_tokens or 1) > context:
            raise _too_long(job.input_tokens, context)

    async def _stream(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        if self._settings.rules.headers_wait_for_slot:
            await stream.slot.wait()
        response = web.StreamResponse(headers=_HEADERS)
        chunked = request.version >= HttpVersion11
        if chunked:
            response.enable_chunked_encoding()
        await response.prepare(request)
        # From here on the pump writes to the transport itself: one send a step, stamped just before it.
        stream.open(request.transport, chunked=chunked)
        await stream.done
        if stream.opening.script.fault != "cut":
            await response.write_eof()
        return response

    def _ended(self, stream: Stream, entry: TruthEntry) -> None:
        self._open.discard(stream)
        self._on_end(entry, stream.opening.job.first_ns)

    def _refused(self, refusal: Refusal, request_id: str, arrived_ns: int) -> None:
        entry = TruthEntry(
            request_id=request_id,
            arrived_ns=arrived_ns,
            status=refusal.status,
            ended_ns=time.monotonic_ns(),
            fault="overload" if refusal.kind == OVERLOADED else None,
        )
        self._on_end(entry, None)


OVERLOADED = "ServiceUnavailableError"


def _overloaded() -> Refusal:
    return Refusal(503, "The server is overloaded: too many requests are waiting.", OVERLOADED, "overloaded")


def _too_long(input_tokens: int, context: int | None) -> Refusal:
    words = f"This model's maximum context length is {context or 'its memory'}; the prompt has {input_tokens} tokens."
    return Refusal(400, words, "BadRequestError", "context_length_exceeded")


def _whole(stream: Stream) -> web.Response:
    opening = stream.opening
    if opening.script.fault is not None:
        return web.json_response(FAILURE, status=500)
    return web.json_response(opening.reply.whole(stream.counted()))


async def _error_stream(request: web.Request, refusal: Refusal, settings: Settings) -> web.StreamResponse:
    """Status 200, one error event, [DONE]."""
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    await response.write(f"data: {json.dumps(refusal.body(settings.rules))}\n\ndata: [DONE]\n\n".encode())
    await response.write_eof()
    return response


def _reply_id(dialect: str, number: int) -> str:
    if dialect == "ollama":
        return f"chatcmpl-{number % 999}"  # as Ollama's: they collide
    if dialect == "deepseek":
        return f"00000000-0000-4000-8000-{number:012x}"
    return f"chatcmpl-{number:016x}"
