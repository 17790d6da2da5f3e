"""What is said about thinking reaches the chat template of a real llama.cpp server, as that model's own words."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import make_plan

from harness.load.client import Client
from harness.load.preflight import preflight
from tests.conftest import llamacpp
from tests.engines.tiny_gguf import TEMPLATE, write_tiny_model

#: What real templates do with it: a line in the system prompt (gpt-oss), a thought that is closed at once (Qwen).
THINKS = (
    "{% if reasoning_effort is defined %}Reasoning: {{ reasoning_effort }}\n{% endif %}"
    "{% if enable_thinking is defined and not enable_thinking %}There is nothing to be thought about here.{% endif %}"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A llama.cpp server whose model's template knows effort and switch."""
    model = write_tiny_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf", template=THINKS + TEMPLATE)
    with llamacpp(model) as where:
        yield where


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client() as own:
        yield own


def prompt_tokens(url: str, client: Client, **thinking: Any) -> int:
    """Of one and the same question, as the server's own tokenizer counts its rendered template."""
    plan = make_plan(url, dialect="llamacpp")
    plan = replace(plan, endpoint=replace(plan.endpoint, model="tiny"))
    workload = replace(plan.scenario.workload, **thinking)
    facts = preflight(replace(plan, scenario=replace(plan.scenario, workload=workload)), None, client)
    assert facts["token_source"] == "usage"
    return int(facts["input_tokens"])


def test_a_template_is_told_the_level_or_not_to_think(url: str, client: Client) -> None:
    """The tiny tokenizer has hardly any words, so that a level costs a token a letter."""
    levels = ("low", "high", "medium", "none")
    low, high, medium, none = [prompt_tokens(url, client, reasoning_effort=level) for level in levels]
    assert (high - low, medium - low) == (1, 3)
    assert none > low + 15, "no level, but the words that close a thought"


def test_a_cap_of_the_thought_alone_is_taken(url: str, client: Client) -> None:
    assert prompt_tokens(url, client, max_thinking_tokens=4) == prompt_tokens(url, client)
