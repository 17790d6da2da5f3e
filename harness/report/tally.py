"""Tally: finished records in, the handful of live figures out that a progress line or a web tab shows."""

from collections import deque
from dataclasses import dataclass
from statistics import median

from harness.errors import FAILED, UNFINISHED
from harness.load.figures import ttfat_ms, ttft_ms
from harness.price.spend.cost import request_usd
from harness.providers import PriceCard
from harness.records import StreamRecord, Wall

#: Live figures look back this far: long enough to be calm, short enough to be live.
LOOK_BACK_NS = 15_000_000_000
LAST_CALLS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A live view, not a result: the last calls only, warm-up included."""

    ok: int
    failed: int
    censored: int
    output_tokens: int
    output_tokens_per_s: float | None  # of calls that ended in the last seconds
    ttft_p50_s: float | None
    ttfat_p50_s: float | None
    usd: float | None  # None: no price card
    usd_unknown: int  # calls whose price is not known (no usage)


class Tally:
    """Sums of one run while it goes on; bounded memory."""

    def __init__(self, card: PriceCard | None) -> None:
        self._card = card
        self._ok = self._failed = self._censored = self._tokens = self._unknown = 0
        self._usd = 0.0
        self._ttft: deque[float] = deque(maxlen=LAST_CALLS)
        self._ttfat: deque[float] = deque(maxlen=LAST_CALLS)
        self._recent: deque[tuple[int, int]] = deque()

    def add(self, record: StreamRecord, wall: Wall | None, now_ns: int) -> None:
        """Count one finished record, seen at `now_ns`."""
        if record.outcome in FAILED:
            self._failed += 1
        elif record.outcome in UNFINISHED:
            self._censored += 1
        else:
            self._ok += 1
        tokens = record.output_tokens or 0
        self._tokens += tokens
        self._recent.append((now_ns, tokens))
        for values, milliseconds in ((self._ttft, ttft_ms(record)), (self._ttfat, ttfat_ms(record))):
            if milliseconds is not None:
                values.append(milliseconds / 1000)
        self._add_price(record, wall)

    def figures(self, now_ns: int) -> Figures:
        """The view at `now_ns`."""
        while self._recent and now_ns - self._recent[0][0] > LOOK_BACK_NS:
            self._recent.popleft()
        span_ns = now_ns - self._recent[0][0] if self._recent else 0
        tokens = sum(tokens for _, tokens in self._recent)
        return Figures(
            ok=self._ok,
            failed=self._failed,
            censored=self._censored,
            output_tokens=self._tokens,
            output_tokens_per_s=tokens / (span_ns / 1e9) if span_ns > 1_000_000_000 else None,
            ttft_p50_s=median(self._ttft) if self._ttft else None,
            ttfat_p50_s=median(self._ttfat) if self._ttfat else None,
            usd=self._usd if self._card is not None else None,
            usd_unknown=self._unknown,
        )

    def _add_price(self, record: StreamRecord, wall: Wall | None) -> None:
        if self._card is None:
            return
        usd = request_usd(self._card, record, wall) if wall is not None else None
        if usd is None:
            self._unknown += 1
        else:
            self._usd += usd
