"""show_progress: one line about the running test on a terminal, plain lines every ten seconds elsewhere (stderr)."""

import logging
import os
import sys
from typing import Any

import gevent

from harness.load.orders import OPEN_END_S
from harness.report.tally import Figures
from loadtests.desk import Desk, Run

PLAIN_EVERY_S = 10
#: Set by `trueyield run`: our line instead of Locust's tables.
VARIABLE = "TRUEYIELD_PROGRESS"


def show_progress(environment: Any, desk: Desk) -> None:
    """Watch the run: always for the exporter's gauges, on the terminal where `trueyield run` started us."""
    visible = os.environ.get(VARIABLE) == "1"
    if visible:
        logging.getLogger("locust.stats_logger").setLevel(logging.WARNING)
    gevent.spawn(_watch, environment, desk, visible)


def progress_line(run: Run, figures: Figures, users: int) -> str:
    """For example: 0:42 left  32 users  in flight 31  done 118  failed 0  1,204 tok/s  TTFT p50 0.21 s  $0.0031"""
    elapsed_s = run.elapsed_ns / 1e9
    run_time_s = run.plan.scenario.run_time_s
    if run.stopped_ns is not None:
        time = "draining"
    elif run_time_s >= OPEN_END_S:
        time = f"{_clock(elapsed_s)} gone"
    else:
        time = f"{_clock(max(run_time_s - elapsed_s, 0))} left"
    parts = [time, f"{users} users", f"in flight {run.in_flight}", f"done {figures.ok}", f"failed {figures.failed}"]
    if figures.output_tokens_per_s is not None:
        parts.append(f"{figures.output_tokens_per_s:,.0f} tok/s")
    if figures.ttft_p50_s is not None:
        parts.append(f"TTFT p50 {figures.ttft_p50_s:.2f} s")
    if figures.usd is not None:
        parts.append(f"${figures.usd:.4f}")
    return "  ".join(parts)


def _watch(environment: Any, desk: Desk, visible: bool) -> None:
    terminal = sys.stderr.isatty()
    second, shown = 0, False
    while True:
        gevent.sleep(1)
        run = desk.run
        if run is None:
            continue
        users = environment.runner.user_count
        run.live.set_users(users)
        if run.closed.is_set():
            if shown and visible and terminal:
                _draw("")
            shown = False
            continue
        shown = True
        second += 1
        if visible and terminal:
            _draw(progress_line(run, desk.figures(), users))
        elif visible and second % PLAIN_EVERY_S == 0:
            print(progress_line(run, desk.figures(), users), file=sys.stderr, flush=True)


def _draw(line: str) -> None:
    width = os.get_terminal_size(sys.stderr.fileno()).columns
    sys.stderr.write(f"\r\x1b[2K{line[: width - 1]}")
    sys.stderr.flush()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
