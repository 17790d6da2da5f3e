"""guidellm's benchmarks.json: a list `benchmarks`, one a load; keys as guidellm/schemas writes them (0.3 to 0.8).

Each metric has distributions by status; those of `successful` requests are read. Times end in _ms, except
request_latency. Its mean rates are means over time of a rate; tokens over duration is what a price needs.
"""

from harness.price.imports.document import Document
from harness.price.imports.measured import Measured, Spread, first, mean, rate


def read_guidellm(document: Document) -> list[Measured]:
    """Every load of the file."""
    return [_benchmark(part) for part in document.parts("benchmarks")]


def _benchmark(part: Document) -> Measured:
    metrics = part.part("metrics")
    seconds = first(part.number("duration"), _span(part))
    inputs = metrics.number("prompt_token_count", "successful", "total_sum")
    outputs = metrics.number("output_token_count", "successful", "total_sum")
    completed = metrics.count("request_totals", "successful")
    strategy = part.part("config", "strategy")
    kind = strategy.text("type_") or "load"
    return Measured(
        tool="guidellm",
        label=kind,
        epoch_s=part.number("start_time"),
        concurrency=first(
            strategy.number("streams"),
            strategy.number("max_concurrency"),
            metrics.number("request_concurrency", "successful", "mean"),
        ),
        requests_ok=completed,
        requests_failed=_failed(metrics),
        duration_s=seconds,
        input_tokens=inputs,
        output_tokens=outputs,
        input_tokens_per_s=first(
            rate(inputs, seconds), metrics.number("prompt_tokens_per_second", "successful", "mean")
        ),
        output_tokens_per_s=first(
            rate(outputs, seconds), metrics.number("output_tokens_per_second", "successful", "mean")
        ),
        isl_tokens=first(mean(inputs, completed), metrics.number("prompt_token_count", "successful", "mean")),
        osl_tokens=first(mean(outputs, completed), metrics.number("output_token_count", "successful", "mean")),
        ttft_s=_spread(metrics, "time_to_first_token_ms"),
        tpot_s=_spread(metrics, "inter_token_latency_ms"),
        notes=("TPOT is guidellm's inter_token_latency_ms: its time_per_output_token_ms counts the first token too",),
    )


def _failed(metrics: Document) -> int | None:
    errored, incomplete = metrics.count("request_totals", "errored"), metrics.count("request_totals", "incomplete")
    return None if errored is None and incomplete is None else (errored or 0) + (incomplete or 0)


def _span(part: Document) -> float | None:
    begin, end = part.number("start_time"), part.number("end_time")
    return end - begin if begin is not None and end is not None and end > begin else None


def _spread(metrics: Document, name: str) -> Spread:
    """Milliseconds to seconds."""
    found = metrics.part(name).part("successful")
    values = (
        found.number("mean"),
        first(found.number("percentiles", "p50"), found.number("median")),
        found.number("percentiles", "p90"),
        found.number("percentiles", "p99"),
    )
    mean_s, p50, p90, p99 = (None if value is None else value / 1000 for value in values)
    return Spread(mean=mean_s, p50=p50, p90=p90, p99=p99)
