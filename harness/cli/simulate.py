"""`trueyield simulate`: options in, a simulated endpoint on a port until SIGTERM, its truth in a file."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.config import load_catalog
from harness.errors import InputError, Mistake
from harness.simulator.answers import read_answers
from harness.simulator.arrivals import StampedListener
from harness.simulator.building import Knobs, build_model, build_settings, deployment_of
from harness.simulator.dialects import DIALECTS
from harness.simulator.endpoint import Endpoint
from harness.simulator.presets import PRESETS, Preset
from harness.simulator.server import Address, die_with_parent, listen, serve
from harness.simulator.texts import AnswerKey
from harness.simulator.truth import TruthFile

KEY_VARIABLE = "TRUEYIELD_SIM_KEY"
_SHARE = click.FloatRange(0.0, 1.0)
_COUNT = click.IntRange(min=1)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the endpoint is and what it writes."""

    host: str
    port: int
    truth: Path | None
    answers: Path | None
    ready_file: Path | None
    api_key_env: str | None
    die_with_parent: bool


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0 picks a free one.", show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--truth", type=click.Path(path_type=Path), help="Append what was really done, one JSON line a request.")
@click.option("--preset", default="demo", show_default=True, help=f"One of: {', '.join(PRESETS)}.")
@click.option("--dialect", type=click.Choice(list(DIALECTS)), default="vllm", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="With the prompt, decides every text and length.")
@click.option("--model", "model_name", metavar="NAME", help="Name it answers to. Default: the preset's.")
@click.option("--answers", type=click.Path(path_type=Path), help='JSON lines {"contains": ..., "answer": ...}.')
@click.option("--tokens-per-delta", type=_COUNT, help="Tokens in one delta, after a first of one token.")
@click.option("--reasoning-field", type=click.Choice(["reasoning", "reasoning_content", "think-tag", "hidden"]))
@click.option("--max-batch", type=_COUNT, help="Requests that run at once; others wait.")
@click.option("--max-queue", type=click.IntRange(min=0), help="Requests that may wait; more are refused.")
@click.option("--efficiency", type=click.FloatRange(0.0, 1.0, min_open=True), help="Share of the bound it reaches.")
@click.option("--right-share", type=_SHARE, help="Share of known answers that are given right.")
@click.option("--error-share", type=_SHARE, default=0.0, help="Share of streams that end in an error event.")
@click.option("--cut-share", type=_SHARE, default=0.0, help="Share of streams whose connection is cut.")
@click.option(
    "--overrun-ms",
    type=click.FloatRange(0.0, min_open=True),
    default=20.0,
    show_default=True,
    help="A step handed out later than this is an overrun.",
)
@click.option(
    "--api-key-env", metavar="NAME", help=f"Variable with the key to ask for. {KEY_VARIABLE}, if set, does the same."
)
@click.option("--ready-file", type=click.Path(path_type=Path), help="Write the base URL here once it can be called.")
@click.option("--die-with-parent", is_flag=True, help="End when the process that started this one ends.")
def command(preset: str, **options: Any) -> None:
    """Serve a simulated LLM endpoint that writes down what it really did.

    The clock is real and the accelerators are arithmetic: continuous batching, a queue, a KV cache, and step times
    from theory divided by the preset's efficiency.
    """
    place = _picked(_Place, options)
    if place.die_with_parent:
        die_with_parent()
    with _Checks() as checks:
        chosen = checks.get(lambda: _preset(preset))
        api_key = checks.get(lambda: _key(place.api_key_env))
        answers = checks.get(lambda: read_answers(place.answers) if place.answers else AnswerKey())
        listener = checks.get(lambda: listen(Address(host=place.host, port=place.port)))
        truth = checks.get(lambda: TruthFile(place.truth) if place.truth else None)
    if chosen is None or answers is None or listener is None:
        raise AssertionError("a failed check raises when the checks end")
    knobs = _picked(Knobs, {**options, "api_key": api_key})
    try:
        _run(_build(chosen, knobs, answers, truth), listener, place, chosen)
    finally:
        listener.close()
        if truth is not None:
            truth.close()


class _Checks:
    """Tries everything that the user gave and tells all mistakes at once."""

    def __init__(self) -> None:
        self._mistakes: list[Mistake] = []

    def __enter__(self) -> "_Checks":
        return self

    def get(self, check: Callable[[], _T]) -> _T | None:
        """What `check` returns; None where it found mistakes."""
        try:
            return check()
        except InputError as error:
            self._mistakes += error.mistakes
            return None

    def __exit__(self, *_: object) -> None:
        if self._mistakes:
            raise InputError(self._mistakes)


def _build(preset: Preset, knobs: Knobs, answers: AnswerKey, truth: TruthFile | None) -> Endpoint:
    catalog = load_catalog()
    deployment = deployment_of(preset, catalog.accelerators, catalog.models)
    return Endpoint(build_settings(preset, deployment, knobs, answers), build_model(preset, deployment, knobs), truth)


def _run(endpoint: Endpoint, listener: StampedListener, place: _Place, preset: Preset) -> None:
    """Serve, and say at the end what happened and how punctual it was."""
    serve(endpoint, listener, _greeter(_url(listener), preset, endpoint.model_name, place))
    if endpoint.lateness.overruns or not place.die_with_parent:  # an embedded endpoint speaks only of trouble
        click.echo(_farewell(endpoint), err=True)


def _farewell(endpoint: Endpoint) -> str:
    late, ended = endpoint.lateness, sum(endpoint.monitor.endings.values())
    text = (
        f"simulate: {ended:,} requests, {endpoint.model.counters.output_tokens:,} output tokens, {late.steps:,} steps"
    )
    p50_s, p99_s = late.quantile_s(0.5), late.quantile_s(0.99)
    if p50_s is None or p99_s is None:
        return text
    times = ", ".join(f"{name} {value_s * 1e3:.1f}" for name, value_s in (("p50", p50_s), ("p99", p99_s)))
    limit_ms, most_ms = late.overrun_ns / 1e6, late.max_ns / 1e6
    return f"{text}; late by {times}, max {most_ms:.1f} ms; {late.overruns:,} overruns (> {limit_ms:g} ms)"


def _greeter(url: str, preset: Preset, model_name: str, place: _Place) -> Callable[[], None]:
    def greet() -> None:
        click.echo(f"{url}  model {model_name}  preset {preset.name}: {preset.about}")
        click.echo(f"try: trueyield run reasoning --endpoint {url} --model {model_name} --users 8 --run-time 20s")
        if place.host not in ("127.0.0.1", "::1", "localhost"):
            click.echo(f"warning: listening on {place.host}: other machines can reach this endpoint", err=True)
        if place.ready_file is not None:
            draft = place.ready_file.with_name(place.ready_file.name + ".part")
            draft.write_text(url + "\n")
            draft.replace(place.ready_file)  # a reader sees the whole line or no file

    return greet


def _picked(kind: type[Any], options: dict[str, Any]) -> Any:
    return kind(**{field.name: options[field.name] for field in fields(kind) if field.name in options})


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise InputError([Mistake("--preset", "", name, f"one of {', '.join(PRESETS)}")])
    return PRESETS[name]


def _key(variable: str | None) -> str | None:
    """The key to ask for, from the environment only: a process argument can be read by others."""
    if variable is None:
        return os.environ.get(KEY_VARIABLE) or None
    key = os.environ.get(variable)
    if not key:
        raise InputError([Mistake("--api-key-env", variable, "not set", "a variable that holds a key")])
    return key


def _url(listener: StampedListener) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
