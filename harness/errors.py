"""Every way trueyield can stop, and every way one request can end.

    TrueyieldError                 exit 1   a bug, unless a subclass says otherwise
    |-- InputError                 exit 2   files, flags, names: every mistake at once
    |-- PreflightError             exit 2   the endpoint did not answer as a run needs
    |-- GateFailed                 exit 3   a gate did not hold
    `-- InvalidMeasurement         exit 4   the numbers must not be used

A failed *request* is never an exception: it is a record with an `Outcome`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the process tells its caller (design: one number per kind of ending)."""

    PASSED = 0
    BUG = 1
    BAD_INPUT = 2
    GATE_FAILED = 3
    INVALID = 4


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with what the user gave us: where, what, and what would be right."""

    file: str
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: found {self.found}; expected {self.expected}"


class TrueyieldError(Exception):
    """Root of the tree; `hint` names the next step for the user."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(TrueyieldError):
    """Bad input. Carries every mistake found, so that the user mends them in one go."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, mistakes: Iterable[Mistake], hint: str = "") -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes), hint)


class PreflightError(TrueyieldError):
    """The endpoint is unreachable, refuses the key, or does not know the model."""

    exit_code = ExitCode.BAD_INPUT


class GateFailed(TrueyieldError):
    """At least one gate did not hold."""

    exit_code = ExitCode.GATE_FAILED


class InvalidMeasurement(TrueyieldError):
    """The instrument failed: late client, lost worker, dead engine, no ok request, missing report."""

    exit_code = ExitCode.INVALID


class Outcome(StrEnum):
    """The closed list of ways in which one request can end."""

    OK = "ok"
    TRUNCATED = "truncated"  # finish_reason length, with at least one answer delta
    CUT_IN_THOUGHT = "cut_in_thought"  # finish_reason length before the first answer delta
    EMPTY = "empty"  # a clean end without one reasoning, answer or tool delta
    STREAM_ERROR = "stream_error"  # an error object, or a server's give-up, after status 200
    HTTP_ERROR = "http_error"
    RATE_LIMITED = "rate_limited"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_TTFT = "timeout_ttft"
    TIMEOUT_GAP = "timeout_gap"
    TIMEOUT_TOTAL = "timeout_total"
    CONNECT_ERROR = "connect_error"
    PROTOCOL_ERROR = "protocol_error"
    CUT = "cut"  # the connection ended before the stream did
    CENSORED = "censored"  # we ended it: the run was over
    ENGINE_LOST = "engine_lost"  # our own engine died


#: The service did what it was asked: the stream is whole. Whether it was *useful* is another question.
DELIVERED = frozenset({Outcome.OK, Outcome.TRUNCATED, Outcome.CUT_IN_THOUGHT})
#: Neither success nor failure: we stopped looking.
UNFINISHED = frozenset({Outcome.CENSORED})
#: Everything else failed, stays in the denominator and in the bill.
FAILED = frozenset(Outcome) - DELIVERED - UNFINISHED
