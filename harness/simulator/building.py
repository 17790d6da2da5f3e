"""build(): a preset, the catalog rows that it names and the user's knobs -> the batch model and settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import InputError, Mistake
from harness.providers import Accelerator, Deployment, ModelCard
from harness.simulator.dialects import DIALECTS, ReasoningField
from harness.simulator.model import BatchModel, Limits
from harness.simulator.presets import Preset
from harness.simulator.settings import Settings
from harness.simulator.steptimes import TheorySteps
from harness.simulator.texts import AnswerKey, Author
from harness.theory import kv_capacity_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """What a user may change about a preset; None leaves it."""

    seed: int = 0
    model_name: str | None = None
    dialect: str = "vllm"
    reasoning_field: ReasoningField | None = None
    tokens_per_delta: int | None = None
    max_batch: int | None = None
    max_queue: int | None = None
    efficiency: float | None = None
    right_share: float | None = None
    error_share: float = 0.0
    cut_share: float = 0.0
    api_key: str | None = None
    overrun_ms: float = 20.0


def deployment_of(
    preset: Preset, accelerators: Mapping[str, Accelerator], models: Mapping[str, ModelCard]
) -> Deployment:
    """The deployment that a preset simulates."""
    missing = [
        Mistake(f"preset {preset.name}", key, name, f"a name in the catalog ({len(rows)} rows)")
        for key, name, rows in (("accelerator", preset.accelerator, accelerators), ("model", preset.model, models))
        if name not in rows
    ]
    if missing:
        raise InputError(missing)
    return Deployment(
        accelerator=accelerators[preset.accelerator],
        count=preset.count,
        model=models[preset.model],
        precision=preset.precision,
        kv_precision=preset.kv_precision,
        max_batch=preset.max_batch,
    )


def build_model(preset: Preset, deployment: Deployment, knobs: Knobs) -> BatchModel:
    """The batch model of a preset."""
    limits = Limits(
        max_batch=knobs.max_batch or preset.max_batch,
        kv_tokens=int(kv_capacity_tokens(deployment)),
        max_step_tokens=preset.max_step_tokens,
        block_tokens=DIALECTS[knobs.dialect].block_tokens,
        max_queue=knobs.max_queue,
        tokens_per_delta=knobs.tokens_per_delta or preset.tokens_per_delta,
    )
    efficiency = preset.efficiency if knobs.efficiency is None else knobs.efficiency
    return BatchModel(limits, TheorySteps(deployment=deployment, efficiency=efficiency))


def build_settings(preset: Preset, deployment: Deployment, knobs: Knobs, key: AnswerKey) -> Settings:
    """The settings of a preset's endpoint."""
    rules = DIALECTS[knobs.dialect]
    author = Author(
        lengths=preset.lengths,
        seed=knobs.seed,
        right_share=preset.right_share if knobs.right_share is None else knobs.right_share,
        error_share=knobs.error_share,
        cut_share=knobs.cut_share,
        key=key,
    )
    return Settings(
        model_name=knobs.model_name or preset.served_as,
        rules=rules,
        author=author,
        reasoning_field=knobs.reasoning_field or rules.reasoning_field,
        context_tokens=deployment.model.context,
        api_key=knobs.api_key,
        overrun_s=knobs.overrun_ms / 1000,
    )
