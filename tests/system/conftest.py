"""Debian parts for the system tests: Chromium through playwright, and a run that is measured once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.endtoend.command import only_run, trueyield

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real browser without a screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short sweep of the embedded simulator."""
    out = tmp_path_factory.mktemp("sweep")
    ended = trueyield(
        "sweep", "reasoning", "--endpoint", "simulator", "--users", "2,8", "--run-time", "8s", "--out", out,
        seconds=200,
    )  # fmt: skip
    assert ended.code == 0, ended.out + ended.err
    return only_run(out)
