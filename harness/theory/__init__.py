"""What physics allows: a model card, an accelerator and a load go in; step times and bounds come out.

Everything here is a ceiling of a rate or a floor of a time, and names the resource that sets it:
`architecture` (a model's parameters and KV) -> `work` (what a pass demands) -> `parallel`, `links` (what of it falls on
one accelerator) -> `steps` (time of one pass) -> `bounds` (rate of a load) -> `units` (a fleet of prefill and decode).
"""

from harness.theory.architecture import (
    BYTES_PER_ELEMENT,
    Parameters,
    bytes_per_element,
    expert_coverage,
    kv_bytes,
    kv_bytes_per_token,
    kv_elements_per_token,
    parameters,
    read_bytes,
    weight_bytes,
)
from harness.theory.bounds import Bound, Shape, best_bound, bound_at
from harness.theory.links import expert_exchange_s
from harness.theory.steps import (
    Step,
    communication_s,
    decode_step,
    kv_capacity_bytes,
    kv_capacity_tokens,
    kv_limited_batch,
    math_rate,
    prefill_step,
)

__all__ = [
    "BYTES_PER_ELEMENT",
    "Bound",
    "Parameters",
    "Shape",
    "Step",
    "best_bound",
    "bound_at",
    "bytes_per_element",
    "communication_s",
    "decode_step",
    "expert_coverage",
    "expert_exchange_s",
    "kv_bytes",
    "kv_bytes_per_token",
    "kv_capacity_bytes",
    "kv_capacity_tokens",
    "kv_elements_per_token",
    "kv_limited_batch",
    "math_rate",
    "parameters",
    "prefill_step",
    "read_bytes",
    "weight_bytes",
]
