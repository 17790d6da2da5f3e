"""Preset: a named simulated deployment, by the names of catalog rows, and how its model talks.

Nothing here ages: bandwidths, rates and model shapes come from the catalog rows that a preset names.
`efficiency` is the share of the bound that this server reaches; it is the truth that a measurement must find.
"""

from dataclasses import dataclass

from harness.simulator.texts import Lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One simulated deployment. `accelerator` and `model` name catalog rows; `served_as` is its name on the wire."""

    name: str
    about: str
    served_as: str
    accelerator: str
    count: int
    model: str
    precision: str
    efficiency: float
    max_batch: int
    lengths: Lengths
    kv_precision: str = "bf16"
    max_step_tokens: int = 8192
    tokens_per_delta: int = 1
    right_share: float = 0.9


_SHORT = Lengths(thought_median=24, thought_sigma=0.5, answer_median=12, answer_sigma=0.4)
_DEMO = Lengths(thought_median=170, thought_sigma=0.35, answer_median=45, answer_sigma=0.35)
_REASONING = Lengths(thought_median=1800, thought_sigma=0.9, answer_median=320, answer_sigma=0.6)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="demo",
            about="a 70B reasoner with short thoughts on two H100s: saturates at 32 users, in seconds",
            served_as="demo-reasoner-70b",
            accelerator="h100-sxm",
            count=2,
            model="llama-3.3-70b",
            precision="fp8",
            efficiency=0.72,
            max_batch=32,
            lengths=_DEMO,
        ),
        Preset(
            name="fast",
            about="an 8B model with tiny thoughts on one H200, for tests: about 3 ms a step",
            served_as="fast-8b",
            accelerator="h200-sxm",
            count=1,
            model="llama-3.1-8b",
            precision="fp8",
            efficiency=0.5,
            max_batch=64,
            lengths=_SHORT,
            right_share=1.0,
        ),
        Preset(
            name="llama-70b-4xh100",
            about="Llama 70B in FP8 on four H100s, thoughts of real length",
            served_as="llama-3.3-70b",
            accelerator="h100-sxm",
            count=4,
            model="llama-3.3-70b",
            precision="fp8",
            efficiency=0.55,
            max_batch=256,
            lengths=_REASONING,
        ),
        Preset(
            name="qwen-7b-l40s",
            about="Qwen 7B in BF16 on one L40S",
            served_as="qwen2.5-7b",
            accelerator="l40s",
            count=1,
            model="qwen2.5-7b",
            precision="bf16",
            efficiency=0.6,
            max_batch=128,
            max_step_tokens=2048,
            lengths=Lengths(thought_median=600, thought_sigma=0.8, answer_median=200, answer_sigma=0.6),
        ),
        Preset(
            name="r1-16xh200",
            about="DeepSeek R1 in FP8 on sixteen H200s, thoughts of real length",
            served_as="deepseek-r1",
            accelerator="h200-sxm",
            count=16,
            model="deepseek-v3",
            precision="fp8",
            efficiency=0.35,
            max_batch=512,
            lengths=_REASONING,
        ),
    )
}
