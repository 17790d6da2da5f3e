"""The end of a run, so that nothing is lost: drain, last batches, closed books, our exit code.

Stock Locust does not wait for its workers: a headless master says "quit", sleeps half a second and leaves, and what
its workers finish after that is gone. Here the master first stops the users and waits; a worker sends what it has
before it says goodbye; and both hold for -t, SIGTERM and Ctrl-C, in one process or many.
"""

import ctypes
import logging
import signal
from collections.abc import Callable
from typing import Any

import gevent
from gevent.lock import RLock
from locust import log as locust_log
from locust.rpc import Message
from locust.runners import STATE_STOPPING

from harness.errors import ExitCode
from harness.load.clock import now_ns
from loadtests.desk import Desk
from loadtests.station import Station

log = logging.getLogger(__name__)

#: Locust's master gives its workers this long beyond the stop timeout.
STOP_GRACE_S = 60
#: How long a second Ctrl-C waits for users to leave a censored record.
KILL_LIMIT_S = 5.0

_PR_SET_PDEATHSIG = 1


def end_worker(environment: Any, station: Station) -> None:
    """Wire the end of a worker process."""
    runner = environment.runner

    def last_words(**_: Any) -> None:
        station.finish(float(environment.stop_timeout or 0))
        runner._send_stats()  # Locust sends its own last window only when told to quit, which can be too late
        environment.stop_timeout = 0  # else the worker sleeps that long before it is ready again

    def leave(**_: Any) -> None:
        _drain(environment, last_words)
        station.close()
        if environment.process_exit_code is None:
            environment.process_exit_code = 0  # failed requests are the master's business

    environment.events.test_stop.add_listener(last_words)
    environment.events.quitting.add_listener(leave)
    if getattr(environment.parsed_options, "processes", None):
        die_with_parent()


def end_master(environment: Any, desk: Desk, present: Callable[[], set[str]]) -> None:
    """Wire the end of a master: `runner.quit` stops and waits before it tells anyone to leave."""
    runner = environment.runner
    stock_quit = runner.quit
    lock = RLock()

    def patient_quit() -> None:
        with lock:  # it is called two or three times, from several greenlets
            known = list(runner.clients)
            runner.stop()
            _wait_for_users(environment)  # stock quit makes the master deaf: not while another greenlet still stops
            desk.close(present)
            for client_id in known:  # they signed off when they stopped; stock quit would not reach them
                runner.server.send_to_client(Message("quit", None, client_id))
            stock_quit()

    stock_send = runner.server.send_to_client

    def send(message: Message) -> None:
        if message.type == "spawn" and desk.is_stopping:
            return  # a ramp that goes on in another greenlet would start users that nobody stops
        stock_send(message)

    runner.quit = patient_quit
    runner.server.send_to_client = send
    environment.events.test_stopping.add_listener(lambda **_: desk.stopping())
    environment.events.test_stop.add_listener(lambda **_: desk.close(present))
    environment.events.quitting.add_listener(lambda **_: _leave(environment, desk, lambda: desk.close(present, 5.0)))


def end_single(environment: Any, desk: Desk, station: Station) -> None:
    """Wire the end of a single process."""

    def last_words(**_: Any) -> None:
        station.finish(float(environment.stop_timeout or 0))
        desk.close()

    def leave(**_: Any) -> None:
        _leave(environment, desk, last_words)
        station.close()

    environment.events.test_stopping.add_listener(lambda **_: desk.stopping())
    environment.events.test_stop.add_listener(last_words)
    environment.events.quitting.add_listener(leave)


def die_with_parent() -> None:
    """A forked worker must not go on loading the target when its master was killed."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def hush_interrupts() -> None:
    """Ctrl-C is an order, not an error: gevent need not print a traceback of it."""
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)


def end_run(environment: Any) -> None:
    """Stop the run from inside, in a greenlet of its own (the caller may be one of the users).

    Every user whom a spent budget refuses asks for it; a stop looks at every user, so one of them must do.
    """
    ending, runner = getattr(environment, "trueyield_ending", None), environment.runner
    if ending is None or ending.ready():
        environment.trueyield_ending = gevent.spawn(runner.quit if environment.parsed_options.headless else runner.stop)


def _leave(environment: Any, desk: Desk, close: Callable[[], None]) -> None:
    """`quitting` on master or single process; it may fire twice."""
    _drain(environment, close)
    try:
        code = desk.exit_code()
    except KeyboardInterrupt:
        code = int(ExitCode.INVALID)
        log.error("interrupted before the report was written; the records are safe")
    desk.startup.close()
    if code is None and environment.parsed_options.headless:
        log.error("no run was made")
        code = int(ExitCode.INVALID)
    if code == ExitCode.PASSED and locust_log.unhandled_greenlet_exception:
        code = int(ExitCode.BUG)
    environment.process_exit_code = int(ExitCode.PASSED) if code is None else code


def _drain(environment: Any, close: Callable[..., None]) -> None:
    """Stop users patiently; a Ctrl-C meanwhile kills them, and what they had becomes censored records."""
    runner = environment.runner
    try:
        runner.stop()
        _wait_for_users(environment)
        close()
    except KeyboardInterrupt:
        environment.stop_timeout = 0
        runner.user_greenlets.kill(block=True, timeout=KILL_LIMIT_S)
        close()


def _wait_for_users(environment: Any) -> None:
    """A master's stop() returns at once where another greenlet is stopping already: let that one finish."""
    runner = environment.runner
    give_up_ns = now_ns() + int((environment.stop_timeout + STOP_GRACE_S) * 1e9)
    while runner.state == STATE_STOPPING and runner.user_count and now_ns() < give_up_ns:
        gevent.sleep(0.1)
