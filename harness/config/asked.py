"""What a command line asks of theory -> the Deployment it means, checked against the catalog like one of a file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.config.endpoint_checks import precision_mistake
from harness.config.layout_rows import layout_contradictions, make_layout
from harness.config.rows import near_miss, shown
from harness.errors import InputError, Mistake
from harness.providers import Accelerator, Catalog, Deployment, GpuHour

#: Keys of a layout as options of the command line.
_OPTIONS = {"dp_attention": "--dp-attention", "redundant_experts": "--redundant-experts", "count": "--count",
            "tp": "--tp", "ep": "--ep", "pp": "--pp"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Options as they were given. `layout`: the keys of providers.yaml; `tokens_per_step`: (low, high)."""

    model: str
    accelerator: str
    count: int
    precision: str | None = None
    kv_precision: str = "bf16"
    layout: Mapping[str, int | None]
    tokens_per_step: tuple[float, float] = (1.0, 1.0)
    max_batch: int | None = None
    memory_share: float = 0.9
    usd_per_gpu_hour: float | None = None
    gpu_hour: str | None = None
    accept_unverified: bool = False


def deployment_of(asked: Asked, catalog: Catalog) -> Deployment:
    """Raises InputError with every mistake, near misses named."""
    mistakes: list[Mistake] = []
    model = _row(asked, catalog.models, "MODEL", asked.model, mistakes)
    on = _row(asked, catalog.accelerators, "--on", asked.accelerator, mistakes)
    hour = _hour(asked, catalog, on, mistakes)
    mistakes += [
        Mistake("command line", _OPTIONS.get(key, key), what, right)
        for key, what, right in layout_contradictions({**asked.layout, "count": asked.count}, model)
    ]
    precision = asked.precision or ("fp8" if on is not None and "fp8" in on.flops_per_s else "bf16")
    wrong = precision_mistake(on, precision) if on is not None else None
    if wrong is not None:
        mistakes.append(Mistake("command line", "--precision", *wrong))
    if mistakes or on is None or model is None:
        unsure = any("accept-unverified" in mistake.expected for mistake in mistakes)
        raise InputError(mistakes, "add --accept-unverified to use such rows all the same" if unsure else "")
    low, high = min(asked.tokens_per_step), max(asked.tokens_per_step)
    found = Deployment(
        accelerator=on,
        count=asked.count,
        model=model,
        precision=precision,
        kv_precision=asked.kv_precision,
        max_batch=asked.max_batch,
        memory_share=asked.memory_share,
        layout=make_layout(asked.layout),
        tokens_per_step=high,
        tokens_per_step_low=None if low == high else low,
    )
    return _priced(found, asked, hour)


def _priced(found: Deployment, asked: Asked, hour: GpuHour | None) -> Deployment:
    if asked.usd_per_gpu_hour is not None:
        return replace(found, usd_per_gpu_hour=asked.usd_per_gpu_hour, price_basis="declared on the command line")
    if hour is None:
        return found
    return replace(
        found,
        usd_per_gpu_hour=hour.usd_per_gpu_hour,
        usd_per_gpu_hour_low=hour.low,
        usd_per_gpu_hour_high=hour.high,
        price_basis=hour.basis if hour.status == "verified" else f"{hour.basis}, {hour.status.upper()}",
        price_as_of=hour.as_of,
    )


def _hour(asked: Asked, catalog: Catalog, on: Accelerator | None, mistakes: list[Mistake]) -> GpuHour | None:
    """The row that was named, else what a newcomer pays: rent on demand; None: nothing verified is known."""
    if asked.gpu_hour is not None:
        hour: GpuHour | None = _row(asked, catalog.gpu_hours, "--gpu-hour", asked.gpu_hour, mistakes)
        if hour is not None and on is not None and hour.accelerator != on.name:
            found = f"{hour.name}, an hour of {hour.accelerator}"
            mistakes.append(Mistake("command line", "--gpu-hour", found, f"an hour of {on.name}"))
        return hour
    if on is None or asked.usd_per_gpu_hour is not None:
        return None
    rows = [row for row in catalog.gpu_hours.values() if row.accelerator == on.name and _trusted(row, asked)]
    return next((row for row in rows if row.name == f"{on.name}-rent"), rows[0] if rows else None)


def _trusted(row: Any, asked: Asked) -> bool:
    return bool(row.status == "verified" or asked.accept_unverified)


def _row(asked: Asked, shelf: Mapping[str, Any], option: str, name: str, mistakes: list[Mistake]) -> Any:
    row = shelf.get(name)
    if row is None:
        what = {"MODEL": "a model", "--on": "an accelerator"}.get(option, "a GPU hour")
        mistakes.append(Mistake("command line", option, shown(name), near_miss(name, shelf, f"{what} of the catalog")))
    elif not _trusted(row, asked):
        why = f": {row.note}" if row.note else ""
        found = f"{name}, which the catalog marks {row.status}{why}"
        mistakes.append(Mistake("command line", option, found, "a verified row, or --accept-unverified"))
    return row
