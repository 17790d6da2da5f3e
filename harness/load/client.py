"""Client: the blocking driver of the engine. One call in, its record out; for preflights, probes, audits and tests."""

from types import TracebackType
from typing import Self

from harness.load.calls import Call, Finished, Identity, Target
from harness.load.clock import now_ns
from harness.load.dialects import Plain, base_path, build_plain, resolve_target
from harness.load.engine import Engine
from harness.providers import Endpoint
from harness.records import decode_record


class Client:
    """Context manager around an engine: its own, or one that is lent and stays open."""

    def __init__(self, engine: Engine | None = None) -> None:
        self._own = engine is None
        self._engine = engine or Engine()
        self._kept: dict[int, Finished] = {}

    def __enter__(self) -> Self:
        if self._own:
            self._engine.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self._engine.close()

    @property
    def engine(self) -> Engine:
        """The engine underneath."""
        return self._engine

    def call(self, call: Call, timeout_s: float | None = None) -> Finished:
        """Send and wait. The call's own deadlines hold; after `timeout_s` it is cancelled and comes back censored."""
        ticket = self._engine.submit(call)
        give_up_ns = None if timeout_s is None else now_ns() + round(timeout_s * 1e9)
        while ticket not in self._kept:
            left = 60.0 if give_up_ns is None else (give_up_ns - now_ns()) / 1e9
            if left <= 0:
                self._engine.cancel(ticket)
                give_up_ns = None
                continue
            for news in self._engine.wait(left):
                if isinstance(news, Finished):
                    self._kept[news.ticket] = news
        return self._kept.pop(ticket)

    def get(self, endpoint: Endpoint, path: str, key: str | None) -> tuple[int | None, str]:
        """GET below the endpoint's base URL: (status, body); status None, and the reason, where no answer came."""
        finished = self.plain(endpoint, Plain(path=base_path(endpoint) + path), resolve_target(endpoint), key)
        record = decode_record(finished.line)
        if record.status is None:
            return None, record.error or record.outcome.value
        return record.status, finished.answer or ""

    def plain(self, endpoint: Endpoint, plain: Plain, target: Target, key: str | None) -> Finished:
        """GET or POST any path of the endpoint's host; the body is the answer."""
        identity = Identity(
            run_id="", request_id=f"plain-{now_ns():x}", worker="", seq=0, endpoint=endpoint.name,
            model=endpoint.model, scenario="", stage="warmup", started_ns=now_ns(),
        )  # fmt: skip
        return self.call(build_plain(endpoint, plain, target, key, identity))
