"""Published rates against what physics allows: a stated deployment and batch go in; bound and fraction come out.

Two conventions of the expert exchange give a range: the model's own dimensions, and the paper's rounded ones with
nine destinations on every layer (arXiv 2505.09343, section 2.3.2).
"""

from harness.claims import Claim
from harness.price.claims.verdict import Figure
from harness.providers import Deployment, ModelCard
from harness.theory import (
    decode_step,
    expert_exchange_s,
    kv_bytes_per_token,
    parameters,
    read_bytes,
    weight_bytes,
)


def expert_decode(claim: Claim) -> tuple[Figure, ...]:
    """Bound of a decode step = max(memory, math, communication); fraction = measured / bound, by two conventions."""
    inputs = claim.inputs
    gpus, batch = round(inputs.number("gpus")), inputs.number("batch_per_gpu")
    step = decode_step(_deployment(claim, gpus, "fp8"), gpus * batch, inputs.number("context_tokens"))
    link = inputs.accelerators["gpu"].scale_out_bytes_per_s or 0.0
    paper_s = inputs.models["model"].layers * expert_exchange_s(
        batch, inputs.number("paper_destinations"), inputs.number("paper_hidden"), link
    )
    measured, node = inputs.number("measured_tokens_per_s"), batch * inputs.number("gpus_per_node")
    floors = {"low": step.seconds, "high": max(step.memory_s, step.math_s, paper_s)}
    return (
        Figure(name="bound of a node", value=node / step.seconds, unit="tok/s"),
        *(
            Figure(name=f"bound fraction, {side}", value=measured / (node / seconds), unit="%")
            for side, seconds in floors.items()
        ),
        Figure(name="memory", value=step.memory_s * 1e3, unit="ms"),
        Figure(name="math", value=step.math_s * 1e3, unit="ms"),
        Figure(name="communication", value=step.communication_s * 1e3, unit="ms"),
        Figure(name="communication by the paper's convention", value=paper_s * 1e3, unit="ms"),
    )


def _deployment(claim: Claim, count: int, precision: str) -> Deployment:
    inputs = claim.inputs
    return Deployment(
        accelerator=inputs.accelerators["gpu"], count=count, model=inputs.models["model"], precision=precision
    )


def exchange_time(claim: Claim) -> tuple[Figure, ...]:
    """Layers x 2 micro-batches x tokens x destinations x hidden x (1 + 2 bytes) / link: the floor of a token's time."""
    inputs = claim.inputs
    figures = []
    for name in ("network", "rack"):
        layer = expert_exchange_s(
            inputs.number("tokens"), inputs.number("destinations"), inputs.number("hidden"),
            inputs.number(f"{name}_bytes_per_s"),
        )  # fmt: skip
        seconds = inputs.number("micro_batches") * inputs.models["model"].layers * layer
        figures += [
            Figure(name=f"token time, {name}", value=seconds * 1e3, unit="ms"),
            Figure(name=f"tokens per second, {name}", value=1 / seconds, unit="tok/s"),
        ]
    return tuple(figures)


def single_user(claim: Claim) -> tuple[Figure, ...]:
    """Speed of light for one user = n x bandwidth / bytes of active weights; without speculation nothing is faster."""
    inputs = claim.inputs
    gpu, model, precision = inputs.accelerators["gpu"], inputs.models["model"], claim.vector.precision or "bf16"
    read = read_bytes(model, precision, 1)
    alone = gpu.hbm_bytes_per_s / read
    count = inputs.numbers.get("gpus") or -(-weight_bytes(model, precision) // gpu.hbm_bytes)
    wanted = inputs.number("tokens_per_s_per_user")
    figures = [
        Figure(name="tokens per second of one user", value=count * alone, unit="tok/s"),
        Figure(name="share of the speed of light", value=wanted / (count * alone), unit="%"),
        Figure(name="accelerators counted", value=count, unit="GPUs"),
    ]
    if wanted > count * alone:
        figures += [
            Figure(name="tokens per step that it takes", value=wanted / (count * alone)),
            Figure(name="accelerators that it takes", value=wanted / alone, unit="GPUs"),
        ]
    return tuple(figures)


def kv_room(model: ModelCard, kv_precision: str, node_bytes: float, weights: float) -> float:
    """Tokens of KV that fit on a node beside its weights."""
    return (node_bytes - weights) / kv_bytes_per_token(model, kv_precision)


def expert_parallel_weights(model: ModelCard, experts_per_gpu: float) -> float:
    """Bytes on one GPU: its experts and all attention and dense layers in FP8, embedding and head in BF16."""
    counts = parameters(model)
    layers = model.layers - model.dense_layers
    expert = 3 * model.hidden * model.expert_ffn
    head = model.vocab * model.hidden
    shared = layers * (model.shared_experts * expert + model.hidden * model.experts)
    return counts.always - head - shared + layers * experts_per_gpu * expert + 2 * (head + counts.embedding)


def generation_drop(claim: Claim) -> tuple[Figure, ...]:
    """V2's rate over the ratio of KV room (memory left / KV bytes of a token); the ratio of math beside it."""
    inputs = claim.inputs
    v2, v3, gpu = inputs.models["V2"], inputs.models["V3"], inputs.accelerators["gpu"]
    gpus = inputs.number("gpus_per_node")
    node = gpus * gpu.hbm_bytes * inputs.number("memory_share")
    rooms = (
        kv_room(v2, "int6", node, weight_bytes(v2, "fp8")),
        kv_room(v3, "bf16", node, gpus * expert_parallel_weights(v3, inputs.number("experts_per_gpu"))),
    )
    room = rooms[0] / rooms[1]
    math = _multiplied(v3) / _multiplied(v2)
    before, after = inputs.number("v2_tokens_per_s"), inputs.number("v3_tokens_per_s")
    return (
        Figure(name="V3 rate that KV room predicts", value=before / room, unit="tok/s"),
        Figure(name="V3 rate that math predicts", value=before / math, unit="tok/s"),
        Figure(name="V3 over V2", value=after / before, unit="%"),
        Figure(name="fall from V2 to V3", value=before / after, unit="x"),
        Figure(name="KV room explains", value=room, unit="x"),
        Figure(name="math explains", value=math, unit="x"),
        Figure(name="KV room over math", value=room / math, unit="x"),
        Figure(name="KV room of a node, V2", value=rooms[0], unit="tok"),
        Figure(name="KV room of a node, V3", value=rooms[1], unit="tok"),
    )


def _multiplied(model: ModelCard) -> float:
    counts = parameters(model)
    return counts.active + counts.embedding


def node_cost(claim: Claim) -> tuple[Figure, ...]:
    """$/M = GPUs x price / (3600 x rate): of decode nodes alone, and with the prefill nodes that a mix needs."""
    inputs = claim.inputs
    node_usd = inputs.number("gpus_per_node") * inputs.number("usd_per_gpu_hour")
    decode, prefill = inputs.number("decode_tokens_per_s"), inputs.number("prefill_tokens_per_s")
    both = 1 / (1 / decode + inputs.number("computed_input_per_output") / prefill)
    return (
        Figure(name="with prefill nodes", value=node_usd / (3600 * both) * 1e6, unit="USD/M"),
        Figure(name="decode nodes alone", value=node_usd / (3600 * decode) * 1e6, unit="USD/M"),
    )


def implied_baseline(claim: Claim) -> tuple[Figure, ...]:
    """The published rate over the published gain: what the slower set-up must have delivered."""
    inputs = claim.inputs
    value = inputs.number("decode_tokens_per_s") / inputs.number("gain")
    return (Figure(name="baseline that the gain implies", value=value, unit="tok/s"),)


def prefill_mfu(claim: Claim) -> tuple[Figure, ...]:
    """Linear FLOPs of the computed tokens (2 x active parameters) / dense peak of the node."""
    inputs = claim.inputs
    peak = inputs.number("gpus_per_node") * inputs.accelerators["gpu"].flops_per_s["fp8"]
    per_token = 2 * parameters(inputs.models["model"]).active
    return (
        Figure(name="bound of a node", value=peak / per_token, unit="tok/s"),
        Figure(name="share of peak math", value=inputs.number("prefill_tokens_per_s") * per_token / peak, unit="%"),
    )
