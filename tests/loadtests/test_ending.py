"""A run that is told to stop many times stops once."""

from types import SimpleNamespace

import gevent

from loadtests.ending import end_run


def test_every_refused_user_asks_and_one_stop_is_made() -> None:
    stops: list[int] = []

    def quit_slowly() -> None:
        stops.append(1)
        gevent.sleep(0.01)

    environment = SimpleNamespace(
        runner=SimpleNamespace(quit=quit_slowly), parsed_options=SimpleNamespace(headless=True)
    )
    for _ in range(50):
        end_run(environment)
    gevent.sleep(0.05)
    assert len(stops) == 1
    end_run(environment)  # of the next run
    gevent.sleep(0.05)
    assert len(stops) == 2
