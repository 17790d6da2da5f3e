"""Batch: record lines from worker to master with run id, sequence number and totals; Outbox makes, Inbox takes."""

import msgspec

#: A batch leaves when it is this large, or a second old: small enough never to hold up the hub of a worker.
BATCH_BYTES = 100_000


class Batch(msgspec.Struct, kw_only=True):
    """Plain values only (it travels as msgpack). `entry`: the worker's manifest entry as JSON, in the last batch."""

    run_id: str
    worker: str
    seq: int
    lines: bytes = b""  # each ends in a newline
    records: int = 0  # lines of this batch
    total: int = 0  # lines of this run so far, this batch included
    answers: bytes = b""
    in_flight: int = 0
    awaiting_first: int = 0
    entry: bytes | None = None


class Outbox:
    """Lines of one run that wait to be shipped."""

    def __init__(self, run_id: str, worker: str) -> None:
        self._run_id, self._worker = run_id, worker
        self._lines: list[bytes] = []
        self._answers: list[bytes] = []
        self._total = 0
        self._seq = 0
        self.bytes = 0

    def add(self, line: bytes, answer: bytes | None) -> None:
        """One finished record, and its answer line where one was kept."""
        self._lines.append(line)
        self._total += 1
        self.bytes += len(line)
        if answer is not None:
            self._answers.append(answer)
            self.bytes += len(answer)

    def take(self, in_flight: int, awaiting_first: int, entry: bytes | None = None) -> Batch:
        """Everything that waits, as the next batch."""
        batch = Batch(
            run_id=self._run_id,
            worker=self._worker,
            seq=self._seq,
            lines=_joined(self._lines),
            records=len(self._lines),
            total=self._total,
            answers=_joined(self._answers),
            in_flight=in_flight,
            awaiting_first=awaiting_first,
            entry=entry,
        )
        self._seq += 1
        self._lines, self._answers, self.bytes = [], [], 0
        return batch


class Inbox:
    """What arrived of one run: takes each batch once, and knows what is missing."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._seen: dict[str, set[int]] = {}
        self.received: dict[str, int] = {}
        self.total: dict[str, int] = {}
        self.foreign = 0

    def accept(self, batch: Batch) -> bool:
        """True the first time a batch of this run comes; False for a duplicate or one of another run."""
        if batch.run_id != self._run_id:
            self.foreign += 1
            return False
        seen = self._seen.setdefault(batch.worker, set())
        if batch.seq in seen:
            return False
        seen.add(batch.seq)
        self.received[batch.worker] = self.received.get(batch.worker, 0) + batch.records
        self.total[batch.worker] = max(self.total.get(batch.worker, 0), batch.total)
        return True

    def missing(self) -> dict[str, int]:
        """Records a worker told of that never came, by worker."""
        return {
            worker: total - self.received[worker]
            for worker, total in self.total.items()
            if total != self.received[worker]
        }


def to_wire(batch: Batch) -> dict[str, object]:
    """The plain dictionary that Locust packs."""
    return msgspec.structs.asdict(batch)


def from_wire(data: object) -> Batch:
    """The inverse; raises msgspec.ValidationError on anything else."""
    return msgspec.convert(data, Batch)


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join([*lines, b""]) if lines else b""
