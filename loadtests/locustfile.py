"""locust -f loadtests/locustfile.py: wires users, options, collector, web UI and exporter into Locust. Nothing else."""

import sys
from pathlib import Path
from typing import Any

from locust import events

if str(Path(__file__).parent.parent) not in sys.path:  # run by path, from any folder, without an installation
    sys.path.append(str(Path(__file__).parent.parent))

from harness.errors import ExitCode, TrueyieldError
from loadtests.collect import join
from loadtests.exporter import serve_metrics
from loadtests.options import add_arguments
from loadtests.progress import show_progress
from loadtests.users import ScenarioUser
from loadtests.webui import extend_web_ui

__all__ = ["ScenarioUser"]


@events.init_command_line_parser.add_listener
def _(parser: Any) -> None:
    add_arguments(parser)


@events.init.add_listener
def _(environment: Any, web_ui: Any = None, **_: Any) -> None:
    try:
        desk = join(environment)
        if desk is None:
            return
        if web_ui is not None:
            extend_web_ui(environment, web_ui, desk)
        else:
            serve_metrics(desk)
        show_progress(environment, desk)
    except TrueyieldError as error:
        print(f"trueyield: {error}", *([f"next: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception:
        environment.process_exit_code = int(ExitCode.BUG)
        raise
