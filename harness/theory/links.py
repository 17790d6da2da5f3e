"""Tokens and the links between accelerators go in; least times of collectives come out.

Activations travel in BF16; experts receive FP8 and answer in BF16 (DeepSeek-V3 report, arXiv 2412.19437).
"""

import math

from harness.providers import Accelerator, Deployment

_ACTIVATION_BYTES = 2.0
_EXPERT_EXCHANGE_BYTES = 1.0 + 2.0


def all_reduce_s(accelerator: Accelerator, group: int, hidden: int, tokens: float) -> float:
    """One all-reduce of `tokens` activations over `group` accelerators; 0 where the link is unknown.

    A ring inside a scale-up domain: each sends 2 (n - 1) / n of the activations. Over several domains each accelerator
    carries its own share of them over its own outward link.
    """
    payload = tokens * hidden * _ACTIVATION_BYTES
    inside = min(group, accelerator.scale_up_domain)
    domains = math.ceil(group / inside)
    seconds = 0.0
    if accelerator.scale_up_bytes_per_s:
        seconds += 2 * (inside - 1) / inside * payload / accelerator.scale_up_bytes_per_s
    if accelerator.scale_out_bytes_per_s:
        seconds += 2 * (domains - 1) / domains * payload / inside / accelerator.scale_out_bytes_per_s
    return seconds


def expert_exchange_s(tokens: float, destinations: float, hidden: float, link_bytes_per_s: float) -> float:
    """Dispatch and combine of one layer for the `tokens` of one accelerator (arXiv 2505.09343, section 2.3.2)."""
    return tokens * destinations * hidden * _EXPERT_EXCHANGE_BYTES / link_bytes_per_s


def hand_over_s(tokens: float, hidden: float, link_bytes_per_s: float) -> float:
    """Activations from one pipeline stage to the next."""
    return tokens * hidden * _ACTIVATION_BYTES / link_bytes_per_s


def link_bytes_per_s(accelerator: Accelerator, group: int) -> float | None:
    """The link that limits an exchange among `group` accelerators; None where it is unknown."""
    if group <= accelerator.scale_up_domain:
        return accelerator.scale_up_bytes_per_s
    return accelerator.scale_out_bytes_per_s


def copies_per_token(deployment: Deployment) -> float:
    """Times that a prefilled token leaves its accelerator per expert layer.

    Inside one scale-up domain once per expert. Over several, once per other domain that holds one of its experts,
    because the copy is forwarded inside (DeepEP's kernels for prefill): (D - 1) (1 - (1 - 1/D)^k), uniform routing.
    """
    model, group = deployment.model, expert_group(deployment)
    domains = math.ceil(group / deployment.accelerator.scale_up_domain)
    if domains <= 1:
        return model.experts_per_token
    return (domains - 1) * (1.0 - math.pow(1.0 - 1.0 / domains, model.experts_per_token))


def expert_group(deployment: Deployment) -> int:
    """Accelerators that the experts of one copy of the model are spread over."""
    return deployment.count if deployment.layout is None else deployment.layout.ep
