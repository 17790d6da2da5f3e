"""One simulated endpoint for the session."""

from collections.abc import Iterator

import pytest
from locust_processes import Simulator, simulate


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulate(tmp_path_factory.mktemp("simulator")) as running:
        yield running
