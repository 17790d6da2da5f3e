"""The helpers of tests/loadtests, here too."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "loadtests"))

from locust_processes import KEY, Simulator, simulate


@pytest.fixture(scope="session")
def locked_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A simulated endpoint that asks for a key."""
    with simulate(tmp_path_factory.mktemp("locked"), TRUEYIELD_SIM_KEY=KEY) as running:
        yield running
