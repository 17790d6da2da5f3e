"""A run that is told to stop many times stops once. In a process of its own: importing locust patches the process."""

import subprocess
import sys

PROGRAM = """
from types import SimpleNamespace
import gevent
from loadtests.ending import end_run

stops = []

def quit_slowly():
    stops.append(1)
    gevent.sleep(0.01)

environment = SimpleNamespace(runner=SimpleNamespace(quit=quit_slowly), parsed_options=SimpleNamespace(headless=True))
for _ in range(50):
    end_run(environment)
gevent.sleep(0.05)
assert len(stops) == 1, stops
end_run(environment)  # of the next run
gevent.sleep(0.05)
assert len(stops) == 2, stops
print("fine")
"""


def test_every_refused_user_asks_and_one_stop_is_made() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.stdout == "fine\n", done.stderr
