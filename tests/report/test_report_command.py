import json

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import InputError
from tests.report import report_samples as samples

MADE = ("run.json", "economics.json", "verdicts.json", "report.html")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], standalone_mode=False)


def code(result: Result) -> int:
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0)


def bare(folder, **options: object):
    """A folder as a run leaves it: manifest and records only."""
    samples.write_folder(folder, samples.run_result(), None, samples.endpoint(), **options)  # type: ignore[arg-type]
    (folder / "run.json").unlink()
    return folder


def test_everything_that_is_missing_is_made(tmp_path) -> None:
    result = run("report", bare(tmp_path))
    assert code(result) in (0, 3, 4)
    assert [name for name in MADE if not (tmp_path / name).is_file()] == []
    assert "1,000 useful answers" in result.stdout
    assert str(tmp_path / "report.html") in result.stderr


def test_what_is_there_is_kept_unless_asked_for(tmp_path) -> None:
    samples.seller(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    assert code(run("report", tmp_path)) == 0
    assert (tmp_path / "run.json").read_bytes() == before
    run("report", tmp_path, "--anew")
    assert (tmp_path / "run.json").read_bytes() != before


@pytest.mark.parametrize(("sample", "expected"), [("seller", 0), ("invalid", 4), ("buyer", 0), ("owner", 0)])
def test_the_exit_code_tells_what_became_of_the_run(tmp_path, sample: str, expected: int) -> None:
    assert code(run("report", samples.RUNS[sample](tmp_path))) == expected


def test_a_failed_gate_of_the_scenario_is_exit_3(tmp_path) -> None:
    spread = samples.metrics() | {"ttft_s": samples.distribution(1.0, 2.5, 4.0)}
    assert code(run("report", samples.seller(tmp_path, metrics=spread))) == 3


def test_an_invalid_run_is_exit_4_whatever_its_gates_say(tmp_path) -> None:
    spread = samples.metrics() | {"ttft_s": samples.distribution(1.0, 2.5, 4.0)}
    folder = samples.seller(tmp_path, metrics=spread, valid=False, invalid_reasons=("late",))
    assert code(run("report", folder)) == 4
    assert code(run("gate", folder)) == 4


def test_json_is_one_document(tmp_path) -> None:
    result = run("report", samples.seller(tmp_path), "--json")
    document = json.loads(result.stdout)
    assert set(document) == {"run", "economics", "verdicts"}
    assert document["economics"]["owner"]["usd_per_1k_useful"] == 3.7
    assert len(document["verdicts"]) == 2


def test_a_sweep_gets_a_report_and_one_for_each_level(tmp_path) -> None:
    result = run("report", samples.sweep(tmp_path))
    assert code(result) == 0
    assert len(list(tmp_path.glob("*/report.html"))) == 4 and (tmp_path / "report.html").is_file()
    document = json.loads(run("report", tmp_path, "--json").stdout)
    assert document["best"] == "users-96" and [level["users"] for level in document["levels"]] == [8, 32, 96, 192]


def test_a_sweep_with_a_lost_level_is_invalid_and_still_reported(tmp_path) -> None:
    samples.sweep(tmp_path)
    (tmp_path / "users-32" / "manifest.json").unlink()
    result = run("report", tmp_path)
    assert code(result) == 4
    assert (tmp_path / "report.html").is_file()
    assert "users-32" in result.stderr


def test_a_page_that_cannot_be_written_loses_nothing_else(tmp_path, monkeypatch) -> None:
    def broken(folder: object) -> None:
        raise OSError("disk is full")

    monkeypatch.setattr("harness.cli.report.write_report", broken)
    result = run("report", samples.seller(tmp_path))
    assert code(result) == 1
    assert "$3.70" in result.stdout and "disk is full" in result.stderr


def test_a_run_that_cannot_be_priced_is_still_reported(tmp_path, monkeypatch) -> None:
    def broken(folder: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr("harness.cli.report.price", broken)
    result = run("report", bare(tmp_path))
    assert code(result) in (1, 3, 4)
    assert "no luck" in result.stderr and (tmp_path / "report.html").is_file()


def test_a_gate_of_the_scenario_that_cannot_be_read_has_not_passed(tmp_path) -> None:
    folder = samples.seller(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["scenario"]["gates"] = ["p99(tfft_s) < 1"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert code(run("report", folder)) == 3
    assert "did you mean ttft_s" in (folder / "verdicts.json").read_text()


def test_a_folder_that_is_no_run_is_bad_input(tmp_path) -> None:
    with pytest.raises(InputError):
        code(run("report", tmp_path))
    with pytest.raises(InputError):
        code(run("gate", tmp_path, "p99(ttft_s) < 1"))


@pytest.mark.parametrize(
    ("gate", "expected"), [("p99(ttft_s) < 2", 0), ("p99(ttft_s) < 1", 3), ("p50(think_s) > 0", 0)]
)
def test_gate_judges_and_writes(tmp_path, gate: str, expected: int) -> None:
    folder = samples.seller(tmp_path)
    result = run("gate", folder, gate)
    assert code(result) == expected
    assert gate in result.stdout and (folder / "verdicts.json").is_file()


def test_gate_without_gates_takes_those_of_the_scenario(tmp_path) -> None:
    result = run("gate", samples.seller(tmp_path), "--json")
    document = json.loads(result.stdout)
    assert [verdict["gate"] for verdict in document["verdicts"]] == ["p90(ttft_s) < 2", "share(failed) < 0.05"]
    assert document["passed"] is True
