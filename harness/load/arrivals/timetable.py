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
        if number in self._streams:
            self._leave(number, next(head for _, owner, head in self._heap if owner == number), at_s)

    def _leave(self, number: int, head: Arrival, at_s: float) -> None:
        if head.at_s > at_s:
            del self._streams[number]
        else:
            rest = takewhile(lambda arrival: arrival.at_s <= at_s, self._streams[number])
            self._streams[number] = Stream(rest)

    def leave_all(self, at_s: float) -> None:
        """Nothing of any stream that was planned after `at_s`."""
        heads = {number: head for _, number, head in self._heap}
        for number in list(self._streams):
            self._leave(number, heads[number], at_s)

    def peek(self) -> Arrival | None:
        """The next arrival; None where there is none (now)."""
        self._drop_the_left()
        return self._heap[0][2] if self._heap else None

    @property
    def source(self) -> int:
        """Number of the stream whose arrival is the next; only where `peek` shows one."""
        self._drop_the_left()
        return self._heap[0][1]

    def coming(self, count: int) -> list[Arrival]:
        """The next arrivals, at most `count`: those of a global plan, and the next one of each other stream."""
        self._drop_the_left()
        found: list[Arrival] = []
        for _, number, head in heapq.nsmallest(count, self._heap):
            if number in self._streams:
                found += [head, *(self._streams[number].coming(count - 1) if self._goes_on(head) else ())]
        return sorted(found, key=lambda arrival: arrival.at_s)[:count]

    def _goes_on(self, head: Arrival) -> bool:
        """Whether more of its stream may come before the others' next."""
        return head.index is not None or len(self._heap) == 1

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
