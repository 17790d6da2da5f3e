"""genai-bench: one JSON file a load, figures under `aggregated_metrics` (keys as its committed runs of 2025-26 have).

`_time_unit` says whether times are s or ms (s where it is absent). Mean throughputs are tokens over the run's
duration; early files have no duration. Its statistics are over completed requests.
"""

from harness.price.imports.document import Document
from harness.price.imports.measured import Measured, Spread, first, mean, rate


def read_genai_bench(document: Document) -> list[Measured]:
    """One load."""
    found = document.part("aggregated_metrics")
    stats = found.part("stats")
    unit = document.text("_time_unit") or "s"
    if unit not in ("s", "ms"):
        document.tell("_time_unit", repr(unit), "s or ms")
    scale = 1e-3 if unit == "ms" else 1.0
    seconds, completed = found.number("run_duration"), found.count("num_completed_requests")
    inputs, outputs = stats.number("num_input_tokens", "sum"), stats.number("num_output_tokens", "sum")
    return [
        Measured(
            tool="genai-bench",
            label=found.text("scenario") or "load",
            concurrency=found.number("num_concurrency"),
            requests_ok=completed,
            requests_failed=found.count("num_error_requests"),
            duration_s=seconds,
            input_tokens=inputs,
            output_tokens=outputs,
            input_tokens_per_s=first(
                rate(inputs, seconds), found.number("mean_input_throughput_tokens_per_s") if seconds else None
            ),
            output_tokens_per_s=first(rate(outputs, seconds), found.number("mean_output_throughput_tokens_per_s")),
            isl_tokens=first(stats.number("num_input_tokens", "mean"), mean(inputs, completed)),
            osl_tokens=first(stats.number("num_output_tokens", "mean"), mean(outputs, completed)),
            ttft_s=_spread(stats, "ttft", scale),
            tpot_s=_spread(stats, "tpot", scale),
        )
    ]


def _spread(stats: Document, name: str, scale: float) -> Spread:
    mean_s, p50, p90, p99 = (
        None if (found := stats.number(name, stat)) is None else found * scale for stat in ("mean", "p50", "p90", "p99")
    )
    return Spread(mean=mean_s, p50=p50, p90=p90, p99=p99)
