"""Our locustfile beside user code that blocks Locust's hub: 50 ms of every 150, as a careless task would."""

import time

import gevent

from loadtests.locustfile import *  # noqa: F403

BUSY_S, FREE_S = 0.05, 0.1


def _hog() -> None:
    while True:
        until = time.perf_counter() + BUSY_S
        while time.perf_counter() < until:
            pass
        gevent.sleep(FREE_S)


gevent.spawn(_hog)
