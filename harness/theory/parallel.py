"""A deployment with a layout goes in; what each accelerator holds, reads, multiplies and sends comes out.

Weights: attention and dense layers stand on every group of DP attention, split over its `tp` accelerators; experts and
their spare copies are spread once over tp x dp. KV: MLA keeps one latent for all heads, so that each of `tp`
accelerators holds a copy; GQA is copied where tp > kv_heads. `pp` stages work on different sequences at a time.
"""

import math
from dataclasses import dataclass

from harness.providers import Deployment, Layout, ModelCard
from harness.theory.architecture import always_precision, bytes_per_element, parameters, table_precision
from harness.theory.links import all_reduce_s, expert_exchange_s, hand_over_s, link_bytes_per_s
from harness.theory.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """Weight bytes on one accelerator, by part."""

    experts: float  # routed ones with their spare copies, and shared ones
    attention: float
    dense: float
    tables: float  # input embedding and head
    rest: float  # routers and norms

    @property
    def total(self) -> float:
        """All parts."""
        return self.experts + self.attention + self.dense + self.tables + self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How the sequences of one pass lie on the parts of a layout. With few sequences some parts have none."""

    copies: float  # of the model that work
    groups: float  # of DP attention that work, in each copy
    stages: float  # of the pipeline that work at a time


def instance(layout: Layout) -> int:
    """Accelerators of one copy of the model."""
    return layout.tp * layout.dp * layout.pp


def resident(deployment: Deployment, layout: Layout) -> Resident:
    """Weights on one accelerator."""
    counts, model = parameters(deployment.model), deployment.model
    each = bytes_per_element(deployment.precision)
    always = bytes_per_element(always_precision(model, deployment.precision)) / (layout.tp * layout.pp)
    table = bytes_per_element(table_precision(deployment.precision)) / (layout.tp * layout.pp)
    spare = 1.0 + layout.redundant_experts / model.experts if model.experts else 1.0
    return Resident(
        experts=counts.routed * spare * each / instance(layout) + counts.shared * always,
        attention=counts.attention * always,
        dense=counts.dense * always,
        tables=(counts.head + counts.embedding) * table,
        rest=counts.rest * always,
    )


def kv_copies(model: ModelCard, layout: Layout) -> float:
    """How often each KV element is held within a group."""
    return layout.tp / _kv_split(model, layout)


def kv_room_bytes(deployment: Deployment, layout: Layout) -> float:
    """Memory for KV over all accelerators, each element counted once; 0 where the weights do not fit."""
    usable = deployment.accelerator.hbm_bytes * deployment.memory_share - layout.reserve_bytes
    free = usable - resident(deployment, layout).total
    return max(0.0, free) * deployment.count / kv_copies(deployment.model, layout)


def spread(deployment: Deployment, layout: Layout, work: Work) -> Spread:
    """Sequences go to copies first, then to groups, then to stages; all parts get the mean."""
    copies = _within(work.sequences, deployment.count / instance(layout))
    groups = _within(work.sequences / copies, layout.dp)
    return Spread(copies=copies, groups=groups, stages=_within(work.tokens / copies / groups, layout.pp))


def memory_bytes(deployment: Deployment, layout: Layout, work: Work) -> float:
    """Bytes that the busiest kind of accelerator reads for one pass, all stages one after another."""
    at, model = spread(deployment, layout, work), deployment.model
    counts, precision = parameters(model), deployment.precision
    always = (counts.always - counts.head) * bytes_per_element(always_precision(model, precision))
    always += counts.head * bytes_per_element(table_precision(precision))
    kv = work.kv_bytes / (at.copies * at.groups * at.stages * _kv_split(model, layout))
    experts = _experts_read(model, layout, work.reading_tokens / at.copies / at.stages)
    return always / layout.tp + experts * bytes_per_element(precision) + kv


def _experts_read(model: ModelCard, layout: Layout, tokens: float) -> float:
    """Weights of routed experts that one accelerator reads: at least one expert a layer, if it is reached at all."""
    if not model.experts:
        return 0.0
    held = model.experts + layout.redundant_experts
    reached = held * (1.0 - math.pow(1.0 - model.experts_per_token / held, tokens))
    each = parameters(model).routed / model.experts  # one expert in all its layers
    return max(reached / layout.ep, 1.0) * each * layout.ep / (layout.tp * layout.dp)


def linear_flops(deployment: Deployment, layout: Layout, work: Work) -> float:
    """Multiplications with weights that one accelerator does."""
    at, model, counts = spread(deployment, layout, work), deployment.model, parameters(deployment.model)
    tokens, predicting = (each / at.copies / at.stages for each in (work.tokens, work.predicting_tokens))
    reached = counts.routed * model.experts_per_token / model.experts if model.experts else 0.0
    always = (counts.always - counts.head) * tokens + counts.head * predicting
    return 2 * (always / at.groups / layout.tp + tokens * reached / (layout.tp * layout.dp))


def attention_flops(deployment: Deployment, layout: Layout, work: Work) -> float:
    """Multiplications with KV that one accelerator does."""
    at = spread(deployment, layout, work)
    return work.attention_flops / (at.copies * at.groups * at.stages * layout.tp)


def links_s(deployment: Deployment, layout: Layout, work: Work) -> float:
    """Time on the links: all-reduces of each group, exchange with the experts, and from stage to stage."""
    at, model, on = spread(deployment, layout, work), deployment.model, deployment.accelerator
    tokens = work.tokens / at.copies / at.groups / at.stages
    expert_layers = model.layers - model.dense_layers if model.experts else 0
    seconds = 0.0
    if layout.tp > 1:  # after attention in every layer, and after an FFN that is split like attention
        times = 2 * model.layers - (expert_layers if _apart(layout) else 0)
        seconds += times * (all_reduce_s(on, layout.tp, model.hidden, tokens) + layout.collective_latency_s)
    if expert_layers and _apart(layout):
        seconds += expert_layers * _experts_s(deployment, layout, work, at)
    link = link_bytes_per_s(on, instance(layout))
    if layout.pp > 1 and link:
        each = hand_over_s(tokens / layout.tp, model.hidden, link) + layout.collective_latency_s
        seconds += (layout.pp - 1) * each
    return seconds


def _experts_s(deployment: Deployment, layout: Layout, work: Work, at: Spread) -> float:
    """One expert layer: dispatch and combine under EP, one all-reduce of everybody's tokens where experts are split."""
    model, on = deployment.model, deployment.accelerator
    if layout.ep == 1:
        tokens = work.tokens / at.copies / at.stages
        return all_reduce_s(on, layout.tp * layout.dp, model.hidden, tokens) + layout.collective_latency_s
    link = link_bytes_per_s(on, layout.ep)
    copies = work.expert_copies / at.copies / at.groups / at.stages / layout.tp
    exchange = expert_exchange_s(copies, 1, model.hidden, link) if link else 0.0
    return exchange + 2 * layout.collective_latency_s


def _apart(layout: Layout) -> bool:
    """True where experts are not split over the same group as attention."""
    return layout.ep > 1 or layout.dp > 1


def _kv_split(model: ModelCard, layout: Layout) -> int:
    return 1 if model.attention == "mla" else min(layout.tp, model.kv_heads)


def _within(amount: float, most: float) -> float:
    return max(1.0, min(amount, most))
