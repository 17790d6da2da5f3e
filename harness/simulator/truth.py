"""TruthEntry: what the endpoint really did for one request, and TruthFile: one JSON line each, when it ends.

All times are CLOCK_MONOTONIC nanoseconds. Deltas are those that reached the wire with text of a thought or an
answer; each is stamped just before its bytes are handed to the kernel. `aborted` means that the client left.
"""

import os
from pathlib import Path
from typing import IO, Literal

import msgspec

from harness.errors import InputError, Mistake


class TruthEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Token totals are what was made for the client until the end, also where it left early."""

    request_id: str
    arrived_ns: int
    status: int
    delta_ns: list[int] = []
    delta_phase: str = ""  # one letter a delta: r, a
    delta_tokens: list[int] = []
    input_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    output_tokens: int = 0
    ended_ns: int
    aborted: bool = False
    # beyond what others rely on
    admitted_ns: int | None = None
    finish_reason: str | None = None
    fault: Literal["error", "cut", "overload"] | None = None
    stream: bool = True
    preemptions: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TruthEntry)


def encode_truth(entry: TruthEntry) -> bytes:
    """One line of a truth file, with its newline."""
    return _encoder.encode(entry) + b"\n"


def decode_truth(line: bytes) -> TruthEntry:
    """Parse one line of a truth file."""
    return _decoder.decode(line)


class TruthFile:
    """Appends entries, each in one unbuffered write, so that a reader sees whole lines only."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = open(path, "ab", buffering=0)
        except OSError as error:
            found = os.strerror(error.errno) if error.errno else str(error)
            raise InputError([Mistake("--truth", str(path), found, "a file that can be written")]) from None

    def append(self, entry: TruthEntry) -> None:
        """Write one line."""
        self._file.write(encode_truth(entry))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
