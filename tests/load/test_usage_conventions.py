"""Whatever a server calls its counts, a record holds cached, written and reasoning tokens inside their totals, once."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.stream.usage import Heard, count_tokens, read_usage

HEARD = Heard(deltas=10, reasoning_chars=300, answer_chars=100)


def counts(**usage: Any):
    return count_tokens(read_usage(msgspec.json.encode(usage)), HEARD, continuous=False)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60}},  # OpenAI, vLLM
        {"prompt_tokens": 100, "prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40},  # DeepSeek
        {"prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40},
        {"prompt_tokens": 100, "cache_read_input_tokens": 60},  # a proxy that has added them up already
        {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 30},  # Anthropic: outside
    ],
)
def test_cached_tokens_are_inside_the_input(usage):
    found = counts(**({"completion_tokens": 30} | usage))
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (100, 60, 30)
    assert found.source == "usage"


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10, "output_tokens": 5},
        {"prompt_tokens": 100, "completion_tokens": 5,
         "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10}},
        {"prompt_tokens": 100, "completion_tokens": 5,
         "prompt_tokens_details": {"cached_tokens": 60, "created_cache_tokens": 10}},
    ],
)  # fmt: skip
def test_written_tokens_are_inside_the_input_too(usage):
    found = counts(**usage)
    assert (found.input_tokens, found.cached_tokens, found.cache_write_tokens, found.output_tokens) == (100, 60, 10, 5)


def test_reasoning_beside_the_completion_is_added_once():
    outside = counts(
        prompt_tokens=10, completion_tokens=20, total_tokens=110, completion_tokens_details={"reasoning_tokens": 80}
    )
    inside = counts(
        prompt_tokens=10, completion_tokens=100, total_tokens=110, completion_tokens_details={"reasoning_tokens": 80}
    )
    for found in (outside, inside):
        assert (found.output_tokens, found.reasoning_tokens, found.answer_tokens) == (100, 80, 20)


_count = st.integers(0, 1_000_000)


@given(_count, _count, _count, st.booleans())
def test_output_is_reasoning_and_answer_however_it_is_told(prompt, answer, thought, inside):
    told = {"prompt_tokens": prompt, "completion_tokens": answer + (thought if inside else 0),
            "total_tokens": prompt + answer + thought}  # fmt: skip
    found = counts(**told, completion_tokens_details={"reasoning_tokens": thought})
    assert found.output_tokens == answer + thought
    assert found.reasoning_tokens + found.answer_tokens == found.output_tokens


def test_what_no_server_says_is_none():
    found = counts(prompt_tokens=7, completion_tokens=3)
    assert (found.cached_tokens, found.cache_write_tokens) == (None, None)
