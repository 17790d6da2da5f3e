"""aiperf's profile_export_aiperf.json: metrics at the top, each {unit, avg, p50, ...} (schema 1.0 to 1.4).

Units are read, not assumed. An output sequence holds reasoning and answer tokens; `total_output_tokens` alone leaves
reasoning out, so that `total_osl` is what is billed. Early versions put the metrics under `records`.
"""

from datetime import UTC, datetime

from harness.price.imports.document import Document
from harness.price.imports.measured import Measured, Spread, first, mean, rate

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}


def read_aiperf(document: Document) -> list[Measured]:
    """One load."""
    metrics = document if not isinstance(document.value.get("records"), dict) else document.part("records")
    seconds = _seconds(metrics, "benchmark_duration", "avg")
    completed = metrics.count("request_count", "avg")
    isl, osl = metrics.number("input_sequence_length", "avg"), metrics.number("output_sequence_length", "avg")
    inputs = first(metrics.number("total_isl", "avg"), _times(isl, completed))
    outputs = first(metrics.number("total_osl", "avg"), _times(osl, completed), _answers_and_thoughts(metrics))
    return [
        Measured(
            tool="aiperf",
            label="load",
            model=_model(document),
            date=document.text("start_time"),
            epoch_s=_epoch_s(document.text("start_time")),
            concurrency=_concurrency(document),
            requests_ok=completed,
            requests_failed=metrics.count("error_request_count", "avg"),
            duration_s=seconds,
            input_tokens=inputs,
            output_tokens=outputs,
            input_tokens_per_s=first(rate(inputs, seconds), metrics.number("input_token_throughput", "avg")),
            output_tokens_per_s=first(metrics.number("output_token_throughput", "avg"), rate(outputs, seconds)),
            isl_tokens=first(isl, mean(inputs, completed)),
            osl_tokens=first(osl, mean(outputs, completed)),
            ttft_s=_spread(metrics, "time_to_first_token"),
            tpot_s=_spread(metrics, "inter_token_latency"),
            notes=("the run was cancelled before its end",) if document.truth("was_cancelled") else (),
        )
    ]


def _times(each: float | None, count: int | None) -> float | None:
    return None if each is None or count is None else each * count


def _answers_and_thoughts(metrics: Document) -> float | None:
    answers, thoughts = metrics.number("total_output_tokens", "avg"), metrics.number("total_reasoning_tokens", "avg")
    return None if answers is None else answers + (thoughts or 0.0)


def _model(document: Document) -> str | None:
    """The configuration has had two shapes."""
    config = document.value.get("input_config")
    endpoint = config.get("endpoint") if isinstance(config, dict) else None
    names = endpoint.get("model_names") if isinstance(endpoint, dict) else None
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None


def _concurrency(document: Document) -> float | None:
    return document.number("input_config", "loadgen", "concurrency")


def _epoch_s(text: str | None) -> float | None:
    """A moment, where the zone is told or was UTC by its own words."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.astimezone(UTC).timestamp() if moment is not None and moment.tzinfo is not None else None


def _seconds(metrics: Document, name: str, stat: str) -> float | None:
    """One statistic in seconds; a mistake where its unit is none of time."""
    found = metrics.number(name, stat)
    if found is None:
        return None
    unit = metrics.text(name, "unit") or "ms"
    if unit not in _SECONDS:
        metrics.tell(f"{name}.unit", repr(unit), f"one of {', '.join(_SECONDS)}")
        return None
    return found * _SECONDS[unit]


def _spread(metrics: Document, name: str) -> Spread:
    mean_s, p50, p90, p99 = (_seconds(metrics, name, stat) for stat in ("avg", "p50", "p90", "p99"))
    return Spread(mean=mean_s, p50=p50, p90=p90, p99=p99)
