"""Timers: exchanges by the time at which they must end if nothing more happens."""

import heapq
from collections.abc import Iterator, Mapping
from itertools import count

from harness.load.engine.exchange import Exchange


class Timers:
    """One timer an exchange, the earliest that was set. `exchanges` are the open ones: what ended is not kept here."""

    def __init__(self, exchanges: Mapping[int, Exchange]) -> None:
        self._exchanges = exchanges
        self._timers: list[tuple[int, int, int]] = []  # due, order, ticket
        self._number = count()

    @property
    def next_ns(self) -> int | None:
        """When somebody has to look at one; None: no timer is set."""
        return self._timers[0][0] if self._timers else None

    def set(self, exchange: Exchange) -> None:
        """A deadline of this exchange may be nearer now."""
        due_ns = exchange.due()[0]
        if exchange.timer_ns is None or due_ns < exchange.timer_ns:
            exchange.timer_ns = due_ns
            heapq.heappush(self._timers, (due_ns, next(self._number), exchange.ticket))

    def expired(self, now_ns: int) -> Iterator[Exchange]:
        """Running exchanges whose timer has gone off; they have none now."""
        while self._timers and self._timers[0][0] <= now_ns:
            set_ns, _, ticket = heapq.heappop(self._timers)
            exchange = self._exchanges.get(ticket)
            if exchange is not None and not exchange.over and set_ns == exchange.timer_ns:
                exchange.timer_ns = None
                yield exchange
