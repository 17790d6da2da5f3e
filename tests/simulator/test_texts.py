"""Scripts are a function of (seed, prompt), and their text and token counts agree."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.simulator.answers import read_answers
from harness.simulator.texts import (
    TOKEN_CHARS,
    AnswerKey,
    Author,
    Lengths,
    Wish,
    render_prompt,
    tokens_in,
    wrong,
)

LENGTHS = Lengths(thought_median=40, thought_sigma=0.5, answer_median=20, answer_sigma=0.4)
AUTHOR = Author(lengths=LENGTHS, seed=3)


def write(text="What?", author=AUTHOR, **wish):
    asked = Wish(messages=({"role": "user", "content": text},), **wish)
    return author.write(asked, render_prompt(asked.messages))


def test_a_script_depends_on_seed_and_prompt_only():
    first = [write(f"question {i}") for i in range(20)]
    again = [write(f"question {i}") for i in reversed(range(20))]
    assert first == again[::-1]
    assert len({script.text("r") for script in first}) == 20
    assert first != [write(f"question {i}", replace(AUTHOR, seed=4)) for i in range(20)]


@given(st.text(max_size=60), st.integers(1, 120) | st.none(), st.booleans(), st.booleans(), st.integers(1, 9))
def test_pieces_make_up_the_texts_and_their_tokens_the_total(prompt, cap, thinking, fill, step):
    script = write(prompt, cap_tokens=cap, thinking=thinking, fill=fill)
    pieces = [p for at in range(0, script.tokens, step) for p in script.pieces(at, min(at + step, script.tokens))]
    for phase in ("r", "a"):
        mine = [piece for piece in pieces if piece.phase == phase]
        assert "".join(piece.text for piece in mine) == script.text(phase)
        assert sum(piece.tokens for piece in mine) == tokens_in(script.text(phase))
        assert all(piece.tokens > 0 and piece.text for piece in mine)
    assert [p.phase for p in pieces] == sorted((p.phase for p in pieces), reverse=True), "the thought comes first"
    assert [(p.phase, p.tokens) for p in script.pieces(0, script.tokens)] == list(script.phases(0, script.tokens))
    assert script.tokens >= 1 and (thinking or script.thought_tokens == 0)
    if cap is not None:
        assert script.tokens <= cap
        assert (script.tokens == cap) or (script.finish_reason == "stop" and not fill)


@pytest.mark.parametrize(("effort", "most"), [(0.5, None), (1.0, None), (3.0, None), (3.0, 7), (1.0, 0)])
def test_thoughts_are_as_long_as_the_effort_and_no_longer_than_their_cap(effort, most):
    for number in range(20):
        plain = write(f"question {number}")
        script = write(f"question {number}", effort=effort, thought_cap=most)
        told = min(AUTHOR.lengths.thought_max, round(plain.thought_tokens * effort))
        assert script.thought_tokens == (told if most is None else min(told, most))
        assert script.answer == plain.answer, "the answer is another matter"


def test_a_cap_cuts_answer_or_thought():
    whole = write()
    in_answer, in_thought = write(cap_tokens=whole.tokens - 1), write(cap_tokens=3)
    assert (whole.finish_reason, in_answer.finish_reason, in_thought.finish_reason) == ("stop", "length", "length")
    assert in_answer.text("r") == whole.text("r") and whole.text("a").startswith(in_answer.text("a"))
    assert (in_thought.thought_tokens, in_thought.answer) == (3, ())
    assert write(cap_tokens=whole.tokens) == whole


def test_fill_goes_on_to_the_cap():
    whole, filled = write(), write(cap_tokens=500, fill=True)
    assert filled.tokens == 500 and filled.finish_reason == "length"
    assert filled.text("a").startswith(whole.text("a"))


def test_lengths_follow_their_lognormal():
    thoughts = sorted(write(f"q{i}").thought_tokens for i in range(800))
    assert thoughts[400] == pytest.approx(40, rel=0.08)
    assert thoughts[672] / thoughts[400] == pytest.approx(2.718**0.5, rel=0.15)  # one sigma up


KEY = AnswerKey(by_line={"What is 2 + 2?": "The answer is 4."})


def test_known_answers_end_the_text_and_are_right_as_often_as_told():
    author = replace(AUTHOR, key=KEY)
    script = write("[session 1]\nBe brief.\n\n  What is 2 + 2?  ", author)
    assert script.text("a").endswith("\n\nThe answer is 4.")
    assert not write("What is 2 + 2", author).text("a").endswith("4."), "a whole line, not a part of one"
    some = replace(author, right_share=0.8)
    right = sum(write(f"{i}\nWhat is 2 + 2?", some).text("a").endswith(" 4.") for i in range(500))
    assert right / 500 == pytest.approx(0.8, abs=0.06)
    assert write("1\nWhat is 2 + 2?", replace(author, right_share=0.0)).text("a").endswith("The answer is 5.")


def test_an_answer_may_be_known_by_the_hash_of_its_prompt():
    key = AnswerKey(by_sha256={hashlib.sha256(b"Why?").hexdigest(): "Because 7."})
    assert write("Why?", replace(AUTHOR, key=key)).text("a").endswith("Because 7.")


@pytest.mark.parametrize(
    ("answer", "looks"),
    [("The answer is 41.", "The answer is 42."), ("9", "0"), ("答案：19", "答案：10"), ("yes", "I do not know.")],
)
def test_wrong_answers_look_like_right_ones(answer, looks):
    assert wrong(answer) == looks


def test_faults_cut_scripts_short_and_change_nothing_else():
    faulty = replace(AUTHOR, error_share=0.3, cut_share=0.2)
    pairs = [(write(f"q{i}"), write(f"q{i}", faulty)) for i in range(600)]
    shares = [sum(ended.fault == kind for _, ended in pairs) / 600 for kind in ("error", "cut")]
    assert shares == pytest.approx([0.3, 0.2], abs=0.06)
    for whole, ended in pairs:
        if ended.fault is None:
            assert ended == whole
        else:
            assert 1 <= ended.tokens <= whole.tokens and whole.text("r").startswith(ended.text("r"))


def test_prompt_tokens_are_counted_on_the_rendered_prompt():
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "x" * 400})
    rendered = render_prompt(messages)
    assert tokens_in(rendered) == -(-len(rendered) // TOKEN_CHARS) > 100


def test_answers_file(tmp_path):
    path = tmp_path / "answers.jsonl"
    lines = [{"contains": " What is 2 + 2? ", "answer": "4"}, {"prompt_sha256": "AB", "answer": "5"}]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n", encoding="utf-8")
    assert read_answers(path) == AnswerKey(by_line={"What is 2 + 2?": "4"}, by_sha256={"ab": "5"})


def test_every_bad_line_of_an_answers_file_is_told(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(
        '{"contains": "a", "answer": "4"}\nnot json\n{"answer": "4"}\n{"contains": "", "answer": "4"}\n[]\n'
    )
    with pytest.raises(InputError) as caught:
        read_answers(path)
    assert [mistake.key for mistake in caught.value.mistakes] == ["line 2", "line 3", "line 4", "line 5"]
    with pytest.raises(InputError, match="No such file"):
        read_answers(tmp_path / "none.jsonl")
