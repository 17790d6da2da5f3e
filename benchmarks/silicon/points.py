"""A point is a load that one resource limits by theory; a finished run of it becomes rows of the table."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.measure.results import RunResult
from harness.measure.runs import read_run
from harness.price.economics import read_economics
from harness.providers import Deployment
from harness.theory import Shape, Step, bound_at, decode_step, prefill_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """`users` ask for `output_tokens` each, behind a prompt of about `input_tokens` (None: the bare problem)."""

    name: str
    users: int
    output_tokens: int
    input_tokens: int | None = None

    @property
    def is_prefill(self) -> bool:
        """Nothing is decoded behind the first token."""
        return self.output_tokens == 1

    def scenario(self) -> str:
        """A scenario file."""
        padded = "" if self.input_tokens is None else f", isl_tokens: {self.input_tokens}"
        workload = (
            f"families: [arithmetic], difficulty: 1, max_tokens: {self.output_tokens}, fixed_length: true{padded}"
        )
        return f"description: {self.name}\nworkload: {{{workload}}}\nusers: {self.users}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quantity beside its bound. `interval`: sampling error of the measured one; times in s, rates in tokens/s.

    `build_theory`: the same bound for the instructions that the engine was built with, where it leaves some unused.
    """

    point: str
    quantity: str
    isl_tokens: float
    osl_tokens: float
    limited_by: str
    theory: float
    measured: float
    n: int
    is_time: bool = False
    interval: tuple[float, float] | None = None
    build_theory: float | None = None

    @property
    def bound_fraction(self) -> float:
        """How much of what physics allows was reached; above 1 either theory or a measurement is wrong."""
        return self._share(self.theory)

    @property
    def build_fraction(self) -> float | None:
        """The same of what the engine's build allows."""
        return None if self.build_theory is None else self._share(self.build_theory)

    def _share(self, bound: float) -> float:
        return bound / self.measured if self.is_time else self.measured / bound


def loads(users: list[int], output_tokens: int, prompt_tokens: int) -> list[Point]:
    """Decode at each number of users, then a long prompt for one token."""
    decode = [Point(name=f"decode-{each}", users=each, output_tokens=output_tokens) for each in users]
    return [*decode, Point(name="prefill", users=1, output_tokens=1, input_tokens=prompt_tokens)]


def rows_of(point: Point, folder: Path, build_flops_per_s: float | None = None) -> list[Row]:
    """Rows of a finished run folder; SystemExit where the run cannot be quoted.

    `build_flops_per_s`: FP32 ceiling of the engine's own build, where that is less than the machine's.
    """
    run, deployment = read_run(folder), _deployment(folder)
    if not run.valid or not run.mix.isl_tokens or not run.mix.osl_tokens:
        raise SystemExit(f"{point.name}: {'; '.join(run.invalid_reasons) or 'no answer was counted'}")
    build = None if build_flops_per_s is None else _at_rate(deployment, build_flops_per_s)
    if point.is_prefill:
        return [_first_token(point, run, deployment, build)]
    return [_output_rate(point, run, folder, build), _decode_step(point, run, deployment, build)]


def _at_rate(deployment: Deployment, flops_per_s: float) -> Deployment:
    return replace(deployment, accelerator=replace(deployment.accelerator, flops_per_s={"fp32": flops_per_s}))


def _output_rate(point: Point, run: RunResult, folder: Path, build: Deployment | None) -> Row:
    """The whole load, prefill included, beside the bound of economics.json."""
    bound, rate = read_economics(folder).bound.at_this_load, run.throughput.output_tokens_per_s
    if bound is None or not rate:
        raise SystemExit(f"{point.name}: nothing was decoded in the measure window")
    shape = _shape(run)
    found = run.intervals.get("throughput.output_tokens_per_s")
    return Row(
        point=point.name,
        quantity="output tok/s",
        isl_tokens=shape.isl_tokens,
        osl_tokens=shape.osl_tokens,
        limited_by=bound.limited_by,
        theory=bound.output_tokens_per_s,
        measured=rate,
        n=run.metrics["tpot_s"].n,
        interval=(found.low, found.high) if found and found.high is not None else None,
        build_theory=None if build is None else bound_at(build, shape, bound.batch).output_tokens_per_s,
    )


def _decode_step(point: Point, run: RunResult, deployment: Deployment, build: Deployment | None) -> Row:
    """The bare decode step, as the middle gap between tokens: the mean would hold the prefills of other users, too."""
    batch, context = max(run.mix.mean_decoding or 1.0, 1.0), _shape(run).mean_context_tokens

    def floor(on: Deployment) -> Step:
        return decode_step(on, batch, context)

    return _time(point, run, ("ITL, p50", "itl_s"), floor, (deployment, build))


def _first_token(point: Point, run: RunResult, deployment: Deployment, build: Deployment | None) -> Row:
    """TTFT of an idle server beside the floor of its prefill."""
    shape = _shape(run)

    def floor(on: Deployment) -> Step:
        return prefill_step(on, shape.computed_tokens, shape.isl_tokens)

    return _time(point, run, ("TTFT, p50", "ttft_s"), floor, (deployment, build))


def _time(
    point: Point,
    run: RunResult,
    quantity: tuple[str, str],
    floor: Callable[[Deployment], Step],
    on: tuple[Deployment, Deployment | None],
) -> Row:
    """A time beside its floor on the machine and in the engine's build."""
    name, metric = quantity
    found, shape, step = run.metrics[metric], _shape(run), floor(on[0])
    if not found.p50:
        raise SystemExit(f"{point.name}: no {name} in the measure window")
    return Row(
        point=point.name,
        quantity=name,
        isl_tokens=shape.isl_tokens,
        osl_tokens=shape.osl_tokens,
        limited_by=step.limited_by,
        theory=step.seconds,
        measured=found.p50,
        n=found.n,
        is_time=True,
        build_theory=None if on[1] is None else floor(on[1]).seconds,
    )


def _shape(run: RunResult) -> Shape:
    mix, cached = run.mix, run.mix.cached_share or 0.0
    return Shape(isl_tokens=mix.isl_tokens or 0.0, osl_tokens=mix.osl_tokens or 0.0, cached_share=cached)


def _deployment(folder: Path) -> Deployment:
    """As the run's manifest holds it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return msgspec.convert(manifest["endpoint"]["deployment"], Deployment)


def table(rows: list[Row]) -> str:
    """Markdown; a column for the engine's build only where it differs from the machine."""
    with_build = any(row.build_theory is not None for row in rows)
    heads = ["point", "quantity", "ISL / OSL", "limited by", "theory", "measured", "bound fraction"]
    heads += ["of the build's bound"] * with_build + ["n"]
    cells = [[*_cells(row), *[_fraction(row.build_fraction)] * with_build, str(row.n)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *cells))


def _cells(row: Row) -> list[str]:
    def shown(amount: float) -> str:
        return f"{amount * 1000:,.0f}" if row.is_time else f"{amount:,.1f}"

    unit = " ms" if row.is_time else ""
    interval = f" [{shown(row.interval[0])}, {shown(row.interval[1])}]" if row.interval else ""
    lengths = f"{row.isl_tokens:.0f} / {row.osl_tokens:.0f}"
    measured = f"{shown(row.measured)}{unit}{interval}"
    theory, fraction = f"{shown(row.theory)}{unit}", _fraction(row.bound_fraction)
    return [row.point, row.quantity, lengths, row.limited_by, theory, measured, fraction]


def _fraction(share: float | None) -> str:
    return "" if share is None else f"{share:.2f}"
