"""InferenceX rows: agg_*.json of its runs, or rows of its site's API (figures under `metrics`); rates are per GPU.

`tput_per_gpu` is input + output over all GPUs. Where prefill and decode run apart, `output_tput_per_gpu` is per
*decode* GPU and `input_tput_per_gpu` per *prefill* GPU; taking the first for a rate per GPU makes a token too cheap.
ISL and OSL are nominal: lengths are drawn from 0.8 to 1.0 of them. Keys as process_result.py and the site's rows have.
"""

from harness.price.imports.document import Document
from harness.price.imports.measured import Measured, Spread

NOTE = "ISL and OSL are nominal: lengths are drawn from 0.8 to 1.0 of them"


def read_inferencex(document: Document) -> list[Measured]:
    """One row is one load; a list or a CSV file has several."""
    metrics = document.part("metrics") if isinstance(document.value.get("metrics"), dict) else document
    gpus, prefill, decode = _gpus(document)
    per_gpu = metrics.number("output_tput_per_gpu")
    inputs = metrics.number("input_tput_per_gpu")
    return [
        Measured(
            tool="inferencex",
            label=" ".join(filter(None, (_hardware(document), document.text("framework"), _tokens_per_step(document)))),
            model=document.text("model") or document.text("infmax_model_prefix"),
            date=document.text("date"),
            concurrency=document.number("conc"),
            accelerator=_hardware(document),
            accelerators=gpus,
            precision=document.text("precision"),
            input_tokens_per_s=None if inputs is None or prefill is None else inputs * prefill,
            output_tokens_per_s=None if per_gpu is None or decode is None else per_gpu * decode,
            isl_tokens=document.number("isl"),
            osl_tokens=document.number("osl"),
            ttft_s=_spread(metrics, "ttft"),
            tpot_s=_spread(metrics, "tpot"),
            notes=(NOTE,),
        )
    ]


def _gpus(document: Document) -> tuple[int | None, int | None, int | None]:
    """GPUs in all, those that the input's rate is per, those that the output's rate is per."""
    prefill, decode = document.count("num_prefill_gpu"), document.count("num_decode_gpu")
    apart = document.truth("disagg") or document.truth("is_multinode")
    if apart and prefill and decode:
        return prefill + decode, prefill, decode
    whole = document.count("num_gpus") or decode or document.count("tp")
    return whole, whole, whole


def _hardware(document: Document) -> str | None:
    return document.text("hw") or document.text("hardware")


def _tokens_per_step(document: Document) -> str | None:
    method = document.text("spec_method") or document.text("spec_decoding")
    return None if method in (None, "none") else method


def _spread(metrics: Document, name: str) -> Spread:
    """Already in seconds."""
    mean_s, p50, p90, p99 = (metrics.number(f"{which}_{name}") for which in ("mean", "median", "p90", "p99"))
    return Spread(mean=mean_s, p50=p50, p90=p90, p99=p99)
