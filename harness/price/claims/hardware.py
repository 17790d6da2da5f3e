"""What fits where, and what a training run or a wafer must do: models and accelerators go in, counts come out."""

import math

from harness.claims import Claim
from harness.price.claims.verdict import Figure
from harness.theory import kv_bytes_per_token, parameters, read_bytes, weight_bytes

GIGA, TERA = 1e9, 1e12


def gpus_for_weights(claim: Claim) -> tuple[Figure, ...]:
    """Weight bytes / memory of a GPU, rounded up; then up to whole nodes. FP8 where there are FP8 units, else BF16."""
    inputs, model = claim.inputs, claim.inputs.models["model"]
    gpu, node = inputs.accelerators["gpu"], inputs.number("gpus_per_node")
    figures = []
    for name, precision in (("FP8", "fp8"), ("BF16", "bf16")):
        least = math.ceil(weight_bytes(model, precision) / gpu.hbm_bytes)
        figures += [
            Figure(name=f"GPUs in {name}, whole nodes", value=math.ceil(least / node) * node, unit="GPUs"),
            Figure(name=f"GPUs in {name}, by capacity", value=least, unit="GPUs"),
        ]
    return tuple(figures)


def macs_for_weights(claim: Claim) -> tuple[Figure, ...]:
    """Weight bytes / usable memory of a machine, rounded up; the machines take turns, so bandwidth does not add up."""
    model, mac = claim.inputs.models["model"], claim.inputs.accelerators["gpu"]
    precision = claim.vector.precision or "fp8"
    weights, read = weight_bytes(model, precision), read_bytes(model, precision, 1)
    light, wanted = mac.hbm_bytes_per_s / read, claim.inputs.numbers.get("tokens_per_s_per_user")
    figures = [
        Figure(name="machines", value=math.ceil(weights / mac.hbm_bytes), unit="Macs"),
        Figure(name="speed of light of one user", value=light, unit="tok/s"),
        Figure(name="weights", value=weights / GIGA, unit="GB"),
    ]
    if wanted is not None:
        figures.append(Figure(name="share of the speed of light", value=wanted / light, unit="%"))
    return tuple(figures)


def low_bit_size(claim: Claim) -> tuple[Figure, ...]:
    """Parameters x bits / 8."""
    total = parameters(claim.inputs.models["model"]).total
    return (Figure(name="weights", value=total * claim.inputs.number("bits_per_weight") / 8 / GIGA, unit="GB"),)


def memory_of(claim: Claim) -> tuple[Figure, ...]:
    """GPUs x memory of one."""
    gpus = claim.inputs.number("gpus")
    return (Figure(name="memory", value=gpus * claim.inputs.accelerators["gpu"].hbm_bytes / GIGA, unit="GB"),)


def node_of_users(claim: Claim) -> tuple[Figure, ...]:
    """GPUs x memory; GPUs x rate; and rate / rate of one user."""
    gpus, rate = claim.inputs.number("gpus"), claim.inputs.number("tokens_per_s_per_gpu")
    users = gpus * rate / claim.inputs.number("tokens_per_s_per_user")
    return (
        *memory_of(claim),
        Figure(name="rate of the node", value=gpus * rate, unit="tok/s"),
        Figure(name="users", value=users, unit="users"),
    )


def training_bill(claim: Claim) -> tuple[Figure, ...]:
    """Training FLOPs = 6 x active parameters x tokens; the rate that one run reached prices the other."""
    inputs = claim.inputs
    known = 6 * inputs.number("known_active_params") * inputs.number("known_tokens")
    other = 6 * inputs.number("other_active_params") * inputs.number("other_tokens")
    usd = inputs.number("known_gpu_hours") * inputs.number("usd_per_gpu_hour")
    rate = known / (inputs.number("known_gpu_hours") * 3600)
    return (
        Figure(name="cost over V3's", value=other / known, unit="x"),
        Figure(name="V3's training", value=usd, unit="USD"),
        Figure(name="the other run", value=usd * other / known, unit="USD"),
        Figure(name="rate of a GPU", value=rate / TERA, unit="TFLOP/s"),
    )


def what_was_run(claim: Claim) -> tuple[Figure, ...]:
    """Parameters of the model that ran over those of the one that was named; its speed against GPUs' physics."""
    inputs = claim.inputs
    ran, named, gpu = inputs.models["ran"], inputs.models["named"], inputs.accelerators["gpu"]
    light = inputs.number("gpus") * gpu.hbm_bytes_per_s / read_bytes(ran, "fp8", 1)
    return (
        Figure(name="size of what ran", value=parameters(ran).total / parameters(named).total, unit="%"),
        Figure(name="speed of light of a GPU node", value=light, unit="tok/s"),
        Figure(name="GPU speed that the gain implies", value=_gpu_speed(claim), unit="tok/s"),
    )


def _gpu_speed(claim: Claim) -> float:
    return claim.inputs.number("tokens_per_s_per_user") / claim.inputs.number("gain")


def distill_tells(claim: Claim) -> tuple[Figure, ...]:
    """Vocabularies of the native model and its distills: where they differ, counted prompt tokens give a swap away."""
    models = claim.inputs.models
    return tuple(Figure(name=f"vocabulary, {name}", value=model.vocab, unit="tok") for name, model in models.items())


def math_share(claim: Claim) -> tuple[Figure, ...]:
    """Dense FP16 rate of one accelerator over another's."""
    new, old = claim.inputs.accelerators["new"], claim.inputs.accelerators["old"]
    return (Figure(name="FP16 rate", value=new.flops_per_s["fp16"] / old.flops_per_s["fp16"], unit="%"),)


def v2_savings(claim: Claim) -> tuple[Figure, ...]:
    """1 - GPU-hours over GPU-hours; 1 - KV bytes over KV bytes; rate over gain."""
    inputs = claim.inputs
    new, old = inputs.models["new"], inputs.models["old"]
    kv = {kind: kv_bytes_per_token(new, kind) / kv_bytes_per_token(old) for kind in ("int6", "bf16")}
    return (
        Figure(name="KV saved", value=1 - kv["int6"], unit="%"),
        Figure(
            name="training saved",
            value=1 - inputs.number("new_gpu_hours") / inputs.number("old_gpu_hours"),
            unit="%",
        ),
        Figure(name="KV saved without 6-bit values", value=1 - kv["bf16"], unit="%"),
        Figure(
            name="rate of the older model that the gain implies",
            value=inputs.number("tokens_per_s") / inputs.number("gain"),
            unit="tok/s",
        ),
    )


def active_share(claim: Claim) -> tuple[Figure, ...]:
    """Active parameters of one model (embedding included) over all parameters of another."""
    small, large = parameters(claim.inputs.models["moe"]), parameters(claim.inputs.models["dense"])
    return (Figure(name="active share", value=(small.active + small.embedding) / large.total, unit="%"),)
