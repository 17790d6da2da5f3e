"""Asker: small questions to one endpoint -> answers as text, JSON and events; counts what they used."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import PreflightError
from harness.load.client import Client
from harness.load.dialects import Plain, base_path, request_path, resolve_target
from harness.load.stream.chunk import error_text
from harness.load.stream.head import ProtocolError
from harness.load.stream.sse import EventSplitter
from harness.load.stream.usage import read_usage
from harness.probe.findings import Spent
from harness.providers import Endpoint
from harness.records import StreamRecord, decode_record

CHAT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer; `status` None: none came, and `body` says why."""

    status: int | None
    body: str
    record: StreamRecord

    @property
    def ok(self) -> bool:
        """2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        value = self.json
        return value if isinstance(value, dict) else {}

    @property
    def words(self) -> str:
        """What it says, in one line."""
        text = error_text(self.body.encode()) if self.body.lstrip().startswith("{") else self.body
        return " ".join(text.split())[:300] or f"HTTP {self.status} without a body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer to a chat request, its events taken apart (of one that was refused, there are none)."""

    answer: Answer
    events: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False

    def deltas(self) -> list[dict[str, Any]]:
        """The first choice's delta of each event that has one."""
        found = []
        for event in self.events:
            choices = event.get("choices")
            if isinstance(choices, list) and choices and isinstance(choices[0], dict):
                delta = choices[0].get("delta")
                found.append(delta if isinstance(delta, dict) else {"content": choices[0].get("text")})
        return found

    def usages(self) -> list[tuple[int, dict[str, Any]]]:
        """(place, usage) of every event that has one."""
        return [(at, each["usage"]) for at, each in enumerate(self.events) if isinstance(each.get("usage"), dict)]

    @property
    def usage(self) -> dict[str, Any]:
        """The last usage object; empty without one."""
        usages = self.usages()
        return usages[-1][1] if usages else {}

    @property
    def output_tokens(self) -> int | None:
        """As the server counted."""
        count = self.usage.get("completion_tokens")
        return count if isinstance(count, int) else None

    @property
    def finish_reason(self) -> str | None:
        """The last one said."""
        reasons = [
            choice.get("finish_reason")
            for event in self.events
            for choice in (event.get("choices") or [])[:1]
            if isinstance(choice, dict) and choice.get("finish_reason")
        ]
        return str(reasons[-1]) if reasons else None


class Asker:
    """All questions of one probe. The key goes to the endpoint's own host and nowhere else."""

    def __init__(self, client: Client, endpoint: Endpoint, key: str | None) -> None:
        self.endpoint = endpoint
        self.spent = Spent()
        self.key = key
        self.client = client
        self.target = resolve_target(endpoint)

    @property
    def root(self) -> str:
        """The path of the server itself, above the OpenAI-compatible part."""
        return base_path(self.endpoint).removesuffix("/v1")

    def get(self, path: str) -> Answer:
        """GET a path of the server."""
        return self._plain(Plain(path=self.root + path))

    def models(self) -> Answer:
        """GET the list of models. Raises PreflightError where nobody answers at all."""
        answer = self._plain(Plain(path=base_path(self.endpoint) + "/models"))
        if answer.status is None:
            raise PreflightError(f"cannot reach {self.endpoint.base_url}: {answer.words}",
                                 "is the server running, and is the URL right?")  # fmt: skip
        if answer.status in {401, 403}:
            hint = "name the key's environment variable as `api_key_env:` of an entry, and probe that entry"
            raise PreflightError(
                f"{self.endpoint.base_url} wants a key (HTTP {answer.status}): {answer.words}",
                hint if self.key is None else f"look at the value of {self.endpoint.api_key_env}",
            )
        return answer

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """POST JSON to a path of the server."""
        return self._plain(Plain(path=self.root + path, body=body, total_s=CHAT_S))

    def chat(self, text: str, cap: Mapping[str, int], **more: Any) -> Stream:
        """One streamed chat completion, its caps given by field name."""
        body = {
            "model": self.endpoint.model,
            "messages": [{"role": "user", "content": text}],
            "stream": True,
            **self.endpoint.request.extra_body,
            **cap,
            **more,
        }
        answer = self._plain(Plain(path=request_path(self.endpoint), body=body, total_s=CHAT_S))
        stream = _taken_apart(answer)
        self._count(stream, max(cap.values()))
        return stream

    def _plain(self, plain: Plain) -> Answer:
        """A connection that its server closed just when it was used again says nothing of the server: once more, then.

        Only a probe may do that: it measures no time, and no load.
        """
        for _ in range(2):
            finished = self.client.plain(self.endpoint, plain, self.target, self.key)
            record = decode_record(finished.line)
            if record.status is not None or record.connection != "reused":
                break
        body = finished.answer if record.status is not None else record.error or record.outcome.value
        return Answer(status=record.status, body=body or "", record=record)

    def _count(self, stream: Stream, cap_tokens: int) -> None:
        self.spent.calls += 1
        self.spent.cap_tokens += cap_tokens
        usage = read_usage(json.dumps(stream.usage).encode())
        if usage is not None and usage.completion_tokens is not None:
            self.spent.output_tokens += usage.completion_tokens
            self.spent.input_tokens += usage.prompt_tokens or 0
        elif stream.answer.ok:
            self.spent.calls_without_usage += 1


def _taken_apart(answer: Answer) -> Stream:
    if not answer.ok:
        return Stream(answer=answer)
    splitter = EventSplitter()
    try:
        texts = splitter.feed(answer.body.encode()) + splitter.finish()
    except ProtocolError:
        texts = []
    events = []
    for text in texts:
        try:
            value = json.loads(text)
        except ValueError:
            continue
        if isinstance(value, dict):
            events.append(value)
    return Stream(answer=answer, events=events, done=b"[DONE]" in texts)
