"""`vllm bench serve --save-result`: one JSON object; keys as vllm/benchmarks/serve.py writes them (2026-11).

Times are in milliseconds; `date` is local time without a zone, so that it names a day and no moment. TPOT is
(E2E - TTFT) / (tokens - 1). Tokens are those of completed requests. `--append-result` writes one object a line.
"""

from harness.price.imports.document import Document
from harness.price.imports.measured import Measured, Spread, first, mean, rate


def read_vllm(document: Document) -> list[Measured]:
    """One load."""
    seconds, completed = document.number("duration"), document.count("completed")
    inputs, outputs = document.number("total_input_tokens"), document.number("total_output_tokens")
    return [
        Measured(
            tool="vllm",
            label=f"request rate {document.text('request_rate') or document.number('request_rate') or '-'}",
            model=document.text("model_id"),
            date=document.text("date"),
            concurrency=document.number("max_concurrency"),
            requests_ok=completed,
            requests_failed=document.count("failed"),
            duration_s=seconds,
            input_tokens=inputs,
            output_tokens=outputs,
            input_tokens_per_s=rate(inputs, seconds),
            output_tokens_per_s=first(document.number("output_throughput"), rate(outputs, seconds)),
            isl_tokens=mean(inputs, completed),
            osl_tokens=mean(outputs, completed),
            ttft_s=_spread(document, "ttft"),
            tpot_s=_spread(document, "tpot"),
        )
    ]


def _spread(document: Document, name: str) -> Spread:
    mean_s, p50, p90, p99 = (
        None if (found := document.number(f"{which}_{name}_ms")) is None else found / 1000
        for which in ("mean", "median", "p90", "p99")
    )
    return Spread(mean=mean_s, p50=p50, p90=p90, p99=p99)
