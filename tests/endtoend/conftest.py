"""One run that several pages look at."""

from pathlib import Path

import pytest

from tests.endtoend.known import run_known


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run on the known entry; see known.py."""
    home = tmp_path_factory.mktemp("known")
    run_known(home)
    return home
