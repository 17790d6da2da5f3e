"""The documents cannot drift: commands run, keys and names they promise exist, links lead somewhere."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import COMMANDS, cli
from harness.errors import Outcome
from harness.measure.metrics import METRICS

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_in_the_glossary(metric: str) -> None:
    assert f"`{metric}`" in (ROOT / "docs/glossary.md").read_text()


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_in_the_glossary(outcome: Outcome) -> None:
    assert f"`{outcome.value}`" in (ROOT / "docs/glossary.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_place_in_the_readme(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Usage:" in shown.output
    assert f"`{name}`" in (ROOT / "README.md").read_text() or f"trueyield {name}" in (ROOT / "README.md").read_text()


def test_the_readme_shows_real_make_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text()):
        assert target in targets, f"README names make {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`((?:harness|loadtests|tests|benchmarks|docs)/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists(), f"{page.name} names {name}"
