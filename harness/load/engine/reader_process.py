"""`python -m harness.load.engine.reader_process`, its channel on descriptor 0: the engine process, set up and run."""

import contextlib
import ctypes
import gc
import os
import signal
import sys

from harness.load.engine.pauses import PauseClock
from harness.load.engine.reader import Reader
from harness.load.engine.stamps import ArrivalClock
from harness.load.limits import claim_descriptors

_PR_SET_PDEATHSIG = 1
_NICE = -10


def main(arguments: list[str]) -> None:
    """Set the process up for measuring, then serve until the worker is done or gone."""
    parent = os.getppid()
    if "--die-with-parent" in arguments:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return  # the parent died before it could be watched
    claim_descriptors()
    with contextlib.suppress(PermissionError):  # where we may: a busy machine must not make the instrument late
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    clock = ArrivalClock(kernel="--user-clock" not in arguments)
    pauses = PauseClock()
    reader = Reader(0, clock, pauses)
    # Collections cost up to tens of milliseconds when they walk every object of a thousand streams. What exists now
    # stays for good; the reader itself collects the young generation once a second.
    gc.collect()
    gc.freeze()
    gc.disable()
    gc.callbacks.append(pauses)
    reader.run()


if __name__ == "__main__":
    main(sys.argv[1:])
