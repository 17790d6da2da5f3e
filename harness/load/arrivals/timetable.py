"""Timetable: what one worker has to send, and when next: its share of the global plan, or the sources of its users."""

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import islice, takewhile

from harness.load.arrivals.plans import Arrival


class Stream:
    """Arrivals in order, which can be looked at before they are taken."""

    def __init__(self, arrivals: Iterator[Arrival]) -> None:
        self._arrivals = arrivals
        self._seen: deque[Arrival] = deque()

    def __iter__(self) -> Iterator[Arrival]:
        return self

    def __next__(self) -> Arrival:
        return self._seen.popleft() if self._seen else next(self._arrivals)

    def coming(self, count: int) -> list[Arrival]:
        """The next ones, at most `count`."""
        self._seen.extend(islice(self._arrivals, max(count - len(self._seen), 0)))
        return list(islice(self._seen, count))


class Timetable:
    """Sorted merge of streams that may join and leave while it is read. Times are seconds since the run's start."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Arrival]] = []
        self._streams: dict[int, Stream] = {}
        self._joined = 0

    def join(self, stream: Iterator[Arrival]) -> int:
        """Add a stream of arrivals in order of time; its number, for `leave`."""
        self._joined += 1
        self._streams[self._joined] = Stream(stream)
        self._advance(self._joined)
        return self._joined

    def leave(self, number: int, at_s: float) -> None:
        """Nothing of that stream that was planned after `at_s`; what is overdue by then stays."""
        stream = self._streams.get(number)
        if stream is None:
            return
        head = next(arrival for _, owner, arrival in self._heap if owner == number)
        if head.at_s > at_s:
            del self._streams[number]
        else:
            self._streams[number] = Stream(takewhile(lambda arrival: arrival.at_s <= at_s, stream))

    def leave_all(self, at_s: float) -> None:
        """Nothing of any stream that was planned after `at_s`."""
        for number in list(self._streams):
            self.leave(number, at_s)

    def peek(self) -> Arrival | None:
        """The next arrival; None where there is none (now)."""
        self._drop_the_left()
        return self._heap[0][2] if self._heap else None

    def coming(self, count: int) -> list[Arrival]:
        """The next arrivals, at most `count`: those of a single stream, else the next one of each of many."""
        self._drop_the_left()
        if len(self._heap) == 1:
            _, number, head = self._heap[0]
            return [head, *(self._streams[number].coming(count - 1))]
        return [arrival for _, _, arrival in heapq.nsmallest(count, self._heap)]

    def take(self) -> Arrival:
        """The next arrival, and out of the table; only where `peek` shows one."""
        self._drop_the_left()
        _, number, arrival = heapq.heappop(self._heap)
        self._advance(number)
        return arrival

    def _advance(self, number: int) -> None:
        arrival = next(self._streams[number], None)
        if arrival is None:
            del self._streams[number]
        else:
            heapq.heappush(self._heap, (arrival.at_s, number, arrival))

    def _drop_the_left(self) -> None:
        while self._heap and self._heap[0][1] not in self._streams:
            heapq.heappop(self._heap)
