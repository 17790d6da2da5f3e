"""Names that a server gives its model -> the model card of the catalog that is meant, or those that come near."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.config.rows import near_miss
from harness.probe.findings import Serving
from harness.providers import ModelCard

#: Words in a model's name that say how it was tuned or packed, not what it is.
_PACKING = re.compile(
    r"instruct|chat|it|base|hf|gguf|fp8|bf16|fp16|f16|awq|gptq|int[48]|w\d+a\d+|dynamic|latest|meta|\d{4}"
)
_GGUF = re.compile(r"[-._](iq\d_\w+|q\d_(k(_[sml])?|[01]))(?=[-._]|$)")
_FAMILIES = {"qwen2": "qwen", "qwen3": "qwen", "llama": "llama"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """`card` None: no name fits exactly; `near` then says what comes near. Never used without being shown."""

    card: ModelCard | None
    near: str
    how: str


def guess_card(serving: Serving, cards: Mapping[str, ModelCard]) -> Guess:
    """The card whose name is, but for packing and tuning, one of the server's names."""
    by_core = {_core(name): name for name in cards}
    for name in serving.names:
        for core, how in _cores(name, serving):
            if core in by_core:
                return Guess(card=cards[by_core[core]], near="", how=f"{how} {name!r} fits no other card")
    named = _last(serving.names[0]) if serving.names else ""
    near = near_miss(named, cards, "a model of the catalog")
    if "did you mean" not in near:
        near = "none of the catalog comes near: add it under `models:`"
    return Guess(card=None, near=near, how="by name")


def is_distill(serving: Serving) -> bool:
    """A small model that was taught by DeepSeek-R1 and carries its name: another architecture, another price."""
    says_r1 = any("deepseek-r1" in name.lower() for name in serving.names)
    return says_r1 and serving.family is not None and not serving.family.startswith("deepseek")


def described(serving: Serving) -> str | None:
    """For example "qwen2 32.8B Q4_K_M, a distill"; None where the server tells nothing."""
    told = [part for part in (serving.family, serving.parameters, serving.quantization) if part]
    if not told:
        return None
    return " ".join(told) + (", a distill" if is_distill(serving) else "")


def _cores(name: str, serving: Serving) -> list[tuple[str, str]]:
    found = []
    if is_distill(serving) and serving.family in _FAMILIES:
        size = _tag_size(name) or _rounded(serving.parameters)
        found.append((_core(f"r1-distill-{_FAMILIES[serving.family]}-{size}"), "family, size and name"))
    elif not is_distill(serving):
        found.append((_core(name), "the name"))
        if (serving.family or "").startswith("deepseek"):
            found.append((_core(name.partition(":")[0]), "family and name"))
        if ":" in name and _tag_size(name) is None and serving.parameters:
            found.append((_core(f"{name.partition(':')[0]}-{_rounded(serving.parameters)}"), "size and name"))
    if "distill" in name.lower():
        found += [(_core(name), "the name"), (_core(_last(name).lower().removeprefix("deepseek-")), "the name")]
    return found


def _core(name: str) -> str:
    words = re.split(r"[-_:\s]+", _GGUF.sub("", _last(name).lower()))
    return re.sub(r"[^a-z0-9]", "", "".join(word for word in words if not _PACKING.fullmatch(word)))


def _last(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1]


def _tag_size(name: str) -> str | None:
    size = re.search(r":(\d+(?:\.\d+)?b)(?:-|$)", name.lower())
    return size[1] if size else None


def _rounded(parameters: str | None) -> str:
    """32.8B -> 32b, as models are named: sizes are rounded down in names, except just below a whole number."""
    size = re.match(r"([\d.]+)B", parameters or "")
    if size is None:
        return ""
    billions = float(size[1])
    return f"{billions:.1f}b" if billions < 3 and billions % 1 > 0.2 else f"{int(billions + 0.1)}b"
