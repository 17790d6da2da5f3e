"""Grade: a prompt_id and the text of an answer in; right, wrong or not checkable out."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from harness.load.datasets import row_of
from harness.load.prompts import problem_of
from harness.measure.folder import read_answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """`right` is None where no checker exists for the prompt."""

    right: bool | None
    expected: str | None = None
    extracted: str | None = None


NO_CHECKER = Grade(right=None)


def grade(prompt_id: str | None, text: str | None) -> Grade:
    """Check one answer text against the problem that its prompt_id names."""
    if prompt_id is None or text is None:
        return NO_CHECKER
    try:
        if prompt_id.startswith("file:"):
            row = row_of(prompt_id)
            if row.answer is None:
                return NO_CHECKER
            reading = row.check(text)
            return Grade(right=reading.right, expected=row.answer, extracted=reading.extracted)
        problem = problem_of(prompt_id)
    except (KeyError, ValueError):
        return NO_CHECKER
    reading = problem.check(text)
    return Grade(right=reading.right, expected=problem.expected, extracted=reading.extracted)


def grades_of(folder: Path, wanted: Container[str] | None = None) -> dict[str, Grade]:
    """Grades of the answers that a run folder kept, by request_id (of `wanted` ones only, if given)."""
    return {
        line.request_id: grade(line.prompt_id, line.answer)
        for line in read_answers(folder)
        if wanted is None or line.request_id in wanted
    }
