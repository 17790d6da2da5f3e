"""Thinking: how hard and how long a model is to think -> the fields of a request that say so to each dialect's server.

The levels are those of OpenAI's `reasoning_effort`, the field that servers have agreed on. Engines that serve any model
hand it to the model's own chat template; templates differ in the name of their switch, and ignore what they do not
know. Which levels a model has, and what they mean, is its own: an endpoint that refuses one says so in the preflight,
and one that does not do as it was told is noted (`harness/measure/thoughts.py`).
"""

from collections.abc import Mapping
from typing import Any

from harness.load.scenarios import Effort, Workload
from harness.providers import Dialect

#: The field of an engine that ends a thought after so many tokens, and lets the answer follow. Nobody else has one.
THOUGHT_CAPS: Mapping[Dialect, str] = {"vllm": "thinking_token_budget", "llamacpp": "thinking_budget_tokens"}
#: Engines whose chat template is the model's own.
_WITH_TEMPLATE = frozenset({"vllm", "llamacpp"})
#: Qwen, GLM and Gemma call it the first, DeepSeek V3.1 and Granite the second.
_SWITCHES = ("enable_thinking", "thinking")


def thinking_fields(workload: Workload, dialect: Dialect) -> dict[str, Any]:
    """What the body of a request says about it. Fields that are objects are to be merged with what is there."""
    fields = {} if workload.reasoning_effort is None else _effort(workload.reasoning_effort, dialect)
    if workload.max_thinking_tokens is not None and dialect in THOUGHT_CAPS:
        fields[THOUGHT_CAPS[dialect]] = workload.max_thinking_tokens
    return fields


def merged(body: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` over `body`; an object keeps what the other says besides."""
    return {**body, **{name: _over(body.get(name), value) for name, value in fields.items()}}


def _effort(effort: Effort, dialect: Dialect) -> dict[str, Any]:
    thinks = effort != "none"
    level = {"reasoning_effort": effort}
    if dialect == "deepseek":
        return {"thinking": {"type": "enabled"}, **level} if thinks else {"thinking": {"type": "disabled"}}
    if dialect not in _WITH_TEMPLATE:
        return dict(level)
    switches = dict.fromkeys(_SWITCHES, thinks)
    # Older servers know no level "none"; and llama.cpp long read the level from its template's arguments alone.
    return {**level, "chat_template_kwargs": switches | level} if thinks else {"chat_template_kwargs": switches}


def _over(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, Mapping) and isinstance(new, Mapping) else new
