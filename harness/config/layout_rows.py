"""How a deployment is spread, as it is written: keys tp, ep, dp_attention, pp, tokens_per_step -> Layout."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from harness.config.catalog_rows import Count, Price
from harness.config.rows import Row
from harness.providers import Layout, ModelCard

Yield = Annotated[float, Field(ge=1)]
#: Keys that make a layout. Without any, theory takes the cheapest way.
LAYOUT_KEYS = ("tp", "ep", "dp_attention", "pp", "redundant_experts", "collective_latency_us", "reserve_gb", "overlap")


class LayoutKeys(Row):
    """Keys of a deployment that say how the model is spread and what a step yields."""

    tp: Count | None = None
    ep: Count | None = None
    dp_attention: Count | None = None
    pp: Count | None = None
    redundant_experts: int | None = Field(default=None, ge=0)
    collective_latency_us: Price | None = None
    reserve_gb: Price | None = None
    overlap: bool | None = None
    tokens_per_step: Yield | Annotated[list[Yield], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="tokens that one decode step yields: a number, or [low, high]"
    )

    def layout(self) -> Layout | None:
        """The layout; None where no key of one was given."""
        return make_layout({name: getattr(self, name) for name in LAYOUT_KEYS})

    def steps(self) -> dict[str, Any]:
        """`tokens_per_step` of the value: the upper end is a ceiling's."""
        given = self.tokens_per_step
        if isinstance(given, list):
            return {"tokens_per_step": max(given), "tokens_per_step_low": min(given)}
        return {"tokens_per_step": given or 1.0, "tokens_per_step_low": None}


def make_layout(given: Mapping[str, Any]) -> Layout | None:
    """Keys that are None were not given; attention is data-parallel over what EP has beyond TP."""
    if all(given.get(name) is None for name in LAYOUT_KEYS):
        return None
    tp, ep = given.get("tp") or 1, given.get("ep") or 1
    overlap = given.get("overlap")
    return Layout(
        tp=tp,
        ep=ep,
        dp=given.get("dp_attention") or max(1, ep // tp),
        pp=given.get("pp") or 1,
        redundant_experts=given.get("redundant_experts") or 0,
        collective_latency_s=(given.get("collective_latency_us") or 0.0) / 1e6,
        reserve_bytes=(given.get("reserve_gb") or 0.0) * 1e9,
        overlapped=True if overlap is None else overlap,
    )


def layout_contradictions(given: Mapping[str, Any], model: ModelCard | None) -> list[tuple[str, str, str]]:
    """(key, found, expected) where keys do not fit each other or the model; values of a wrong form are passed over."""
    sizes = {name: given.get(name) for name in ("count", "tp", "ep", "dp_attention", "pp", "redundant_experts")}
    if any(not _is_count(value) for value in sizes.values() if value is not None):
        return []
    layout = make_layout(sizes)
    if layout is None:
        return []
    return [*_sizes(layout, sizes), *_of_model(layout, model)]


def _sizes(layout: Layout, sizes: Mapping[str, int | None]) -> list[tuple[str, str, str]]:
    found = []
    group, count = layout.tp * layout.dp, sizes["count"]
    if count is not None and count % (group * layout.pp):
        product = f"tp {layout.tp} x dp_attention {layout.dp} x pp {layout.pp}"
        found.append(("count", str(count), f"a multiple of {group * layout.pp} ({product})"))
    if group % layout.ep:
        found.append(("ep", str(layout.ep), f"a divisor of tp x dp_attention ({group})"))
    if layout.redundant_experts and layout.ep == 1:
        found.append(("redundant_experts", str(layout.redundant_experts), "ep beside it: spare copies need EP"))
    return found


def _of_model(layout: Layout, model: ModelCard | None) -> list[tuple[str, str, str]]:
    if model is None:
        return []
    found = []
    if model.heads % layout.tp:
        found.append(("tp", str(layout.tp), f"a divisor of {model.heads}, the heads of {model.name}"))
    if layout.pp > model.layers:
        found.append(("pp", str(layout.pp), f"at most {model.layers}, the layers of {model.name}"))
    held = model.experts + layout.redundant_experts
    if not model.experts and (layout.ep > 1 or layout.dp > 1):
        key = "ep" if layout.ep > 1 else "dp_attention"
        found.append((key, str(max(layout.ep, layout.dp)), f"nothing: {model.name} has no experts to spread"))
    elif model.experts and layout.ep > held:
        found.append(("ep", str(layout.ep), f"at most {held}, the experts of {model.name} with their spares"))
    return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
