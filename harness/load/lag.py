"""Lateness of each read -> ClientLag: mean and maximum exact, p99 from at most 4,096 evenly spaced reads."""

from array import array

from harness.records import ClientLag

_MOST = 4096


class Lag:
    """Collects how long bytes lay in the kernel before we took them."""

    __slots__ = ("_every", "_kept", "_max", "_n", "_sum")

    def __init__(self) -> None:
        self._kept = array("q")
        self._every = 1  # one read in so many is kept
        self._n = self._sum = self._max = 0

    def add(self, lag_ns: int) -> None:
        """One read, this late."""
        if self._n % self._every == 0:
            if len(self._kept) >= _MOST:  # a very long stream: keep every other one from here on
                self._kept = self._kept[::2]
                self._every *= 2
            if self._n % self._every == 0:
                self._kept.append(lag_ns)
        self._n += 1
        self._sum += lag_ns
        if lag_ns > self._max:
            self._max = lag_ns

    def summary(self) -> ClientLag | None:
        """None where nothing was read."""
        if not self._n:
            return None
        ordered = sorted(self._kept)
        return ClientLag(mean=self._sum / self._n, p99=ordered[(len(ordered) * 99 - 1) // 100], max=self._max)
