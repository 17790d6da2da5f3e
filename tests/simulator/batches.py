"""Small jobs and models for the simulator's tests, and how to run one to its end."""

from harness.providers import Accelerator, Deployment, ModelCard
from harness.simulator.model import NS, BatchModel, Delta, Job, Limits
from harness.simulator.steptimes import ConstantSteps

MS = NS // 1000

ACCELERATOR = Accelerator(
    name="round numbers",
    hbm_bytes=80e9,
    hbm_bytes_per_s=2e12,
    flops_per_s={"bf16": 1e15, "fp8": 2e15},
    tdp_w=None,
    scale_up_bytes_per_s=400e9,
    scale_up_domain=8,
    scale_out_bytes_per_s=None,
    source="test",
    as_of="2026-01-01",
)
MODEL = ModelCard(
    name="small",
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    ffn=14336,
    vocab=128256,
    context=4096,
    source="test",
    as_of="2026-01-01",
)
DEPLOYMENT = Deployment(accelerator=ACCELERATOR, count=2, model=MODEL, precision="bf16")


def job(input_tokens: int = 10, output_tokens: int = 5, blocks: tuple[int, ...] = ()) -> Job:
    return Job(input_tokens=input_tokens, output_tokens=output_tokens, blocks=blocks)


def model(step_ms: float = 10.0, **limits: int | None) -> BatchModel:
    settings = {"max_batch": 4, "kv_tokens": 100_000, **limits}
    return BatchModel(Limits(**settings), ConstantSteps(step_base_s=step_ms / 1000))


def drain(batch: BatchModel) -> list[tuple[int, Delta]]:
    """Run until idle: (time, delta) pairs."""
    seen: list[tuple[int, Delta]] = []
    while batch.due_ns is not None:
        now_ns = batch.due_ns
        seen += [(now_ns, delta) for delta in batch.finish_step()]
        assert 0 <= batch.free_blocks <= batch.total_blocks
        assert len(batch.running) <= batch.limits.max_batch
    return seen
