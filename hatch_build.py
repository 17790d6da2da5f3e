"""Compiles the hot path (harness/load/hot/compiled.c) when the package is installed, where this machine can.

Without a C compiler or Python's headers it stays in plain Python, at about twice the CPU. By hand, after a change:
`python hatch_build.py`.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOM = Path(__file__).parent / "harness" / "load" / "hot"
SOURCE, BUILT = ROOM / "compiled.c", ROOM / "compiled.abi3.so"
#: One build serves every CPython from 3.11 on.
STABLE_ABI = 0x030B0000

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # by hand, in an environment that builds nothing else
    BuildHookInterface = object


class HotPath(BuildHookInterface):
    """Hatch asks this before it makes a wheel, or links the tree into an environment."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; where that works, the wheel is of this platform."""
        if self.target_name != "wheel" or not compile_hot_path():
            return
        build_data["artifacts"].append(f"/{BUILT.relative_to(Path(self.root).resolve()).as_posix()}")
        if version != "editable":
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"cp311-abi3-{platform}"


def compile_hot_path(source: Path = SOURCE, built: Path = BUILT, *flags: str) -> bool:
    """Compile `source` into `built`; False, with a line that says why, where that cannot be."""
    unfinished = built.with_suffix(".unfinished")
    command = [
        *shlex.split(os.environ.get("CC", "cc")), "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-fvisibility=hidden",
        f"-DPy_LIMITED_API={STABLE_ABI:#010x}", f"-I{ROOM}", f"-I{sysconfig.get_path('include')}", *flags,
        str(source), "-o", str(unfinished),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        words = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
    except OSError as error:
        words = f"{command[0]}: {error.strerror}"
    else:
        if done.returncode == 0:
            unfinished.replace(built)  # a process may have the old one in use
            return True
    unfinished.unlink(missing_ok=True)
    built.unlink(missing_ok=True)  # an old build is not this source
    print(f"the hot path is not compiled, and stays in plain Python: {words}", file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(not compile_hot_path())
