"""The machine under a test that judges times: when it stood still, and a second try where it did.

A shared host takes a CPU away for tens of milliseconds now and then, which says nothing about us. Where the test may
(root), no CPU sleeps meanwhile, because a host is slow to give one back; and a watch on each of them, above everything
else, notes when it stood still. What is repeated is chosen by the watch alone, before anybody has looked at the
outcome.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from harness.load.machine import awake_where_allowed

T = TypeVar("T")

#: Share of the time in which a CPU may be gone on a quiet machine, on average over its CPUs.
QUIET = 0.02
TRIES = 2
#: Prints "begin end" (monotonic s) of each time in which its CPU did not run it for 4 ms, as long as its parent lives.
_WATCH = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))
print(0, 0, flush=True)
parent, last = int(sys.argv[2]), time.monotonic()
while os.getppid() == parent:
    time.sleep(0.0005)
    now = time.monotonic()
    if now - last > 0.004:
        print(last, now, flush=True)
    last = now
"""


@dataclass(frozen=True, slots=True)
class Stall:
    """Monotonic seconds in which one CPU did not run."""

    begin_s: float
    end_s: float


@contextmanager
def watched(folder: Path) -> Iterator[Callable[[], list[Stall]]]:
    """While it lasts, CPUs are watched and stay awake; the stalls so far can be asked for. None where not allowed."""
    files = {cpu: folder / f"stalls-{cpu}" for cpu in os.sched_getaffinity(0)}
    watches = []
    for cpu, file in files.items():
        with file.open("w") as out:
            words = [sys.executable, "-c", _WATCH, str(cpu), str(os.getpid())]
            watches.append(subprocess.Popen(words, stdout=out, stderr=subprocess.DEVNULL))
    try:
        with awake_where_allowed():
            yield lambda: stalls_in(folder)
    finally:
        for watch in watches:
            watch.kill()
            watch.wait()


def stalls_in(folder: Path) -> list[Stall]:
    """What the watches of that folder noted."""
    lines = [line.split() for file in folder.glob("stalls-*") for line in file.read_text().splitlines()]
    return [Stall(float(words[0]), float(words[1])) for words in lines if len(words) == 2]


def near(stalls: list[Stall], at_ns: int | None, within_s: float) -> bool:
    """Some CPU stood still that close to a monotonic time."""
    return at_ns is not None and any(
        stall.begin_s - within_s < at_ns / 1e9 < stall.end_s + within_s for stall in stalls
    )


def held_up(stalls: list[Stall], spans_s: np.ndarray) -> np.ndarray:
    """Which of these spans (n x 2, monotonic s) some CPU stood still in."""
    held = np.zeros(len(spans_s), bool)
    for stall in stalls:
        held |= (spans_s[:, 0] < stall.end_s) & (spans_s[:, 1] > stall.begin_s)
    return held


def quietest(home: Path, load: Callable[[Path], T]) -> tuple[Path, T]:
    """Run a load in a folder of its own, again while the machine stood still too often; the quietest and its folder."""
    tries: list[tuple[float, Path, T]] = []
    for number in range(TRIES):
        folder = home / f"try-{number}"
        folder.mkdir()
        with watched(folder) as stalls:
            began_s = time.monotonic()
            found = load(folder)
            ended_s = time.monotonic()
            gone_s = sum(stall.end_s - max(stall.begin_s, began_s) for stall in stalls() if stall.end_s > began_s)
        tries.append((gone_s / (ended_s - began_s) / (os.cpu_count() or 1), folder, found))
        if tries[-1][0] <= QUIET:
            break
    _, folder, found = min(tries, key=lambda each: each[0])
    return folder, found
