"""Cards that tests share: real architectures and accelerators, spelled out, so that a test stands alone."""

from dataclasses import replace
from typing import Any

from harness.providers import Accelerator, Deployment, ModelCard, PriceCard, PricePeriod, PriceWindow, Rates


def model(name: str, shape: tuple[int, ...], **fields: Any) -> ModelCard:
    """A card from (layers, hidden, heads, kv_heads, head_dim, ffn, vocab)."""
    layers, hidden, heads, kv_heads, head_dim, ffn, vocab = shape
    return ModelCard(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=ffn,
        vocab=vocab,
        source="config.json",
        as_of="2026-11-01",
        **fields,
    )


_MLA: dict[str, Any] = {
    "attention": "mla",
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "rope_head_dim": 64,
    "nope_head_dim": 128,
    "v_head_dim": 128,
}


def experts(count: int, per_token: int, ffn: int, shared: int = 0, dense_layers: int = 0) -> dict[str, int]:
    """Mixture-of-experts fields of a card."""
    return {
        "experts": count,
        "experts_per_token": per_token,
        "expert_ffn": ffn,
        "shared_experts": shared,
        "dense_layers": dense_layers,
    }


DEEPSEEK_V2 = model("deepseek-v2", (60, 5120, 128, 128, 128, 12288, 102400), **_MLA, **experts(160, 6, 1536, 2, 1))
DEEPSEEK_V3 = model("deepseek-v3", (61, 7168, 128, 128, 128, 18432, 129280), **_MLA, **experts(256, 8, 2048, 1, 3))
KIMI_K2 = model("kimi-k2", (61, 7168, 64, 64, 128, 18432, 163840), **_MLA, **experts(384, 8, 2048, 1, 1))
LLAMA_70B = model("llama-3.3-70b", (80, 8192, 64, 8, 128, 28672, 128256))
LLAMA_8B = model("llama-3.1-8b", (32, 4096, 32, 8, 128, 14336, 128256))
LLAMA_405B = model("llama-3.1-405b", (126, 16384, 128, 8, 128, 53248, 128256))
QWEN_7B = model("qwen2.5-7b", (28, 3584, 28, 4, 128, 18944, 152064), attention_bias=True)
QWEN_14B = model("qwen2.5-14b", (48, 5120, 40, 8, 128, 13824, 152064), attention_bias=True)
QWEN_32B = model("qwen2.5-32b", (64, 5120, 40, 8, 128, 27648, 152064), attention_bias=True)
QWEN_72B = model("qwen2.5-72b", (80, 8192, 64, 8, 128, 29568, 152064), attention_bias=True)
QWEN3_30B = model("qwen3-30b-a3b", (48, 2048, 32, 4, 128, 0, 151936), **experts(128, 8, 768))
QWEN3_235B = model("qwen3-235b-a22b", (94, 4096, 64, 4, 128, 0, 151936), **experts(128, 8, 1536))
GPT_OSS_120B = model(
    "gpt-oss-120b", (36, 2880, 64, 8, 64, 0, 201088), **experts(128, 4, 2880), window=128, window_layers=18
)
GPT_OSS_20B = model(
    "gpt-oss-20b", (24, 2880, 64, 8, 64, 0, 201088), **experts(32, 4, 2880), window=128, window_layers=12
)


def accelerator(name: str, memory: tuple[float, float], flops: dict[str, float], **fields: Any) -> Accelerator:
    """An accelerator from (HBM bytes, bytes/s)."""
    values: dict[str, Any] = {
        "tdp_w": None,
        "scale_up_bytes_per_s": None,
        "scale_up_domain": 8,
        "scale_out_bytes_per_s": None,
        "source": "facts",
        "as_of": "2026-11-01",
    }
    return Accelerator(
        name=name, hbm_bytes=memory[0], hbm_bytes_per_s=memory[1], flops_per_s=flops, **(values | fields)
    )


_HOPPER = {"bf16": 989e12, "fp8": 1979e12}
H100 = accelerator("h100", (80e9, 3.35e12), _HOPPER, scale_up_bytes_per_s=450e9, scale_out_bytes_per_s=50e9)
H800 = replace(H100, name="h800", scale_up_bytes_per_s=200e9)
H200 = accelerator("h200", (141e9, 4.8e12), _HOPPER, scale_up_bytes_per_s=450e9, scale_out_bytes_per_s=50e9)
B200 = accelerator("b200", (180e9, 8e12), {"bf16": 2250e12, "fp8": 4500e12, "fp4": 9000e12})
MI300X = accelerator("mi300x", (192e9, 5.3e12), {"bf16": 1307e12, "fp8": 2615e12})
A100 = accelerator("a100", (80e9, 2.039e12), {"bf16": 312e12, "int8": 624e12})
L40S = accelerator("l40s", (48e9, 0.864e12), {"bf16": 362e12, "fp8": 733e12})
RTX4090 = accelerator("rtx4090", (24e9, 1.008e12), {"bf16": 165e12, "fp8": 330e12})


def deployment(of: ModelCard, on: Accelerator, count: int, precision: str, **fields: Any) -> Deployment:
    """A deployment; `fields` override anything."""
    return Deployment(model=of, accelerator=on, count=count, precision=precision, **fields)


def price_card(name: str, cached: float | None, miss: float, out: float, **fields: Any) -> PriceCard:
    """A card of one open-ended period; USD per million tokens."""
    windows: tuple[PriceWindow, ...] = fields.pop("windows", ())
    rates = Rates(usd_per_mtok_input=miss, usd_per_mtok_output=out, usd_per_mtok_input_cached=cached)
    values: dict[str, Any] = {"provider": name, "model": name, "source": "facts", "as_of": "2026-11-01"}
    return PriceCard(name=name, periods=(PricePeriod(rates=rates, windows=windows),), **(values | fields))
