"""The committed example run: today's code makes the same figures of its records, and it names no machine."""

import json
import math
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.records import read_manifest, read_records

EXAMPLE = Path(__file__).parent.parent / "results" / "example"
FILES = {path.name: path for path in EXAMPLE.iterdir()}
MADE_AGAIN = "where the new figures are meant: trueyield report results/example --anew, and look at the difference"


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Paths at which two documents differ; floats may differ in their last digits (order of summation)."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{at}.{key}: only in one" for key in one.keys() ^ other.keys()]
        for key in one.keys() & other.keys():
            found += differences(one[key], other[key], f"{at}.{key}")
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line
            for number, pair in enumerate(zip(one, other, strict=True))
            for line in differences(*pair, f"{at}[{number}]")
        ]
    if isinstance(one, float) and isinstance(other, float) and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12):
        return []
    return [] if one == other and type(one) is type(other) else [f"{at}: {one!r} is now {other!r}"]


@pytest.fixture(scope="module")
def anew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of the example when only the run's own files are kept, and then made again."""
    folder = tmp_path_factory.mktemp("example")
    for name in ("manifest.json", "records.jsonl", "answers.jsonl"):
        shutil.copy(EXAMPLE / name, folder)
    for command in (["measure", "--no-parquet"], ["price"], ["report"]):
        done = CliRunner().invoke(cli, [*command, str(folder)])
        assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("name", ["run.json", "economics.json", "verdicts.json"])
def test_the_same_records_give_the_same_figures(anew: Path, name: str) -> None:
    was, is_now = json.loads((EXAMPLE / name).read_text()), json.loads((anew / name).read_text())
    assert differences(was, is_now) == [], MADE_AGAIN


def test_a_different_figure_is_noticed() -> None:
    run = json.loads((EXAMPLE / "run.json").read_text())
    changed = json.loads((EXAMPLE / "run.json").read_text())
    changed["throughput"]["output_tokens_per_s"] *= 1 + 1e-6
    changed["requests"]["ok"] += 1
    assert len(differences(run, changed)) == 2


def test_it_is_complete_and_worth_showing() -> None:
    assert FILES.keys() == {
        "manifest.json", "records.jsonl", "answers.jsonl", "run.json", "economics.json", "verdicts.json",
        "report.html",
    }  # fmt: skip
    with FILES["records.jsonl"].open("rb") as lines:
        records = list(read_records(lines))
    manifest, run = read_manifest(EXAMPLE), json.loads(FILES["run.json"].read_text())
    assert manifest.finished and run["valid"]
    assert len(records) == sum(worker.records or 0 for worker in manifest.workers.values())
    assert run["metrics"]["ttft_s"]["p90"] is not None
    assert json.loads(FILES["economics.json"].read_text())["yield_ratio"] is not None
    assert manifest.run_id in FILES["report.html"].read_text()
    assert sum(path.stat().st_size for path in FILES.values()) < 5_000_000


@pytest.mark.parametrize("name", FILES)
def test_it_names_no_machine(name: str) -> None:
    text = FILES[name].read_text()
    assert not re.findall(r"/(?:work|root|tmp|home|Users)/", text)
    host = socket.gethostname()
    assert f'"{host}"' not in text
    if len(host) >= 6:  # a shorter one may turn up in anything that is encoded
        assert host not in text


def test_its_hosts_were_replaced() -> None:
    manifest = read_manifest(EXAMPLE)
    hosts = {manifest.environment["host"], *(worker.host for worker in manifest.workers.values())}
    assert hosts == {"example-host"}
