"""Files that a user has on disk: every format is asked and checked, bad rows are told with lines."""

import json

import pytest

from harness.config import load_scenario
from harness.errors import InputError
from harness.load.datasets import FORMATS, read_dataset
from harness.load.prompts import make_prompt
from harness.measure.quality import grade

GPQA = "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\nWhich?,red,blue,green,grey\n"
FILES = {
    "gsm8k": json.dumps({"question": "2+3?", "answer": "2+3=<<5>>5\n#### 5"}),
    "math": json.dumps({"problem": "Half?", "solution": "So it is $\\boxed{\\frac{1}{2}}$."}),
    "aime": json.dumps({"Problem": "Which?", "Answer": 73}),
    "gpqa": GPQA,
    "jsonl": json.dumps({"prompt": "x?", "answer": "x^2+1"}),
    "csv": 'prompt,answer\n"two\nlines?",4\n',
    "sharegpt": json.dumps([{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yo"}]}]),
    "openai_batch": json.dumps({"custom_id": "1", "body": {"messages": [{"role": "user", "content": "Hi"}]}}),
}
RIGHT = {"gsm8k": "Answer: 5", "math": "Answer: 0.5", "aime": "\\boxed{073}", "jsonl": "Answer: x^2 + 1", "csv": "4"}
WRONG = {"gsm8k": "Answer: 6", "math": "Answer: 2", "aime": "37", "jsonl": "Answer: x^2 - 1", "csv": "Answer: 14"}


def scenario_of(tmp_path, form: str, text: str):
    (tmp_path / "data").write_text(text)
    path = tmp_path / "s.yaml"
    path.write_text(f"description: d\nworkload:\n  file: data\n  format: {form}\n")
    return load_scenario(path)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_asked_and_checked(tmp_path, form):
    workload = scenario_of(tmp_path, form, FILES[form]).workload
    prompt = make_prompt(workload, 1, 0, "n")
    assert prompt.messages[-1]["content"].startswith("[session ") and prompt.family == form
    if form == "gpqa":
        graded = [grade(prompt.prompt_id, f"Answer: {letter}").right for letter in "ABCD"]
        assert sorted(graded) == [False, False, False, True]
        right = "ABCD"[graded.index(True)]
        assert f"{right}) red" in prompt.messages[0]["content"]
    elif form in RIGHT:
        assert grade(prompt.prompt_id, RIGHT[form]).right is True
        assert grade(prompt.prompt_id, WRONG[form]).right is False
    else:
        assert grade(prompt.prompt_id, "anything").right is None


def test_a_file_that_changed_is_not_checked(tmp_path):
    prompt = make_prompt(scenario_of(tmp_path, "gsm8k", FILES["gsm8k"]).workload, 1, 0, "n")
    (tmp_path / "data").write_text(FILES["gsm8k"].replace("5", "6"))
    read_dataset.cache_clear()
    assert grade(prompt.prompt_id, "Answer: 5").right is None
    (tmp_path / "data").unlink()
    read_dataset.cache_clear()
    assert grade(prompt.prompt_id, "Answer: 5").right is None


def test_bad_rows_are_told_with_their_lines_before_anything_is_sent(tmp_path):
    lines = [FILES["gsm8k"], "{", "", '{"question": "?"}', '{"question": "?", "answer": "5"}', "[]"]
    with pytest.raises(InputError) as caught:
        scenario_of(tmp_path, "gsm8k", "\n".join(lines))
    assert [mistake.key for mistake in caught.value.mistakes] == ["line 2", "line 4", "line 5", "line 6"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("file: data", "the format of the file"),
        ("file: data\n  format: gsm9k", "gsm8k"),
        ("difficulty: 1", "families:"),
        ("file: data\n  format: csv\n  families: [arithmetic]", "families:"),
        ("file: no\n  format: csv", "UTF-8 file"),
        ("file: data\n  format: csv\n  isl: 500", "one of the two"),
    ],
)
def test_what_is_wrong_with_a_file_workload_is_told(tmp_path, lines, expected):
    (tmp_path / "data").write_text(FILES["csv"])
    (tmp_path / "s.yaml").write_text(f"description: d\nworkload:\n  {lines}\n")
    with pytest.raises(InputError) as caught:
        load_scenario(tmp_path / "s.yaml")
    assert expected in str(caught.value)
