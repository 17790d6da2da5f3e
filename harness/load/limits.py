"""Users of a run -> mistakes, where this machine has too few descriptors or ports to connect each of them."""

import contextlib
import fcntl
import os
import resource
from pathlib import Path

from harness.errors import Mistake

#: What an engine process opens besides: its channel, its pollers, connections on their way out of the pool.
_SPARE_DESCRIPTORS = 64
#: One address has no more ports; nor does anybody need a larger table of descriptors.
_MOST_DESCRIPTORS = 65_536
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def no_room_for(users: int, processes: int, *, one_machine: bool) -> list[Mistake]:
    """One connection a user. `one_machine`: all processes share the ports of this one."""
    each = -(-users // max(processes, 1))
    found = []
    descriptors = descriptor_limit()
    if descriptors is not None and each + _SPARE_DESCRIPTORS > descriptors:
        most = max(descriptors - _SPARE_DESCRIPTORS, 0)
        expected = f"at most {most} users a process (ulimit -Hn is {descriptors}), or more --processes"
        found.append(Mistake("command line", "--users", f"{each} a process", expected))
    ports, here = port_count(), users if one_machine else each
    if ports is not None and here > ports:
        expected = f"at most {ports} (net.ipv4.ip_local_port_range), or workers on more machines"
        found.append(Mistake("command line", "--users", f"{here} on one machine", expected))
    return found


def descriptor_limit() -> int | None:
    """Descriptors that an engine may open: it raises its own soft limit to the hard one. None: without limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def claim_descriptors() -> None:
    """Let this process open as many as it may, and have the kernel make room for them now, while there is one thread.

    A table that is full is doubled, and where threads share it the kernel first waits until none of them can still look
    at the old one (`expand_fdtable` in fs/file.c): 7 to 22 ms at 256, 512, 1024, ... sockets, in which nothing is sent.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    last = min(descriptor_limit() or _MOST_DESCRIPTORS, _MOST_DESCRIPTORS) - 1
    with contextlib.suppress(OSError):  # without it all is well but for those moments
        os.close(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, last))


def port_count() -> int | None:
    """Local ports for connections to one address; None where the system does not tell."""
    try:
        low, high = (int(word) for word in _PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return None
    return high - low + 1
