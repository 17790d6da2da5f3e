"""Locust's command line and web form -> Order. The form may choose entries and sizes, it never names a URL or path."""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError, Mistake
from harness.load.orders import OPEN_END_S, Order
from harness.load.scenarios import EFFORTS

#: What a POST to /swarm may set: Locust's own fields, and ours that only choose.
FORM_FIELDS = frozenset(
    {"user_count", "spawn_rate", "run_time", "host", "profile", "user_classes", "shape_class"}
    | {"endpoint", "scenario", "model", "max_tokens"}
)
#: stop_timeout as typed by nobody: the scenario's value holds then.
UNSET_STOP_TIMEOUT = -1

#: Names for the form's two selects, filled in once the files are read (the first parse takes any name).
_choices: dict[str, list[str]] = {}


def add_arguments(parser: Any) -> None:
    """Our arguments. Letters only in names (the web form drops digits), typed defaults, plain values."""
    parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1", stop_timeout=UNSET_STOP_TIMEOUT)
    for flag, settings in _FORM.items():
        choices = _choices.get(flag)
        parser.add_argument(flag, env_var=_variable(flag), **settings, **({"choices": choices} if choices else {}))
    for flag, settings in _FIXED.items():
        parser.add_argument(flag, env_var=_variable(flag), include_in_web_ui=False, **settings)


def offer(flag: str, names: Iterable[str], chosen: str) -> None:
    """Offer these names in the form, and the one that was given at the start, which may be a URL or a path."""
    _choices[flag] = list(dict.fromkeys([*([chosen] if chosen else []), *names]))


_FORM: dict[str, dict[str, Any]] = {
    "--endpoint": {"default": "", "help": "entry of providers.yaml, or the base URL of an endpoint"},
    "--scenario": {"default": "reasoning", "help": "what is asked"},
    "--model": {"default": "", "help": "model name, where it differs from the entry's"},
    "--max-tokens": {"type": int, "default": 0, "help": "cap of one answer, thinking included; 0: the scenario's"},
}
_FIXED: dict[str, dict[str, Any]] = {
    "--providers": {"default": "", "help": "providers.yaml to use"},
    "--out": {"default": "results", "help": "folder that run folders are written to"},
    "--run-id": {"default": "", "help": "name of the run folder (default: time, scenario, four digits)"},
    "--seed": {"type": int, "default": 1, "help": "of prompts; the same seed asks the same problems"},
    "--temperature": {"type": float, "default": None, "help": "sampling temperature"},
    "--reasoning-effort": {"default": "", "choices": ["", *EFFORTS], "help": "how hard the model is to think"},
    "--max-thinking-tokens": {"type": int, "default": None, "help": "cap of the thought alone (vLLM, llama.cpp)"},
    "--header": {"action": "append", "default": [], "help": "extra request header Name=value, repeatable"},
    "--extra-body": {"default": "", "help": "extra fields of the request body, a JSON object"},
    "--max-usd": {"type": float, "default": None, "help": "stop before the run can cost more (one process only)"},
    "--max-requests": {"type": int, "default": None, "help": "stop after this many requests (one process only)"},
    "--rate": {"type": float, "default": None, "help": "open loop: requests/s of all users together"},
    "--arrivals": {"default": "", "choices": ["", "poisson", "constant", "gamma"], "help": "of --rate"},
    "--queue": {"type": int, "default": None, "help": "keep so many requests waiting at the endpoint: its ceiling"},
    "--max-in-flight": {"type": int, "default": None, "help": "planned requests beyond it are not sent, but counted"},
    "--trace": {"default": "", "help": "replay this trace: Mooncake JSONL, Azure LLM or BurstGPT CSV"},
    "--time-scale": {"type": float, "default": None, "help": "of the trace: 10 replays ten minutes in one"},
    "--stop-when-oversaturated": {
        "action": "store_true",
        "help": "open loop: end the run early once requests come faster than they are served",
    },
    "--keep-awake": {"action": "store_true", "help": "let no CPU of this machine sleep during a run (root)"},
    "--metrics-port": {"type": int, "default": 0, "help": "headless: serve /metrics on this port of 127.0.0.1"},
    "--trusted-host": {"action": "append", "default": [], "help": "Host that may reach the web UI through a proxy"},
    "--no-deltas": {"action": "store_true", "help": "leave the arrival time of every delta out of the records"},
}


@dataclass(frozen=True, slots=True)
class Start:
    """The options as they were when the process started: nothing that comes later by POST changes them."""

    values: Mapping[str, Any]

    @property
    def out(self) -> Path:
        """Folder of run folders."""
        return Path(self.values["out"]).absolute()

    @property
    def providers(self) -> Path | None:
        """providers.yaml, if one was named."""
        return Path(self.values["providers"]) if self.values["providers"] else None

    @property
    def headless(self) -> bool:
        """No web UI."""
        return bool(self.values["headless"])

    def order(self, form: Mapping[str, str] | None = None) -> Order:
        """What is asked for: the start's options, with what a form chose on top. Raises InputError."""
        values = {**self.values, **(_chosen(form) if form is not None else {})}
        headless = self.headless or bool(values["autostart"])
        return Order(
            endpoint=values["endpoint"],
            scenario=values["scenario"],
            model=values["model"] or None,
            seed=values["seed"],
            users=values["num_users"],
            spawn_rate=values["spawn_rate"],
            run_time_s=values["run_time"] or (None if headless else OPEN_END_S),
            stop_timeout_s=None if values["stop_timeout"] == UNSET_STOP_TIMEOUT else values["stop_timeout"],
            max_tokens=values["max_tokens"] or None,
            temperature=values["temperature"],
            reasoning_effort=values["reasoning_effort"] or None,
            max_thinking_tokens=values["max_thinking_tokens"],
            headers=tuple(values["header"]),
            extra_body=values["extra_body"],
            max_usd=values["max_usd"],
            max_requests=values["max_requests"],
            keep_deltas=not values["no_deltas"],
            rate=values["rate"],
            arrivals=values["arrivals"] or None,
            queue=values["queue"],
            max_in_flight=values["max_in_flight"],
            trace=values["trace"] or None,
            time_scale=values["time_scale"],
            stop_when_oversaturated=values["stop_when_oversaturated"],
            keep_awake=values["keep_awake"],
        )


def snapshot(options: Namespace) -> Start:
    """Freeze the options of this process."""
    return Start(dict(vars(options)))


def kept_options(start: Start, order: Order) -> dict[str, Any]:
    """What the manifest keeps of the options: no header values, no path of this machine but the folder's name."""
    return {
        "users": order.users,
        "spawn_rate": order.spawn_rate,
        "run_time_s": order.run_time_s,
        "stop_timeout_s": order.stop_timeout_s,
        "max_tokens": order.max_tokens,
        "temperature": order.temperature,
        "reasoning_effort": order.reasoning_effort,
        "max_thinking_tokens": order.max_thinking_tokens,
        "headers": sorted(text.partition("=")[0] for text in order.headers),
        "extra_body": order.extra_body or None,
        "max_usd": order.max_usd,
        "max_requests": order.max_requests,
        "keep_deltas": order.keep_deltas,
        "rate": order.rate,
        "arrivals": order.arrivals,
        "queue": order.queue,
        "max_in_flight": order.max_in_flight,
        "trace": None if order.trace is None else Path(order.trace).name,
        "time_scale": order.time_scale,
        "stop_when_oversaturated": order.stop_when_oversaturated,
        "keep_awake": order.keep_awake,
        "processes": start.values.get("processes"),
        "headless": start.headless,
    }


def _chosen(form: Mapping[str, str]) -> dict[str, Any]:
    if foreign := sorted(form.keys() - FORM_FIELDS):
        raise InputError(
            [Mistake("form", name, "a field that cannot be set here", "no such field") for name in foreign]
        )
    found: list[Mistake] = []
    chosen: dict[str, Any] = {}
    for flag, name in (("--endpoint", "endpoint"), ("--scenario", "scenario")):
        if name in form:
            chosen[name] = form[name]
            if form[name] not in _choices.get(flag, ()):
                found.append(
                    Mistake("form", name, repr(form[name][:80]), f"one of {', '.join(_choices.get(flag, ()))}")
                )
    if "model" in form:
        chosen["model"] = form["model"]
        if len(form["model"]) > 200 or not (form["model"].isprintable()):
            found.append(Mistake("form", "model", "control characters or more than 200 letters", "a model's name"))
    for name in ("max_tokens", "user_count"):
        if name in form:
            try:
                chosen["num_users" if name == "user_count" else name] = int(form[name] or 0)
            except ValueError:
                found.append(Mistake("form", name, repr(form[name][:80]), "a whole number"))
    if found:
        raise InputError(found)
    return chosen


def _variable(flag: str) -> str:
    return "LOCUST_" + flag.strip("-").replace("-", "_").upper()
