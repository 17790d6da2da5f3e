"""`trueyield claims`: the table, the story of one, and a run beside it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.claims import command
from harness.config.claims import load_claims
from harness.report.contents import read_sweep_contents
from harness.report.screen import frontier
from tests.conftest import ROOT

EXAMPLE = ROOT / "results/example"


def shown(*arguments: str) -> str:
    found = CliRunner().invoke(command, list(arguments), env={"COLUMNS": "80", "NO_COLOR": "1"}, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def trueyield(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "harness", "claims", *arguments]
    return subprocess.run(program, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_table_has_a_line_for_every_claim_within_80_columns() -> None:
    lines = shown().splitlines()
    assert max(map(len, lines)) <= 80
    for claim in load_claims().values():
        row = next(line for line in lines if line.startswith(f" {claim.id} "))
        assert claim.short in row and row.endswith(("holds", "holds if", "refuted", "not verifiable"))
    assert "..." not in "".join(line for line in lines if line.startswith(" "))


def test_a_topic_is_part_of_the_table() -> None:
    lines = shown("--topic", "sglang").splitlines()
    assert [line.split()[0] for line in lines if line.startswith(" S")] == ["S1", "S2", "S3", "S4", "S5", "S6"]
    assert not any(line.startswith(" A") for line in lines)


@pytest.mark.parametrize("name", load_claims())
def test_every_story_is_whole_and_fits(name: str) -> None:
    claim, text = load_claims()[name], shown(name.lower())
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    for part in (claim.statement, claim.who, claim.said, claim.source, "formula", "stated for"):
        assert " ".join(part.split()) in flat, part


def test_a_story_names_bases_dates_and_doubts() -> None:
    text = shown("E2")
    for part in ("list, Oracle, 2026 (its own)", "its own decides, 0 of 4 others agree",
                 "owner, 2026-09", "22.58x", "gb200-nvl72-oracle: unverified",
                 "HOLDS IF", "what would have to be true", "1.87x"):  # fmt: skip
        assert part in text, part


def test_json_of_all_and_of_one() -> None:
    everything = json.loads(shown("--json"))["claims"]
    assert [claim["id"] for claim in everything] == list(load_claims())
    one = json.loads(shown("A1", "--json"))
    assert one["verdict"]["verdict"] == "holds"
    assert one["verdict"]["checks"][0]["recomputed"] == pytest.approx(5.4547, rel=1e-4)
    assert one["vector"]["mtp"] is None


def test_a_run_is_compared_only_over_stated_conditions() -> None:
    text = shown("A1", "--run", str(EXAMPLE))
    assert "NOT COMPARABLE" in text.splitlines()[0]
    assert "bound fraction: DeepSeek 37-43 % (DS7), you 72 %" in text
    assert max(map(len, text.splitlines())) <= 80
    found = json.loads(shown("A1", "--run", str(EXAMPLE), "--json"))
    kinds = {row["name"]: row["agrees"] for row in found["conditions"]}
    assert kinds["precision"] is True and kinds["accelerator"] is False and kinds["mtp"] is None
    assert found["comparable"] is False
    told = json.loads((EXAMPLE / "economics.json").read_text())["bound_fraction"]
    assert found["run_bound_fraction"] == told == pytest.approx(0.72, abs=0.01), "the simulator's own efficiency"
    assert "545" not in text and "5.45" not in text, "a published figure is never set beside another run's"


def test_conditions_that_agree_make_a_run_comparable(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(EXAMPLE, folder)
    text = shown("D4", "--run", str(folder))  # 2 x H100: the same; the model is another
    agree = text[text.index("agree") : text.index("unknown to one")]
    assert "accelerator" in agree and "gpus" in agree and "model" not in agree
    assert "states too little to compute its bound" in text
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["endpoint"]["deployment"]["model"]["name"] = "llama-3-70b"
    manifest["endpoint"]["deployment"]["precision"] = "fp16"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    run = json.loads((folder / "run.json").read_text())
    run["throughput"]["output_tokens_per_s_per_user"] = 148.0
    (folder / "run.json").write_text(json.dumps(run))
    text = shown("D4", "--run", str(folder))
    assert "NOT COMPARABLE" not in text
    assert "no stated condition differs" in " ".join(text.split())


def test_without_an_id_a_run_stands_beside_every_bound() -> None:
    text = shown("--run", str(EXAMPLE))
    assert "DeepSeek 37-43 % (DS7), you 72 %" in text and "LMSYS 56-64 % (S3), you 72 %" in text
    assert "10 differ, 2 unknown" in text and max(map(len, text.splitlines())) <= 80
    assert len(json.loads(shown("--run", str(EXAMPLE), "--json"))["comparisons"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("A0",), "did you mean"),
        (("--topic", "SGlung"), "SGLang, 96 H100"),
        (("--topic", "SRAM", "--run", "results/example"), "an ID, or another --topic"),
        (("A1", "--run", "nowhere"), "does not exist"),
        (("A1", "--run", "tests"), "expected run.json"),
    ],
)
def test_mistakes_end_with_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    found = trueyield(*arguments)
    assert found.returncode == 2, found.stderr
    assert message in found.stderr and "Traceback" not in found.stderr


def test_the_table_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['trueyield', 'claims']\n"
        "from harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('pandas', 'numpy', 'scipy', 'plotly', 'pyarrow', 'locust') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.splitlines()[-1] == "[]"


def test_of_a_sweep_the_quoted_level_is_compared(tmp_path: Path) -> None:
    rates = {4: 300.0, 8: 549.0}
    for users, rate in rates.items():
        level = tmp_path / f"users-{users}"
        shutil.copytree(EXAMPLE, level)
        for name, changes in (
            ("run.json", {"run_id": level.name}),
            ("economics.json", {"run_id": level.name, "bound_fraction": rate / 1000}),
        ):
            found = json.loads((level / name).read_text())
            (level / name).write_text(json.dumps(found | changes))
    levels = [{"users": users, "run": f"users-{users}"} for users in rates]
    sweep = {"schema": 1, "sweep_id": "s", "scenario": "quick", "endpoint": "simulator", "levels": levels}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    best = frontier(read_sweep_contents(tmp_path)).best
    found = json.loads(shown("DS7", "--run", str(tmp_path), "--json"))
    assert best is not None and found["run_id"] == best.name
    assert found["run_bound_fraction"] == rates[int(best.name.partition("-")[2])] / 1000
