"""Run one command with everything that it starts, to the end or to a time limit, and write down what it used.

    python supervise.py FILE LIMIT_S COMMAND...

FILE gets one JSON object: exit code, wall and CPU seconds of the whole tree, peak memory, most processes at once.
The kernel hands orphans of the tree to this process (subreaper), so that CPU time of every child is counted exactly
when it is reaped, however short it lived, and nothing outlives the run. It counts nothing of itself.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
SAMPLE_S = 0.2
GRACE_S = 5  # for children that outlive the command


def main() -> None:
    """Supervise one command."""
    file, limit_s, command = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_end_all()))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    file.write_text(json.dumps(supervise(command, limit_s)))


def supervise(command: list[str], limit_s: float) -> dict[str, object]:
    """Figures of one run; `exit_code` is None after the time limit."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    rss_mb, processes = 0.0, 0
    while process.poll() is None and time.monotonic() < began + limit_s:
        peaks = [peak for pid in descendants(os.getpid()) if (peak := _peak_mb(pid)) is not None]
        rss_mb, processes = max(rss_mb, sum(peaks)), max(processes, len(peaks))
        time.sleep(SAMPLE_S)
    wall_s, exit_code = time.monotonic() - began, process.poll()
    _end_all(0 if exit_code is None else GRACE_S)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "exit_code": exit_code,
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_mb": rss_mb,
        "processes": processes,
    }


def descendants(root: int) -> list[int]:
    """Pids below a process, as the kernel lists them now."""
    found: list[int] = []
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def _end_all(grace_s: float = 0) -> int:
    """Wait for what is left, then kill it, pid by pid, and reap it. Returns the exit code of an ended supervisor."""
    until = time.monotonic() + grace_s
    while left := descendants(os.getpid()):
        if time.monotonic() >= until:
            for pid in left:
                _kill(pid)
        _reap()
        time.sleep(0.05)
    _reap()
    return 143


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _peak_mb(pid: int) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


if __name__ == "__main__":
    main()
