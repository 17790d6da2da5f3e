"""BatchModel: jobs and a step-time function -> which job gets tokens at which nanosecond.

Continuous batching as vLLM's V1 scheduler does it, with time as an argument: no clock, no IO, no randomness.
One step computes, for every running job, the tokens it still needs (one when it decodes, a chunk when it
prefills) within a token budget; then waiting jobs are admitted first come, first served while a batch slot and
memory for their whole prompt exist.

Memory grows with the job, block by block, and the youngest job is preempted (and later recomputed) when no block
is left. Reserving prompt + cap instead would keep the batch far below what engines run, because callers cap
thoughts generously. Blocks are not shared between jobs: a cached prefix saves computing, not room.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from harness.simulator.prefix import PrefixCache

NS = 1_000_000_000


class StepLoad(NamedTuple):
    """What one step computes: one token for each of `decodes` jobs, and chunks of prompts."""

    decodes: int
    decode_context_tokens: float  # mean over the decoding jobs
    prefills: tuple[tuple[int, int], ...]  # (tokens computed, context at the end of the chunk) of each prompt


class StepTimes(Protocol):
    """How long one step takes, seconds."""

    def step_s(self, load: StepLoad) -> float:
        """Seconds for `load`; must be positive."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the simulated server was started with."""

    max_batch: int  # vLLM --max-num-seqs
    kv_tokens: int  # tokens of KV cache that fit into the memory left by the weights
    max_step_tokens: int = 8192  # vLLM --max-num-batched-tokens
    block_tokens: int = 16
    max_queue: int | None = None  # None: waits without limit, as vLLM does by default
    tokens_per_delta: int = 1  # vLLM --stream-interval


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """One request as the batch sees it. The first three fields are given, the model fills the rest."""

    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    tag: Any = None  # for the edge that owns the job
    arrived_ns: int = 0
    admitted_ns: int | None = None
    first_ns: int | None = None
    cached_tokens: int = 0
    computed: int = 0  # tokens whose KV exists
    produced: int = 0  # output tokens made
    sent: int = 0  # output tokens handed out
    held_blocks: int = 0
    preemptions: int = 0
    state: Literal["new", "waiting", "running", "done", "aborted"] = "new"


class Delta(NamedTuple):
    """Tokens `begin` to `end` of a job's output, handed out together; `last` ends the job."""

    job: Job
    begin: int
    end: int
    last: bool


Refusal = Literal["queue_full", "too_long"]


@dataclass(slots=True)
class Counters:
    """Totals since the start."""

    steps: int = 0
    busy_ns: int = 0
    preemptions: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    peak_running: int = 0
    peak_blocks: int = 0


@dataclass(slots=True, eq=False)
class BatchModel:
    """The server. `due_ns` is the end of the step now running, None while idle."""

    limits: Limits
    times: StepTimes
    due_ns: int | None = None
    waiting: deque[Job] = field(default_factory=deque)
    running: list[Job] = field(default_factory=list)
    admitted: list[Job] = field(default_factory=list)  # since the edge last emptied it
    counters: Counters = field(default_factory=Counters)
    free_blocks: int = 0
    total_blocks: int = 0
    cache: PrefixCache = field(init=False)
    _batch: list[tuple[Job, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.total_blocks = self.free_blocks = self.limits.kv_tokens // self.limits.block_tokens
        self.cache = PrefixCache(self.total_blocks)

    def offer(self, job: Job, now_ns: int) -> Refusal | None:
        """A request arrives. The caller has run every step due until `now_ns`."""
        if self._blocks_for(job.input_tokens + job.output_tokens) > self.total_blocks:
            return "too_long"
        if self.limits.max_queue is not None and len(self.waiting) >= self.limits.max_queue:
            return "queue_full"
        job.arrived_ns, job.state = now_ns, "waiting"
        self.waiting.append(job)
        if self.due_ns is None:
            self._begin(now_ns)
        return None

    def abort(self, job: Job) -> None:
        """Forget a request: its slot and memory are free for the next step. Harmless when it has ended."""
        if job.state == "waiting":
            self.waiting.remove(job)
        elif job.state == "running":
            self.running.remove(job)
            self._release(job)
        else:
            return
        job.state = "aborted"

    def finish_step(self) -> list[Delta]:
        """End the step that is due, begin the next one at the same instant, and say who got which tokens."""
        assert self.due_ns is not None, "no step is running"
        now_ns, deltas, ended = self.due_ns, [], False
        interval = self.limits.tokens_per_delta
        for job, tokens in self._batch:
            if job.state != "running":  # aborted since the step began
                continue
            job.computed += tokens
            if job.computed < job.input_tokens + job.produced:
                continue  # a chunk of a longer prefill
            job.produced += 1
            self.counters.output_tokens += 1
            last = job.produced == job.output_tokens
            if last or job.sent == 0 or job.produced - job.sent >= interval:
                deltas.append(Delta(job, job.sent, job.produced, last))
                job.sent = job.produced
            if job.produced == 1:
                self._prefilled(job, now_ns)
            if last:
                job.state, ended = "done", True
                self._release(job)
        if ended:
            self.running = [job for job in self.running if job.state == "running"]
        self._begin(now_ns)
        return deltas

    @property
    def kv_usage(self) -> float:
        """Share of KV blocks in use, 0 to 1."""
        return 1 - self.free_blocks / self.total_blocks

    def _begin(self, now_ns: int) -> None:
        """Choose the batch of the next step and when it ends."""
        preempted, budget = self._schedule_running()
        if not preempted:
            self._admit(now_ns, budget)
        if not self._batch:
            self.due_ns = None
            return
        duration_ns = max(1, round(self.times.step_s(self._load()) * NS))
        self.due_ns = now_ns + duration_ns
        counters = self.counters
        counters.steps += 1
        counters.busy_ns += duration_ns
        counters.peak_running = max(counters.peak_running, len(self.running))
        counters.peak_blocks = max(counters.peak_blocks, self.total_blocks - self.free_blocks)

    def _schedule_running(self) -> tuple[bool, int]:
        """Give each running job its tokens, oldest first; preempt from the young end when memory is out."""
        batch: list[tuple[Job, int]] = []
        budget, block, preempted = self.limits.max_step_tokens, self.limits.block_tokens, False
        index = 0
        while index < len(self.running) and budget > 0:
            job = self.running[index]
            tokens = min(job.input_tokens + job.produced - job.computed, budget)
            if job.computed + tokens > job.held_blocks * block:
                while not self._grow(job, job.computed + tokens):
                    preempted = True
                    if self._preempt_youngest() is job:
                        break
                if job.state != "running":
                    break
            batch.append((job, tokens))
            budget -= tokens
            index += 1
        self._batch = batch
        return preempted, budget

    def _admit(self, now_ns: int, budget: int) -> None:
        """Waiting jobs enter, first come, first served: the head of the queue blocks those behind it."""
        while self.waiting and budget > 0 and len(self.running) < self.limits.max_batch:
            job = self.waiting[0]
            needed = job.input_tokens + job.produced
            if not self._grow(job, needed):
                return
            self.waiting.popleft()
            job.state = "running"
            self.running.append(job)
            self._use_cache(job)
            if job.admitted_ns is None:
                job.admitted_ns = now_ns
                self.admitted.append(job)
            tokens = min(needed - job.computed, budget)
            self._batch.append((job, tokens))
            budget -= tokens

    def _use_cache(self, job: Job) -> None:
        block = self.limits.block_tokens
        # The last prompt token is always computed: its output is the first answer token.
        found = self.cache.hits(job.blocks, (job.input_tokens - 1) // block)
        job.computed = found * block
        if job.admitted_ns is None:  # usage reports what the first admission found, not a recomputation
            job.cached_tokens = job.computed

    def _prefilled(self, job: Job, now_ns: int) -> None:
        job.first_ns = now_ns
        self.cache.store(job.blocks)
        self.counters.prompt_tokens += job.input_tokens
        self.counters.cached_tokens += job.cached_tokens

    def _load(self) -> StepLoad:
        decodes = context = 0
        prefills: list[tuple[int, int]] = []
        for job, tokens in self._batch:
            end = job.computed + tokens
            if tokens == 1 and job.produced:
                decodes += 1
                context += end
            else:
                prefills.append((tokens, end))
        return StepLoad(decodes, context / decodes if decodes else 0.0, tuple(prefills))

    def _grow(self, job: Job, tokens: int) -> bool:
        wanted = self._blocks_for(tokens) - job.held_blocks
        if wanted > self.free_blocks:
            return False
        self.free_blocks -= wanted
        job.held_blocks += wanted
        return True

    def _preempt_youngest(self) -> Job:
        job = self.running.pop()
        self._release(job)
        job.state, job.computed = "waiting", 0
        job.preemptions += 1
        self.counters.preemptions += 1
        self.waiting.appendleft(job)
        return job

    def _release(self, job: Job) -> None:
        self.free_blocks += job.held_blocks
        job.held_blocks = 0

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.limits.block_tokens)
