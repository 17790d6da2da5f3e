"""This machine's own ceilings, measured: memory bandwidth of a read sweep, FLOP/s of multiply-adds in registers.

Both are the best of many rounds: other work can only make a round slower, and a ceiling must not be below what physics
allows. They hold for the number of threads that the engine is given, and become a row of the catalog.
"""

import os
import re
import shutil
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.silicon.engine import at_priority

SOURCE = Path(__file__).with_suffix(".c")
BUILD = Path(__file__).parents[2] / "build" / "silicon"
#: Instruction sets to multiply with; a prebuilt engine often has only the older one.
NATIVE, AVX2 = "native", "x86-64-v3"
SWEEP_BYTES = 1_000_000_000  # far more than any cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """Rounds of each measurement: bytes/s read, FLOP/s in FP32; `avx2` is empty where that is not x86-64."""

    threads: int
    read: tuple[float, ...]
    native: tuple[float, ...]
    avx2: tuple[float, ...]


def measure(threads: int, priority: int = 0) -> Ceilings:
    """About ten seconds. SystemExit where there is no compiler or no memory."""
    native = _rounds(NATIVE, "fma", threads, priority)
    return Ceilings(
        threads=threads,
        read=_rounds(NATIVE, "read", threads, priority, SWEEP_BYTES),
        native=native,
        avx2=_rounds(AVX2, "fma", threads, priority) if os.uname().machine == "x86_64" else (),
    )


def _rounds(target: str, task: str, threads: int, priority: int, *more: int) -> tuple[float, ...]:
    command = [*at_priority(priority), str(_build(target)), task, str(threads), *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the machine could not be measured: {done.stderr.strip()}")
    return tuple(map(float, done.stdout.split()))


def _build(target: str) -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / f"machine-{target}"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("make silicon needs a C compiler to measure this machine: install gcc")
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        flags = ["-O3", f"-march={target}", "-ffp-contract=fast", "-Wall", "-pthread"]
        subprocess.run([compiler, *flags, "-o", program, SOURCE], check=True)
    return program


def accelerator_row(ceilings: Ceilings, memory_bytes: int, cpu: str, day: str) -> dict[str, Any]:
    """A row of `accelerators:`. Weights in FP16 are multiplied in FP32 on a CPU without FP16 units."""
    cores = "one core" if ceilings.threads == 1 else f"{ceilings.threads} cores"
    return {
        "hbm_gb": round(memory_bytes / 1e9, 1),
        "hbm_tb_per_s": round(max(ceilings.read) / 1e12, 6),
        "tflops": {"fp32": round(max(ceilings.native) / 1e12, 5)},
        "source": f"measured by benchmarks/silicon on {cpu}, {cores}",
        "as_of": day,
        "note": "best of many rounds: read sweep over 1 GB, multiply-adds in registers",
    }


def summary(rounds: tuple[float, ...], unit: float) -> str:
    """Best round, and the middle one that shows how much else was going on: `11.3 (median 10.2)`."""
    return f"{max(rounds) / unit:.3g} (median {statistics.median(rounds) / unit:.3g})"


def cpu_name() -> str:
    """As the kernel tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine)


def slug(cpu: str) -> str:
    """A name that can be typed: `Intel(R) Xeon(R) Processor @ 2.80GHz` -> `intel-xeon-2.80ghz`."""
    plain = re.sub(r"\((?:R|TM)\)|\b(?:processor|cpu)\b|@", " ", cpu, flags=re.I)
    return re.sub(r"[^a-z0-9.]+", "-", plain.lower()).strip("-.")


def memory_bytes() -> int:
    """All of it."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def last_level_cache_bytes() -> int:
    """The largest cache of the first core; 0 where the kernel does not tell."""
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(size.rstrip("K")) * 1024 for size in sizes if size.endswith("K")), default=0)
