"""One run that several pages look at."""

from pathlib import Path

import pytest

from tests.endtoend.known import run_known
from tests.machine import quietest


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run on the known entry; see known.py. On a restless machine the quieter of two."""
    return quietest(tmp_path_factory.mktemp("known"), run_known)[0]
