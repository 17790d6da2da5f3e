"""providers.yaml -> Layout: keys of a deployment that say how the model is spread, and their mistakes."""

from pathlib import Path

import pytest

from harness.config import load_providers
from harness.errors import InputError
from harness.providers import Deployment, Layout

HEAD = "endpoints:\n  e:\n    base_url: http://127.0.0.1:8000/v1\n    model: m\n    deployment: "


def load(folder: Path, fields: str) -> Deployment:
    path = folder / "providers.yaml"
    path.write_text(HEAD + fields + "\n", encoding="utf-8")
    found = load_providers(path).endpoints["e"].deployment
    assert found is not None
    return found


DENSE = "{accelerator: h100-sxm, count: 8, model: llama-3.1-8b, precision: bf16, %s}"


LAID = "{accelerator: h100-sxm, count: 16, model: deepseek-v3, precision: fp8, %s}"


@pytest.mark.parametrize(
    ("keys", "layout"),
    [
        ("max_batch: 8", None),
        ("tp: 8", Layout(tp=8)),
        ("ep: 16", Layout(ep=16, dp=16)),
        ("tp: 4, ep: 16, redundant_experts: 32", Layout(tp=4, ep=16, dp=4, redundant_experts=32)),
        ("tp: 8, pp: 2, collective_latency_us: 10, reserve_gb: 3.5, overlap: false",
         Layout(tp=8, pp=2, collective_latency_s=1e-5, reserve_bytes=3.5e9, overlapped=False)),
    ],
)  # fmt: skip
def test_a_layout_is_read_from_the_deployment(tmp_path: Path, keys: str, layout: Layout | None) -> None:
    deployment = load(tmp_path, LAID % keys)
    assert deployment.layout == layout
    assert (deployment.tokens_per_step, deployment.tokens_per_step_low) == (1.0, None)


@pytest.mark.parametrize(
    ("given", "expected"), [("1.8", (1.8, None)), ("[1.5, 2.0]", (2.0, 1.5)), ("[2.0, 1.5]", (2.0, 1.5))]
)
def test_tokens_per_step_is_a_number_or_a_range(
    tmp_path: Path, given: str, expected: tuple[float, float | None]
) -> None:
    found = load(tmp_path, LAID % f"tokens_per_step: {given}")
    assert (found.tokens_per_step, found.tokens_per_step_low) == expected


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("tp: 3", "deployment.count (line 5): found 16; expected a multiple of 3 (tp 3 x dp_attention 1 x pp 1)"),
        ("tp: 0", "at least 1"),
        ("ep: 16, dp_attention: 8", "deployment.ep (line 5): found 16; expected a divisor of tp x dp_attention (8)"),
        ("redundant_experts: 32, tp: 16", "spare copies need EP"),
        ("pp: 2, tp: 2.5", "a whole number"),
        ("tokens_per_step: 0.5", "at least 1"),
        ("tokens_per_step: [1, 2, 3]", "at most 2"),
        ("tokens_per_steps: 2", "did you mean tokens_per_step?"),
    ],
)
def test_a_layout_that_cannot_be(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, LAID % keys)
    assert message in str(caught.value)


def test_a_dense_model_has_no_experts_to_spread(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="llama-3.1-8b has no experts to spread"):
        load(tmp_path, DENSE % "ep: 8")


def test_a_dense_model_may_be_split(tmp_path: Path) -> None:
    assert load(tmp_path, DENSE % "tp: 4").layout == Layout(tp=4)
