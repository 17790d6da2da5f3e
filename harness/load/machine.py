"""Machine: what a host took of its CPUs (steal), and how they are kept from sleeping while a run lasts.

An idle CPU sleeps. Bare metal wakes it in up to 0.1 ms; a shared virtual machine must first get it back from its host,
which may take tens of ms. A packet's kernel stamp is late by that, and a departure, too, and nothing inside can tell.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError, Mistake

#: As long as somebody holds this file open with 0 written into it, Linux lets no CPU sleep deeper than it can wake in
#: 0 us: idle ones poll (kernel documentation, PM Quality of Service Interface).
LATENCY = Path("/dev/cpu_dma_latency")
_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Of all CPUs since the boot, in ticks; `stolen`: a CPU had work, and its host ran something else."""

    total: int
    stolen: int


def cpu_time() -> CpuTime | None:
    """None where the system does not tell."""
    try:
        words = _STAT.read_text().partition("\n")[0].split()[1:9]  # user nice system idle iowait irq softirq steal
        ticks = [int(word) for word in words]
    except (OSError, ValueError):
        return None
    return CpuTime(total=sum(ticks), stolen=ticks[7]) if len(ticks) == 8 else None


def stolen_share(before: CpuTime | None, after: CpuTime | None) -> float | None:
    """0..1 of all CPU time between two readings (`st` in `top`); None where one is missing or no tick has passed."""
    if before is None or after is None or after.total <= before.total:
        return None
    return max(0, after.stolen - before.stolen) / (after.total - before.total)


class Awake:
    """From its making until `close`, or the end of this process, no CPU of the machine sleeps."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        """InputError where that is not allowed."""
        self._held = -1
        try:
            self._held = os.open(LATENCY, os.O_WRONLY)
            os.write(self._held, struct.pack("i", 0))
        except OSError as error:
            self.close()
            raise InputError(not_allowed(error), "run it as root, allow the file, or leave the flag out") from error

    def __enter__(self) -> "Awake":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """They may sleep again. May be called twice."""
        held, self._held = self._held, -1
        if held >= 0:
            os.close(held)


@contextmanager
def awake_where_allowed() -> Iterator[bool]:
    """No CPU sleeps while it lasts, where that may be asked for; yields whether. For measurements of our own."""
    try:
        awake = Awake()
    except InputError:
        yield False
        return
    with awake:
        yield True


def not_allowed(error: OSError | None = None) -> list[Mistake]:
    """A mistake where CPUs cannot be kept awake from here."""
    if error is None and os.access(LATENCY, os.W_OK):
        return []
    found = f"{LATENCY}: {error.strerror if error else 'not writable, or not there'}"
    return [Mistake("command line", "--keep-awake", found, "Linux, and the right to write to that file")]
