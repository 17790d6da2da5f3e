"""Plan -> Manifest: what a run leaves for whoever reads, prices or repeats it. Never holds a key."""

import hashlib
import os
import platform
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from harness import __version__
from harness.load.clock import wall_ns
from harness.load.scenarios import Plan
from harness.load.stages import lead_seconds, planned_stages
from harness.records import Manifest

#: Libraries whose version can change a number.
_LIBRARIES = ("locust", "gevent", "msgspec", "numpy", "pandas", "pyarrow", "scipy")


def new_run_id(scenario: str) -> str:
    """For example 20261121-193501-reasoning-1f3a: sorts by time, says what it was, never twice the same."""
    began = datetime.fromtimestamp(wall_ns() / 1e9, UTC)
    name = "".join(letter if letter.isalnum() else "-" for letter in Path(scenario).stem.lower())
    return f"{began:%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}"


def make_manifest(plan: Plan, *, options: Mapping[str, Any], preflight: Mapping[str, Any] | None) -> Manifest:
    """The manifest of a run that begins now."""
    endpoint = msgspec.to_builtins(_without_header_values(plan))
    scenario = msgspec.to_builtins(plan.scenario)
    began_ns = wall_ns()
    return Manifest(
        run_id=plan.run_id,
        trueyield_version=__version__,
        created_at=datetime.fromtimestamp(began_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
        seed=plan.seed,
        scenario=scenario,
        endpoint=endpoint,
        hashes=_hashes(endpoint, scenario),
        options=dict(options),
        environment=_environment(),
        preflight=None if preflight is None else dict(preflight),
        stages=planned_stages(plan.scenario, wall_ns() + round(lead_seconds(plan.scenario) * 1e9)),
        workers_expected=plan.workers,
    )


def _without_header_values(plan: Plan) -> Any:
    """A header may hold a second secret (a gateway's token), so the manifest keeps header names only."""
    request = plan.endpoint.request
    return replace(plan.endpoint, request=replace(request, headers=dict.fromkeys(request.headers, "(not kept)")))


def _hashes(endpoint: dict[str, Any], scenario: dict[str, Any]) -> dict[str, str]:
    deployment = endpoint.get("deployment") or {}
    rows = {
        "endpoint": endpoint,
        "scenario": scenario,
        "price_card": endpoint.get("price_card"),
        "sell_at": endpoint.get("sell_at"),
        "model": deployment.get("model"),
        "accelerator": deployment.get("accelerator"),
    }
    return {name: _sha256(row) for name, row in rows.items() if row}


def _sha256(row: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(row, order="deterministic")).hexdigest()


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)),
        "clock_source": _first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "host": platform.node(),
    }


def _cpu_name() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
