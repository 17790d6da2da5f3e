"""Lateness of each read -> ClientLag: mean and maximum exact, p99 from at most 8,192 evenly spaced reads.

A read is as late as the oldest byte in it that has a time.
"""

from array import array

from harness.records import ClientLag

_BLOCK = 4096


class Lag:
    """Collects how long bytes lay in the kernel before we took them."""

    __slots__ = ("_block", "_every", "_max", "_n", "_sample", "_sum")

    def __init__(self) -> None:
        self._block = array("q")
        self._sample = array("q")
        self._every = 1  # one read in so many is in the sample
        self._n = self._sum = self._max = 0

    def add(self, lag_ns: int) -> None:
        """One read, this late; below 0: another segment of the read before, which counts once."""
        if lag_ns < 0:
            return
        self._block.append(lag_ns)
        if len(self._block) == _BLOCK:
            self._fold()

    def add_all(self, lags_ns: "array[int]") -> None:
        """Several reads in a row."""
        self._block.extend(lags_ns)
        if len(self._block) >= _BLOCK:
            self._fold()

    @property
    def reads(self) -> int:
        """How many there were."""
        return self._n + len(self._block)

    def summary(self) -> ClientLag | None:
        """None where nothing was read."""
        self._fold()
        if not self._n:
            return None
        ordered = sorted(self._sample)
        return ClientLag(mean=self._sum / self._n, p99=ordered[(len(ordered) * 99 - 1) // 100], max=self._max)

    def _fold(self) -> None:
        block = self._block
        if block:
            self._n += len(block)
            self._sum += sum(block)
            self._max = max(self._max, max(block))
            self._sample += block[:: self._every]
            del block[:]
        if len(self._sample) > 2 * _BLOCK:  # a very long stream: half of them are enough
            self._sample = self._sample[::2]
            self._every *= 2
