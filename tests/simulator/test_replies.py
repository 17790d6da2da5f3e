"""What each dialect puts on the wire, chunk by chunk."""

import json

import pytest

from harness.simulator.asks import Refusal, parse_ask
from harness.simulator.dialects import DIALECTS
from harness.simulator.replies import Counted, Heading, Reply, usage_of
from harness.simulator.texts import Piece, Script

SCRIPT = Script(offset=0, thought_tokens=2, answer=("4 is", " it."), finish_reason="stop")
COUNTED = Counted(
    input_tokens=20, cached_tokens=16, reasoning_tokens=2, output_tokens=4, prefill_s=0.001, decode_s=0.002
)
THOUGHTS, ANSWERS = [Piece("r", "hm\n", 1), Piece("r", ' "x"', 1)], [Piece("a", "4 is", 1), Piece("a", " café", 1)]


def chunks(dialect, *, field=None, include_usage=True, continuous=False, pieces=None, finish="stop"):
    """The stream as parsed events; the last must be [DONE]."""
    rules = DIALECTS[dialect]
    heading = Heading(
        rules=rules,
        reasoning_field=field or rules.reasoning_field,
        reply_id="id-1",
        created=7,
        model='m"odel',
        include_usage=include_usage,
        continuous_usage=continuous,
    )
    reply, data = Reply(heading, SCRIPT), b""
    data += reply.opening()
    shown = [piece for piece in (pieces or THOUGHTS + ANSWERS) if reply.visible(piece)]
    for index, piece in enumerate(shown):
        last = index == len(shown) - 1
        data += reply.delta(piece, finish if last else None, COUNTED if continuous else None)
    data += reply.closing(finish, COUNTED)
    events = data.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def shape(stream):
    """(delta, finish_reason) of chunks with a choice, 'usage' for those without."""
    return [(c["choices"][0]["delta"], c["choices"][0]["finish_reason"]) if c["choices"] else "usage" for c in stream]


def test_vllm():
    stream = chunks("vllm")
    assert shape(stream) == [
        ({"role": "assistant", "content": ""}, None),
        ({"reasoning": "hm\n"}, None),
        ({"reasoning": ' "x"'}, None),
        ({"content": "4 is"}, None),
        ({"content": " café"}, "stop"),
        "usage",
    ]
    assert all(chunk["id"] == "id-1" and chunk["model"] == 'm"odel' and chunk["created"] == 7 for chunk in stream)
    assert stream[-1]["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 4,
        "total_tokens": 24,
        "prompt_tokens_details": {"cached_tokens": 16},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert all("usage" not in chunk for chunk in stream[:-1])
    assert ["system_fingerprint" in chunk for chunk in stream] == [False] * 5 + [True]


def test_vllm_sends_no_usage_unless_asked():
    assert all("usage" not in chunk for chunk in chunks("vllm", include_usage=False))


def test_vllm_continuous_usage_stands_on_every_content_chunk():
    stream = chunks("vllm", continuous=True)
    assert [chunk["usage"]["completion_tokens"] for chunk in stream[1:]] == [4] * 5


def test_vllm_cut_in_thought_has_no_content_delta():
    stream = chunks("vllm", pieces=THOUGHTS, finish="length")
    assert shape(stream)[-2:] == [({"reasoning": ' "x"'}, "length"), "usage"]


def test_deepseek():
    stream = chunks("deepseek")
    assert shape(stream) == [
        ({"role": "assistant", "content": None, "reasoning_content": ""}, None),
        ({"content": None, "reasoning_content": "hm\n"}, None),
        ({"content": None, "reasoning_content": ' "x"'}, None),
        ({"content": "4 is", "reasoning_content": None}, None),
        ({"content": " café", "reasoning_content": None}, None),
        ({"content": "", "reasoning_content": None}, "stop"),
    ]
    usage = stream[-1]["usage"]
    assert (usage["prompt_cache_hit_tokens"], usage["prompt_cache_miss_tokens"], usage["prompt_tokens"]) == (16, 4, 20)
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 2}
    assert all(chunk["usage"] is None for chunk in stream[:-1])
    without = chunks("deepseek", include_usage=False)
    assert without[-1]["usage"] == usage and all("usage" not in chunk for chunk in without[:-1])


def test_ollama():
    stream = chunks("ollama")
    assert shape(stream) == [
        ({"role": "assistant", "content": "", "reasoning": "hm\n"}, None),
        ({"content": "", "reasoning": ' "x"'}, None),
        ({"content": "4 is"}, None),
        ({"content": " café"}, None),
        ({}, "stop"),
        "usage",
    ]
    assert stream[-1]["usage"] == {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24}
    assert all(chunk["system_fingerprint"] == "fp_ollama" for chunk in stream)


def test_llamacpp():
    stream = chunks("llamacpp")
    assert shape(stream)[0] == ({"role": "assistant", "content": None}, None)
    assert shape(stream)[1] == ({"reasoning_content": "hm\n"}, None)
    assert shape(stream)[-2:] == [({}, "stop"), "usage"]
    assert stream[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 16}
    timings = {"cache_n": 16, "prompt_n": 4, "prompt_ms": 1.0, "predicted_n": 4, "predicted_ms": 2.0}
    assert stream[-1]["timings"] == timings
    without = chunks("llamacpp", include_usage=False)
    assert shape(without)[-1] == ({}, "stop") and without[-1]["timings"] == timings and "usage" not in without[-1]


def test_openai_hides_the_thought():
    stream = chunks("openai")
    assert shape(stream) == [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        ({"content": "4 is"}, None),
        ({"content": " café"}, None),
        ({}, "stop"),
        "usage",
    ]
    assert stream[-1]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}
    assert all(chunk["usage"] is None for chunk in stream[:-1])


def test_hidden_thoughts_cut_by_the_cap_leave_only_a_finish():
    assert shape(chunks("vllm", field="hidden", pieces=THOUGHTS, finish="length"))[1:] == [({}, "length"), "usage"]


def test_think_tags_are_text():
    stream = chunks("vllm", field="think-tag")
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in stream[:-1])
    assert text == '<think>hm\n "x"</think>4 is café'


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_reasoning_field_can_be_changed(dialect):
    deltas = [delta for delta, _ in shape(chunks(dialect, field="reasoning_content")[:-1])]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == 'hm\n "x"'


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_answer_to_stream_false(dialect):
    rules = DIALECTS[dialect]
    heading = Heading(rules=rules, reasoning_field=rules.reasoning_field, reply_id="i", created=1, model="m")
    document = Reply(heading, SCRIPT).whole(COUNTED)
    assert document["object"] == "chat.completion" and document["usage"] == usage_of(rules, COUNTED)
    message = document["choices"][0]["message"]
    assert message["content"] == "4 is it."
    thoughts = {"vllm": "reasoning", "ollama": "reasoning", "deepseek": "reasoning_content"}
    thoughts["llamacpp"] = "reasoning_content"
    assert message.get(thoughts.get(dialect, ""), "") == (SCRIPT.text("r") if dialect in thoughts else "")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "invalid JSON"),
        (b"[]", 400, "object"),
        (b'{"messages": []}', 400, "too short"),
        (b'{"messages": [{}]}', 400, "role"),
        (b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}', 400, "at least 1"),
        (b'{"messages": [{"role": "user", "content": "x"}], "stream_options": {"a": 1}}', 400, "stream=True"),
    ],
)
def test_bad_requests(body, status, says):
    with pytest.raises(Refusal, match=says) as caught:
        parse_ask(body, DIALECTS["vllm"])
    assert caught.value.status == status
    assert caught.value.body(DIALECTS["vllm"])["error"]["code"] == status


@pytest.mark.parametrize(
    ("extra", "thinking", "cap", "fill"),
    [
        ({}, True, None, False),
        ({"max_tokens": 5}, True, 5, False),
        ({"max_completion_tokens": 6}, True, 6, False),
        ({"ignore_eos": True, "max_tokens": 9}, True, 9, True),
        ({"thinking": {"type": "disabled"}}, False, None, False),
        ({"reasoning_effort": "none"}, False, None, False),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False, None, False),
    ],
)
def test_what_a_request_asks_for(extra, thinking, cap, fill):
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], **extra}
    ask = parse_ask(json.dumps(body).encode(), DIALECTS["openai"])
    assert (ask.wish.thinking, ask.wish.cap_tokens, ask.wish.fill) == (thinking, cap, fill)
    assert ask.wish.messages == ({"role": "user", "content": "hi"},) and ask.stream is False


@pytest.mark.parametrize(
    ("extra", "effort"),
    [
        ({}, 1.0),
        ({"reasoning_effort": "low"}, 0.5),
        ({"reasoning_effort": "max"}, 4.0),
        ({"reasoning_effort": "none"}, 1.0),
        ({"chat_template_kwargs": {"reasoning_effort": "high"}}, 2.0),
        ({"chat_template_kwargs": "high"}, 1.0),
    ],
)
def test_how_hard_a_request_asks_to_think(extra, effort):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **extra}
    assert parse_ask(json.dumps(body).encode(), DIALECTS["vllm"]).wish.effort == effort


@pytest.mark.parametrize("field", ["thinking_token_budget", "thinking_budget_tokens"])
@pytest.mark.parametrize(("cap", "kept"), [(9, 9), (0, 0), (-1, None), ("9", None)])
def test_a_cap_of_the_thought_alone(field, cap, kept):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], field: cap}
    assert parse_ask(json.dumps(body).encode(), DIALECTS["vllm"]).wish.thought_cap == kept


@pytest.mark.parametrize("level", ["hard", 3, ["low"]])
def test_a_level_that_there_is_not_is_refused(level):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "reasoning_effort": level}
    with pytest.raises(Refusal, match="reasoning_effort must be one of none, minimal, low"):
        parse_ask(json.dumps(body).encode(), DIALECTS["vllm"])


def test_refusals_speak_the_dialect():
    refusal = Refusal(401, "no", "authentication_error", "invalid_api_key")
    assert refusal.body(DIALECTS["vllm"]) == {"error": "Unauthorized"}
    assert refusal.body(DIALECTS["openai"])["error"]["code"] == "invalid_api_key"
    assert refusal.body(DIALECTS["ollama"])["error"]["code"] is None
