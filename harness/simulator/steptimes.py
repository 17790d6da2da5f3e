"""How long a step takes: from theory divided by an efficiency, or from three constants."""

from dataclasses import dataclass

from harness.providers import Deployment
from harness.simulator.model import StepLoad
from harness.theory import decode_step, prefill_step


@dataclass(frozen=True, slots=True, kw_only=True)
class TheorySteps:
    """max(memory, math, communication) / efficiency; `efficiency` is the share of the bound that is really reached.

    In a step that decodes and prefills at once, operations and messages of its parts add up, while the weights are
    read once: memory is that of the part that reads most (the KV of the other parts is small beside the weights).
    """

    deployment: Deployment
    efficiency: float = 1.0

    def step_s(self, load: StepLoad) -> float:
        """Seconds of one step."""
        parts = [prefill_step(self.deployment, computed, context) for computed, context in load.prefills]
        if load.decodes:
            parts.append(decode_step(self.deployment, load.decodes, load.decode_context_tokens))
        memory_s = max(part.memory_s for part in parts)
        math_s = sum(part.math_s for part in parts)
        communication_s = sum(part.communication_s for part in parts)
        return max(memory_s, math_s, communication_s) / self.efficiency


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantSteps:
    """A step costs `step_base_s` plus so much per decoding job and per prefilled token: easy to check by hand."""

    step_base_s: float = 0.010
    per_decode_s: float = 0.0
    per_prefill_token_s: float = 0.0

    def step_s(self, load: StepLoad) -> float:
        """Seconds of one step."""
        prefilled = sum(computed for computed, _ in load.prefills)
        return self.step_base_s + self.per_decode_s * load.decodes + self.per_prefill_token_s * prefilled
