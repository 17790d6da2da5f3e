"""WireRules: how each kind of endpoint shapes its chunks, usage and errors, as data.

Observed or documented: vLLM 0.32, llama.cpp's server, Ollama 0.32, the DeepSeek API, the OpenAI API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DialectName = Literal["vllm", "deepseek", "ollama", "llamacpp", "openai"]
ReasoningField = Literal["reasoning", "reasoning_content", "think-tag", "hidden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRules:
    """One dialect. Templates are JSON of a delta with one %s for the escaped text."""

    name: DialectName
    reasoning_field: ReasoningField
    role_delta: str | None  # a chunk of its own, with the first token; None: the role rides on the first delta
    thought_delta: Mapping[str, str]  # by reasoning field
    answer_delta: str = '{"content":"%s"}'
    finish_on: Literal["last_content", "own_chunk"] = "own_chunk"
    finish_delta: str = "{}"
    usage_on: Literal["own_chunk", "finish"] = "own_chunk"
    usage_always: bool = False  # without stream_options.include_usage too
    usage_null_elsewhere: bool = False  # include_usage puts `usage: null` on the other chunks
    usage_details: Literal["openai", "deepseek", "cached_only", "plain"] = "openai"
    timings: bool = False
    continuous_usage: bool = False
    fingerprint: str | None = None
    fingerprint_on: Literal["all", "last"] = "all"
    headers_wait_for_slot: bool = False
    keep_alive_comments: bool = False
    any_model: bool = False
    overload_in_stream: bool = False  # an overloaded server answers 200 and an error event
    error_code: Literal["int", "null", "openai"] = "null"
    #: how a failure after status 200 looks: an error event; a finish reason of its own; or Ollama's nothing
    failure: Literal["event", "finish_reason", "silent"] = "event"
    block_tokens: int = 16  # of the prefix cache


_THOUGHT = {"reasoning": '{"reasoning":"%s"}', "reasoning_content": '{"reasoning_content":"%s"}'}

DIALECTS: dict[str, WireRules] = {
    rules.name: rules
    for rules in (
        WireRules(
            name="vllm",
            reasoning_field="reasoning",
            role_delta='{"role":"assistant","content":""}',
            thought_delta=_THOUGHT,
            finish_on="last_content",
            continuous_usage=True,
            fingerprint="vllm-0.32.0-sim",
            fingerprint_on="last",
            overload_in_stream=True,
            error_code="int",
        ),
        WireRules(
            name="deepseek",
            reasoning_field="reasoning_content",
            role_delta='{"role":"assistant","content":null,"reasoning_content":""}',
            thought_delta={
                "reasoning": '{"content":null,"reasoning":"%s"}',
                "reasoning_content": '{"content":null,"reasoning_content":"%s"}',
            },
            answer_delta='{"content":"%s","reasoning_content":null}',
            finish_delta='{"content":"","reasoning_content":null}',
            usage_on="finish",
            usage_always=True,
            usage_null_elsewhere=True,
            usage_details="deepseek",
            fingerprint="fp_simulated_fp8_kvcache",
            keep_alive_comments=True,
            failure="finish_reason",
            block_tokens=64,
            error_code="openai",
        ),
        WireRules(
            name="ollama",
            reasoning_field="reasoning",
            role_delta=None,
            thought_delta={
                "reasoning": '{"content":"","reasoning":"%s"}',
                "reasoning_content": '{"content":"","reasoning_content":"%s"}',
            },
            usage_details="plain",
            fingerprint="fp_ollama",
            failure="silent",
        ),
        WireRules(
            name="llamacpp",
            reasoning_field="reasoning_content",
            role_delta='{"role":"assistant","content":null}',
            thought_delta=_THOUGHT,
            usage_details="cached_only",
            timings=True,
            fingerprint="b10549-sim",
            headers_wait_for_slot=True,
            any_model=True,
            error_code="int",
        ),
        WireRules(
            name="openai",
            reasoning_field="hidden",
            role_delta='{"role":"assistant","content":"","refusal":null}',
            thought_delta=_THOUGHT,
            usage_null_elsewhere=True,
            fingerprint="fp_simulated",
            error_code="openai",
        ),
    )
}
