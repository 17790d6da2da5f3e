"""Budget: a cap in dollars or requests goes in; permission to send, one request at a time, comes out.

Before a request is sent its worst case is reserved (longest prompt, whole cap, dearest rates); when it ends, the
reservation becomes what it cost. So the cap cannot be passed, however many requests are under way. Plain synchronous
code: it is atomic for greenlets, and for threads of one event loop.
"""

from harness.price.spend.cost import Guess, Usage, billable, dearest, request_usd, usage_usd
from harness.providers import PriceCard
from harness.records import StreamRecord, Wall


def worst_case_usd(
    card: PriceCard, requests: int, input_tokens: float, output_tokens: float, epoch_s: float | None = None
) -> float:
    """What so many requests cost at most: no cache, whole cap, dearest rates of the card (at `epoch_s`, if given)."""
    each = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    return requests * usage_usd(dearest(card, epoch_s), each)


class Budget:
    """Spend of one process against its caps. `epoch_s`: when the run begins, to leave out periods that ended."""

    def __init__(
        self,
        max_usd: float | None,
        max_requests: int | None,
        card: PriceCard | None,
        epoch_s: float | None = None,
    ) -> None:
        if max_usd is not None and card is None:
            raise ValueError("a cap in dollars needs a price card")
        self.max_usd = max_usd
        self.max_requests = max_requests
        self.spent_usd = 0.0
        self.requests = 0  # that were sent, or may be
        self._reservations = 0
        self._card = card
        self._dearest = dearest(card, epoch_s) if card else None
        self._reserved: dict[int, float] = {}

    @property
    def reserved_usd(self) -> float:
        """Worst cases of the requests under way."""
        return sum(self._reserved.values())

    def reserve(self, input_tokens_max: float, output_tokens_max: float) -> int | None:
        """Ask to send one request; the answer is a reservation to settle later, or None: the cap would be passed."""
        usage = Usage(input_tokens=input_tokens_max, output_tokens=output_tokens_max)
        usd = usage_usd(self._dearest, usage) if self._dearest else 0.0
        if self.max_requests is not None and self.requests >= self.max_requests:
            return None
        if self.max_usd is not None and self.spent_usd + self.reserved_usd + usd > self.max_usd:
            return None
        self.requests += 1
        self._reservations += 1
        self._reserved[self._reservations] = usd
        return self._reservations

    def settle(self, reservation: int, record: StreamRecord | None, wall: Wall | None = None) -> float:
        """End a reservation and return what was booked; without usage (or a record) that is the worst case.

        With `wall` the rates of the request's own moment are used, without it the card's dearest.
        """
        worst = self._reserved.pop(reservation)
        usd = worst if record is None else self._actual_usd(record, wall)
        booked = worst if usd is None else usd
        self.spent_usd += booked
        return booked

    def release(self, reservation: int) -> None:
        """Give a reservation back: its request was never sent, and counts for nothing."""
        del self._reserved[reservation]
        self.requests -= 1

    def _actual_usd(self, record: StreamRecord, wall: Wall | None) -> float | None:
        if self._card is None or self._dearest is None:
            return 0.0
        if wall is not None:
            return request_usd(self._card, record, wall)
        usage, known = billable(record, Guess(input_tokens=0, output_tokens=0), self._card.bills_cut_streams)
        return usage_usd(self._dearest, usage) if known else None
