"""Where a run finds things on this machine: folders it may write to, ports it may take, the packaged locustfile."""

import importlib.util
import os
import socket
import tempfile
from pathlib import Path

from harness.errors import Mistake, TrueyieldError


def unwritable(out: Path) -> list[Mistake]:
    """A mistake if no folder can be made in `out`; tried, because permission bits do not tell (root, /proc, full)."""
    nearest = out.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".trueyield-", dir=nearest))
    except OSError as error:
        found = f"{out}: {error.strerror}"
        return [Mistake("command line", "--out", found, "a folder in which run folders can be made")]
    return []


def port_taken(port: int, flag: str) -> list[Mistake]:
    """A mistake if another process has this loopback port; 0 is never taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            return [Mistake("command line", flag, f"{port}: {getattr(error, 'strerror', error)}", "a free port")]
    return []


def free_port() -> int:
    """A loopback port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def locustfile() -> Path:
    """The packaged locustfile, found without importing Locust."""
    spec = importlib.util.find_spec("loadtests")
    if spec is None or not spec.submodule_search_locations:
        raise TrueyieldError("the package loadtests is not installed beside harness")
    return Path(next(iter(spec.submodule_search_locations))) / "locustfile.py"


def child_environment() -> dict[str, str]:
    """Our environment, with this very `harness` importable wherever the child's current folder is."""
    root = str(Path(__file__).parent.parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root}
