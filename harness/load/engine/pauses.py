"""Garbage collections of this process -> Pauses: how often they stopped it, for how long in all, how long at most."""

from collections.abc import Mapping
from typing import Any

from harness.load.engine.stamps import now_ns
from harness.records import Pauses


class PauseClock:
    """Goes into gc.callbacks."""

    __slots__ = ("_begun_ns", "_count", "_max_ns", "_total_ns")

    def __init__(self) -> None:
        self._begun_ns = self._count = self._total_ns = self._max_ns = 0

    def __call__(self, phase: str, _info: Mapping[str, Any]) -> None:
        """The collector begins ("start") or has ended ("stop")."""
        if phase == "start":
            self._begun_ns = now_ns()
            return
        pause_ns = now_ns() - self._begun_ns
        self._count += 1
        self._total_ns += pause_ns
        self._max_ns = max(self._max_ns, pause_ns)

    def so_far(self) -> Pauses:
        """All since the start."""
        return Pauses(count=self._count, total_ns=self._total_ns, max_ns=self._max_ns)
