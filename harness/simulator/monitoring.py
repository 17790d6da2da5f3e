"""Monitor: what the endpoint did -> a /metrics page with vLLM's names.

Histograms are filled when a request ends, from the stamps that it already has, so that no metric costs time while
tokens are sent.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from harness.simulator.model import NS, BatchModel
from harness.simulator.truth import TruthEntry

# Bucket edges as vLLM 0.32 has them; seconds unless the name says otherwise.
_TTFT_MS = (1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1e3, 2500, 5e3, 7500, 1e4, 2e4, 4e4, 8e4, 16e4, 64e4, 256e4)
_TTFT = tuple(edge / 1000 for edge in _TTFT_MS)
_ITL = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
_E2E = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)
_HISTOGRAMS: dict[str, tuple[str, Sequence[float]]] = {
    "time_to_first_token_seconds": ("Time to first token.", _TTFT),
    "inter_token_latency_seconds": ("Time between deltas of a request.", _ITL),
    "request_time_per_output_token_seconds": ("Mean time per output token after the first, by request.", _ITL),
    "e2e_request_latency_seconds": ("Request latency.", _E2E),
    "request_queue_time_seconds": ("Time in the queue.", _E2E),
    "request_prefill_time_seconds": ("Time from admission to the first token.", _E2E),
    "request_decode_time_seconds": ("Time from the first to the last token.", _E2E),
    "request_inference_time_seconds": ("Time from admission to the last token.", _E2E),
    "request_prompt_tokens": ("Prompt tokens of a request.", _TOKENS),
    "request_generation_tokens": ("Output tokens of a request.", _TOKENS),
}


class _Histogram:
    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        pairs, running = [], 0
        for edge, count in zip([*map(str, map(float, self.edges)), "+Inf"], self.counts, strict=True):
            running += count
            pairs.append((edge, float(running)))
        return pairs


class Monitor(Collector):
    """Collects from the live model and from ended requests."""

    def __init__(self, model: BatchModel, model_name: str) -> None:
        self._model = model
        self._labels = {"model_name": model_name, "engine": "0"}
        self._histograms = {name: _Histogram(edges) for name, (_, edges) in _HISTOGRAMS.items()}
        self.endings: Counter[str] = Counter({"stop": 0, "length": 0, "abort": 0, "error": 0})
        self.refused: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def ended(self, entry: TruthEntry, first_ns: int | None) -> None:
        """Count one request; `first_ns` is when its first token was made, also where it was not shown."""
        if entry.status not in (200, 500):
            self.refused[str(entry.status)] += 1
            return
        reason = "abort" if entry.aborted else "error" if entry.fault else entry.finish_reason or "error"
        self.endings[reason] += 1
        add = {name: histogram.add for name, histogram in self._histograms.items()}
        add["request_prompt_tokens"](entry.input_tokens)
        add["request_generation_tokens"](entry.output_tokens)
        add["e2e_request_latency_seconds"]((entry.ended_ns - entry.arrived_ns) / NS)
        if entry.admitted_ns is None or first_ns is None:
            return
        add["request_queue_time_seconds"]((entry.admitted_ns - entry.arrived_ns) / NS)
        add["request_prefill_time_seconds"]((first_ns - entry.admitted_ns) / NS)
        add["request_inference_time_seconds"]((entry.ended_ns - entry.admitted_ns) / NS)
        add["time_to_first_token_seconds"]((first_ns - entry.arrived_ns) / NS)
        decode_s = (entry.ended_ns - first_ns) / NS
        add["request_decode_time_seconds"](decode_s)
        if entry.output_tokens > 1:
            add["request_time_per_output_token_seconds"](decode_s / (entry.output_tokens - 1))
        gap = add["inter_token_latency_seconds"]
        for before, after in zip(entry.delta_ns, entry.delta_ns[1:], strict=False):
            gap((after - before) / NS)

    def page(self) -> bytes:
        """The text of /metrics."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry for each page."""
        model, counters = self._model, self._model.counters
        waiting = float(len(model.waiting))
        yield self._gauge("num_requests_running", "Requests in the batch.", float(len(model.running)))
        yield self._gauge("num_requests_waiting", "Requests in the queue.", waiting)
        yield self._gauge("kv_cache_usage_perc", "KV cache in use, 1 is all of it.", model.kv_usage)
        yield self._counter("prompt_tokens", "Prompt tokens prefilled.", counters.prompt_tokens)
        yield self._counter("prompt_tokens_cached", "Prompt tokens found in the cache.", counters.cached_tokens)
        yield self._counter("generation_tokens", "Tokens generated.", counters.output_tokens)
        yield self._counter("prefix_cache_queries", "Tokens looked up in the prefix cache.", counters.prompt_tokens)
        yield self._counter("prefix_cache_hits", "Tokens found in the prefix cache.", counters.cached_tokens)
        yield self._counter("num_preemptions", "Requests pushed out of the batch.", counters.preemptions)
        yield from self._labelled()
        for name, (help_text, _) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(f"vllm:{name}", help_text, labels=list(self._labels))
            histogram = self._histograms[name]
            family.add_metric(list(self._labels.values()), histogram.buckets(), histogram.total)
            yield family

    def _labelled(self) -> Iterator[Metric]:
        names, values = list(self._labels), list(self._labels.values())
        success = CounterMetricFamily("vllm:request_success", "Ended requests.", labels=[*names, "finished_reason"])
        for reason, count in self.endings.items():
            success.add_metric([*values, reason], count)
        yield success
        rejected = CounterMetricFamily("vllm:admission_rejections", "Requests refused.", labels=[*names, "reason"])
        rejected.add_metric([*values, "max_num_queued_reqs"], self.refused["503"])
        yield rejected
        limits = self._model.limits
        info = GaugeMetricFamily(
            "vllm:cache_config_info", "KV cache.", labels=["block_size", "num_gpu_blocks", "engine"]
        )
        info.add_metric([str(limits.block_tokens), str(self._model.total_blocks), "0"], 1.0)
        yield info

    def _gauge(self, name: str, help_text: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"vllm:{name}", help_text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family

    def _counter(self, name: str, help_text: str, value: float) -> Metric:
        family = CounterMetricFamily(f"vllm:{name}", help_text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family
