"""A user that two overlapping stops reach: asked once, waited for the second time, never an exception."""

import subprocess
import sys

PROGRAM = """
from locust.env import Environment
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING
from loadtests.users import ScenarioUser

user = ScenarioUser(Environment())
user._state = LOCUST_STATE_RUNNING
assert user.stop() is False
assert user._state == LOCUST_STATE_STOPPING
assert user.stop() is False, "the second stop, of another greenlet"
print("fine")
"""


def test_a_second_stop_only_waits() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.stdout == "fine\n", done.stderr
