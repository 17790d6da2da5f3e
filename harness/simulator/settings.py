"""Settings: how one simulated endpoint behaves, beyond its batch model."""

from dataclasses import dataclass

from harness.simulator.dialects import ReasoningField, WireRules
from harness.simulator.texts import Author


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the routes need to know. `api_key`: asked for where set."""

    model_name: str
    rules: WireRules
    author: Author
    reasoning_field: ReasoningField
    context_tokens: int | None = None
    api_key: str | None = None
    overrun_s: float = 0.020  # a step handed out later than this is an overrun
    keep_alive_s: float = 1.0  # between SSE comments of a waiting stream
