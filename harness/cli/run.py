"""`trueyield run`: checks everything, asks the endpoint once, then becomes Locust: signals and terminal are its own."""

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from harness.cli.forecast import Forecast, forecast, is_remote
from harness.config import default_providers_path, list_scenarios, load_providers, load_scenario, read_key
from harness.config import resolve_endpoint as find_endpoint
from harness.errors import InputError, Mistake
from harness.load.limits import no_room_for
from harness.load.machine import not_allowed
from harness.load.orders import Order, make_plan, mistakes_in
from harness.load.places import child_environment, free_port, locustfile, port_taken, unwritable
from harness.load.scenarios import EFFORTS, Plan

Value = TypeVar("Value")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def span(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """60, 60s, 5m, 1h30m -> whole seconds."""
    if value is None:
        return None
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", value.strip())
    if match is None or not any(match.groups()):
        raise click.BadParameter(f"{value!r} is not a time such as 60s, 5m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


_LOAD_OPTIONS = (
    click.option("--endpoint", default="", metavar="NAME|URL", help="Entry of providers.yaml, or a base URL."),
    click.option("--model", help="Model name, where it differs from the entry's."),
    click.option("--providers", type=click.Path(path_type=Path), help="providers.yaml to use."),
    click.option("--spawn-rate", type=float, metavar="R", help="Users started per second. Default: all at once."),
    click.option("--run-time", callback=span, metavar="60s", help="Default: the scenario's."),
    click.option("--stop-timeout", callback=span, metavar="30s", help="How long answers under way may still take."),
    click.option("--processes", type=click.IntRange(1), default=1, help="Worker processes; above 1 Locust forks."),
    click.option("--max-tokens", type=int, metavar="N", help="Cap of one answer, thinking included."),
    click.option("--temperature", type=float, metavar="T", help="Sampling temperature."),
    click.option("--reasoning-effort", type=click.Choice(EFFORTS), help="How hard the model is to think."),
    click.option("--max-thinking-tokens", type=int, metavar="N", help="Cap of the thought alone (vLLM, llama.cpp)."),
    click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Extra request header. Never a key."),
    click.option("--extra-body", default="", metavar="JSON", help="Extra fields of the request body."),
    click.option("--out", type=click.Path(path_type=Path), default=Path("results"), help="Default: results/."),
    click.option("--max-usd", type=float, metavar="X", help="Stop before the run can cost more than this."),
    click.option("--max-requests", type=int, metavar="N", help="Stop after so many requests."),
    click.option("--keep-awake", is_flag=True, help="Let no CPU of this machine sleep meanwhile (root): true times."),
    click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve /metrics on 127.0.0.1 meanwhile."),
    click.option("--seed", type=int, default=1, show_default=True, help="The same seed asks the same problems."),
    click.option("--dry-run", is_flag=True, help="Print plan, tokens and worst-case cost; send nothing."),
    click.option("--yes", is_flag=True, help="Spend on a priced remote endpoint without a cap."),
)


def load_options(command: Decorated) -> Decorated:
    """The options that `run` and `sweep` share."""
    for option in reversed(_LOAD_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is not about the question or its answer: files, processes, ports."""

    providers: Path | None
    out: Path
    processes: int
    metrics_port: int | None
    yes: bool
    run_id: str = ""
    web_port: int | None = None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenario", required=False)
@click.option("--list", "list_only", is_flag=True, help="List the scenarios and stop.")
@click.option("--json", "as_json", is_flag=True, help="With --list: one JSON document on stdout.")
@click.option("--users", type=int, metavar="N", help="Users that ask at the same time. Default: the scenario's.")
@click.option("--rate", type=float, metavar="R", help="Open loop: requests/s of all users together.")
@click.option("--arrivals", type=click.Choice(["poisson", "constant", "gamma"]), help="Of --rate. Default: poisson.")
@click.option("--queue", type=int, metavar="N", help="Keep N requests waiting at the endpoint: its ceiling.")
@click.option("--max-in-flight", type=int, metavar="N", help="Planned requests beyond it are not sent, and counted.")
@click.option("--trace", type=click.Path(path_type=Path), metavar="FILE", help="Replay a trace of real traffic.")
@click.option("--time-scale", type=float, metavar="X", help="Of a trace: 10 replays ten minutes in one.")
@click.option(
    "--stop-when-oversaturated", is_flag=True, help="Open loop: end early once the backlog grows without bound."
)
@click.option("--web", is_flag=True, help="Open Locust's web UI (127.0.0.1) instead of starting at once.")
@click.option("--web-port", type=click.IntRange(1, 65535), default=8089, show_default=True)
@click.option("--run-id", default="", help="Name of the run folder. Default: time, scenario, four digits.")
@load_options
def command(scenario: str | None, list_only: bool, as_json: bool, web: bool, dry_run: bool, **options: Any) -> None:
    """Load an endpoint with a scenario and write a run folder.

    Exit codes: 0 passed, 2 bad input or failed preflight, 3 a gate failed, 4 the measurement is invalid.
    """
    if list_only:
        return _list(as_json)
    if as_json:
        raise InputError([Mistake("command line", "--json", "a run", "--list: what a run found is `trueyield report`")])
    order = order_of(scenario, options)
    setting = Setting(
        providers=options["providers"],
        out=options["out"],
        processes=options["processes"],
        metrics_port=options["metrics_port"],
        yes=options["yes"],
        run_id=options["run_id"],
        web_port=options["web_port"] if web else None,
    )
    plan = checked_plan(order, setting, needs_key=not dry_run)
    outlook = forecast(plan)
    if dry_run:
        return outlook.show()
    allow_spending(order, setting, outlook)
    _become_locust(order, setting, _preflight(plan))


def order_of(scenario: str | None, options: dict[str, Any]) -> Order:
    """Flags as an Order."""
    if not scenario:
        raise InputError([Mistake("command line", "SCENARIO", "nothing", "a scenario")], "trueyield run --list")
    return Order(
        endpoint=options["endpoint"],
        scenario=scenario,
        model=options["model"],
        seed=options["seed"],
        users=options.get("users"),
        spawn_rate=options["spawn_rate"],
        run_time_s=options["run_time"],
        stop_timeout_s=options["stop_timeout"],
        max_tokens=options["max_tokens"],
        temperature=options["temperature"],
        reasoning_effort=options["reasoning_effort"],
        max_thinking_tokens=options["max_thinking_tokens"],
        headers=options["headers"],
        extra_body=options["extra_body"],
        max_usd=options["max_usd"],
        max_requests=options["max_requests"],
        rate=options.get("rate"),
        arrivals=options.get("arrivals"),
        queue=options.get("queue"),
        max_in_flight=options.get("max_in_flight"),
        trace=None if options.get("trace") is None else str(options["trace"]),
        time_scale=options.get("time_scale"),
        stop_when_oversaturated=options.get("stop_when_oversaturated", False),
        keep_awake=options["keep_awake"],
    )


def checked_plan(order: Order, setting: Setting, *, needs_key: bool = True) -> Plan:
    """Everything that can be wrong before anything is sent, told at once."""
    found = [*mistakes_in(order, setting.processes), *unwritable(setting.out)]
    if order.keep_awake:
        found += not_allowed()
    if setting.metrics_port is not None:
        found += port_taken(setting.metrics_port, "--metrics-port")
    if setting.web_port is not None:
        found += port_taken(setting.web_port, "--web-port")
    if setting.run_id and ("/" in setting.run_id or (setting.out / setting.run_id).exists()):
        found.append(Mistake("command line", "--run-id", setting.run_id, "the name of a new folder"))
    providers = _tried(lambda: load_providers(setting.providers), found)
    scenario = _tried(lambda: load_scenario(order.scenario), found)
    endpoint = None
    if providers is not None and order.endpoint:
        endpoint = _tried(lambda: find_endpoint(order.endpoint, order.model, providers), found)
    if scenario is not None:
        found += no_room_for(order.users or scenario.users, setting.processes, one_machine=True)
    if endpoint is not None and needs_key:
        resolved = endpoint
        _tried(lambda: read_key(resolved), found)
    if found or scenario is None or endpoint is None:
        raise InputError(found)
    return make_plan(order, endpoint, scenario, run_id=setting.run_id, workers=setting.processes)


def allow_spending(order: Order, setting: Setting, outlook: Forecast) -> None:
    """A priced endpoint on another machine needs a cap or a yes."""
    capped = order.max_usd is not None or order.max_requests is not None
    if outlook.usd_worst is None or not is_remote(outlook.plan.endpoint) or capped or setting.yes:
        return
    outlook.show()
    raise InputError(
        [Mistake("command line", "--yes", "not given", f"--yes, or --max-usd X: up to ${outlook.usd_worst:,.2f}")]
    )


def _preflight(plan: Plan) -> dict[str, Any] | None:
    """One tiny call; an embedded endpoint does not run yet, Locust's side starts it and asks it."""
    if plan.endpoint.embedded is not None:
        return None
    from harness.load.preflight import preflight  # loads the engine: not for --help and --dry-run

    return dict(preflight(plan, read_key(plan.endpoint)))


def _become_locust(order: Order, setting: Setting, preflight: dict[str, Any] | None) -> NoReturn:
    environment = {**child_environment(), "TRUEYIELD_PROGRESS": "1"}
    if preflight is not None:
        environment["TRUEYIELD_PREFLIGHT"] = json.dumps(preflight)
    command = [sys.executable, "-m", "locust", "-f", str(locustfile()), "--loglevel", "WARNING"]
    command += _flags(order, setting)
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)


def _flags(order: Order, setting: Setting) -> list[str]:
    """Locust's own flags and ours; no key is ever among them."""
    pairs: list[tuple[str, Any]] = [
        ("--endpoint", order.endpoint),
        ("--scenario", order.scenario),
        ("--model", order.model),
        ("--providers", setting.providers or default_providers_path()),
        ("--out", setting.out),
        ("--run-id", setting.run_id or None),
        ("--seed", order.seed),
        ("--users", order.users),
        ("--spawn-rate", order.spawn_rate),
        ("--run-time", None if order.run_time_s is None else f"{order.run_time_s:.0f}s"),
        ("--stop-timeout", None if order.stop_timeout_s is None else f"{order.stop_timeout_s:.0f}s"),
        ("--max-tokens", order.max_tokens),
        ("--temperature", order.temperature),
        ("--reasoning-effort", order.reasoning_effort),
        ("--max-thinking-tokens", order.max_thinking_tokens),
        ("--extra-body", order.extra_body or None),
        ("--max-usd", order.max_usd),
        ("--max-requests", order.max_requests),
        ("--rate", order.rate),
        ("--arrivals", order.arrivals),
        ("--queue", order.queue),
        ("--max-in-flight", order.max_in_flight),
        ("--trace", order.trace),
        ("--time-scale", order.time_scale),
        ("--metrics-port", setting.metrics_port),
        *_worker_flags(setting.processes),
        ("--web-port", setting.web_port),
        *(("--header", text) for text in order.headers),
    ]
    flags = [f"{name}={value}" for name, value in pairs if value is not None]
    switches = {"--stop-when-oversaturated": order.stop_when_oversaturated, "--keep-awake": order.keep_awake}
    flags += [name for name, given in switches.items() if given]
    return [*flags, *(["--headless", "--only-summary"] if setting.web_port is None else [])]


def _worker_flags(processes: int) -> list[tuple[str, Any]]:
    """Two runs on one machine must not meet on Locust's default port."""
    if processes == 1:
        return []
    port = free_port()
    return [("--processes", processes), ("--master-bind-port", port), ("--master-port", port)]


def _list(as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from harness.report.terminal.scenarios import scenario_table

    scenarios = list_scenarios()
    if as_json:
        click.echo(msgspec.json.encode({"scenarios": scenarios}).decode())
    else:
        Console().print(scenario_table(scenarios))


def _tried(step: Callable[[], Value], found: list[Mistake]) -> Value | None:
    try:
        return step()
    except InputError as error:
        found.extend(error.mistakes)
        return None
