"""One simulated endpoint for the session: about 10 ms a token, so that calls are under way when a run is stopped."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "load"))  # raw_server

from locust_processes import Simulator, simulate


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulate(tmp_path_factory.mktemp("simulator"), "--efficiency", "0.15") as running:
        yield running
