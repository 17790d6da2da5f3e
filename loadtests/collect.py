"""Who talks to whom: plan from the desk to the stations, batches back. One function for each role of a process."""

import logging
import tempfile
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from harness.errors import TrueyieldError
from harness.load.clock import now_ns, wall_ns
from harness.load.scenarios import Plan
from harness.load.stages import LEAD_S, lead_seconds
from loadtests.desk import Desk, Run
from loadtests.ending import end_master, end_run, end_single, end_worker, hush_interrupts
from loadtests.options import UNSET_STOP_TIMEOUT, Start, snapshot
from loadtests.overload import watch_overload
from loadtests.shipping import Batch, from_wire, to_wire
from loadtests.station import Station, Wires
from loadtests.users import report

log = logging.getLogger(__name__)

PLAN = "trueyield_plan"
PLAN_WANTED = "trueyield_plan_wanted"
BATCH = "trueyield_batch"
TROUBLE = "trueyield_trouble"
BOOKS_CLOSED = "trueyield_books_closed"
HURRY = "trueyield_hurry"

#: An open loop's last planned calls leave before its users are told to stop.
_TAIL_S = 0.2


def join(environment: Any) -> Desk | None:
    """Wire this process for its role; the desk where this process is the one that reports. Raises TrueyieldError."""
    hush_interrupts()
    options: Namespace = environment.parsed_options
    if isinstance(environment.runner, WorkerRunner):
        _join_worker(environment)
        return None
    start = snapshot(options)
    distributed = isinstance(environment.runner, MasterRunner)
    desk = Desk(start, distributed=distributed)
    if start.headless or options.autostart:
        plan = desk.prepare(None, max(2, options.expect_workers) if distributed else 1)
        _fill_in(options, plan)
        _take_stop_timeout(environment, start, plan)
    if distributed:
        _join_master(environment, desk)
    else:
        _join_single(environment, desk)
    environment.trueyield_desk = desk
    return desk


def _join_single(environment: Any, desk: Desk) -> None:
    runner = environment.runner

    def trouble(reason: str) -> None:
        desk.note(reason)
        end_run(environment)

    station = Station("w0", 0, Wires(send=desk.receive, trouble=trouble, report=partial(report, environment)))
    environment.trueyield_station = station
    environment.trueyield_trouble = trouble

    def begin(**_: Any) -> None:
        run = _begin(environment, desk, {station.worker}, runner.target_user_count)
        if run is not None:
            station.open(run.plan, run.began_ns, run.books.spool_path(station.worker))

    environment.events.test_start.add_listener(begin)
    watch_overload(environment, desk, partial(_hurry, environment))
    end_single(environment, desk, station)
    station.start()


def _join_master(environment: Any, desk: Desk) -> None:
    runner = environment.runner

    def present() -> set[str]:
        return {_name(runner, client.id) for client in runner.clients.values() if client.state != STATE_MISSING}

    def send_plan(client_id: str) -> None:
        run = desk.run
        if run is not None and not run.closing:
            data = {
                "plan": msgspec.json.encode(run.plan),
                "elapsed_ns": run.elapsed_ns,
                "wall_ns": wall_ns(),
                "out": str(desk.start.out),
            }
            runner.send_message(PLAN, data, client_id)

    def begin(**_: Any) -> None:
        clients = [client.id for client in runner.clients.ready]
        if _begin(environment, desk, {_name(runner, client) for client in clients}, runner.target_user_count):
            for client in clients:  # before the spawn messages, on the same socket: it arrives first
                send_plan(client)

    def trouble(environment: Any, msg: Any) -> None:
        desk.note(str(msg.data["reason"]), invalid=True)
        end_run(environment)

    def books_closed(**_: Any) -> None:
        if desk.run is not None and desk.run.closed.is_set() and not desk.run.invalid:
            runner.send_message(BOOKS_CLOSED, {"run_id": desk.run.plan.run_id})

    def hurry(seconds: float) -> None:
        _hurry(environment, seconds)
        runner.send_message(HURRY, {"seconds": seconds})

    environment.events.test_start.add_listener(begin)
    watch_overload(environment, desk, hurry)
    environment.events.worker_connect.add_listener(lambda client_id, **_: send_plan(client_id))
    runner.register_message(PLAN_WANTED, lambda environment, msg: send_plan(msg.node_id))
    runner.register_message(BATCH, lambda environment, msg: desk.receive(from_wire(msg.data)))
    runner.register_message(TROUBLE, trouble)
    end_master(environment, desk, present)
    environment.events.test_stop.add_listener(books_closed)


def _join_worker(environment: Any) -> None:
    runner = environment.runner
    if environment.stop_timeout < 0:
        environment.stop_timeout = 0.0

    def send(batch: Batch) -> None:
        runner.send_message(BATCH, to_wire(batch))

    def trouble(reason: str) -> None:
        runner.send_message(TROUBLE, {"reason": reason})

    wires = Wires(send=send, trouble=trouble, report=partial(report, environment))
    station = Station(f"w{runner.worker_index}", runner.worker_index, wires)
    environment.trueyield_station = station
    environment.trueyield_trouble = trouble

    def take_plan(environment: Any, msg: Any) -> None:
        began_ns = _began_here(msg.data["elapsed_ns"], wall_ns() - msg.data["wall_ns"])
        plan = msgspec.json.decode(msg.data["plan"], type=Plan)
        try:
            station.open(plan, began_ns, _spool_path(msg.data["out"], plan.run_id, station.worker))
        except TrueyieldError as error:
            trouble(f"worker {station.worker}: {error}")

    def ask_for_plan(**_: Any) -> None:
        if station.waiting:
            runner.send_message(PLAN_WANTED, {})

    environment.events.test_start.add_listener(ask_for_plan)
    runner.register_message(PLAN, take_plan)
    runner.register_message(HURRY, lambda environment, msg: _hurry(environment, msg.data["seconds"]))
    runner.register_message(BOOKS_CLOSED, lambda environment, msg: station.forget_spool(msg.data["run_id"]))
    end_worker(environment, station)
    station.start()
    runner.send_message(PLAN_WANTED, {})  # a plan that came before we listened is sent again


def _began_here(elapsed_ns: int, travel_ns: int) -> int:
    """The common start on our clock. `travel_ns`: how long the message took, if the two wall clocks agree."""
    believable = 0 <= travel_ns < round(LEAD_S * 1e9)
    return now_ns() - elapsed_ns - (travel_ns if believable else 0)


def _begin(environment: Any, desk: Desk, workers: set[str], users: int) -> Run | None:
    """Open the books of the next run; where that fails, no user may start."""
    try:
        run = desk.begin(workers, users)
    except TrueyieldError as error:
        log.error("%s", error)
        desk.failed = error
        environment.stop_timeout = 0.0  # the users wait for a plan that does not come
        end_run(environment)
        return None
    _take_stop_timeout(environment, desk.start, run.plan)
    return run


def _fill_in(options: Namespace, plan: Plan) -> None:
    """Headless: what nobody typed comes from the scenario, not from Locust's defaults (1 user, for ever)."""
    scenario = plan.scenario
    options.num_users = scenario.users
    options.spawn_rate = scenario.spawn_rate or float(scenario.users)
    options.run_time = scenario.run_time_s
    if scenario.arrivals.open_loop:
        options.run_time += lead_seconds(scenario) + _TAIL_S


def _take_stop_timeout(environment: Any, start: Start, plan: Plan) -> None:
    typed = start.values["stop_timeout"]
    environment.stop_timeout = plan.scenario.stop_timeout_s if typed == UNSET_STOP_TIMEOUT else typed


def _hurry(environment: Any, seconds: float) -> None:
    """This run's drain is over after `seconds`; the next run's is what it was."""
    environment.stop_timeout = min(environment.stop_timeout, seconds)


def _spool_path(out: str, run_id: str, worker: str) -> Path:
    """In the run's own folder (on this machine it may be the only copy), else where temporary files go."""
    folder = Path(out) / run_id / "spool"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / "trueyield" / run_id / "spool"
    return folder / f"{worker}.jsonl"


def _name(runner: Any, client_id: str) -> str:
    return f"w{runner.get_worker_index(client_id)}"
