"""A run or sweep folder in, its values out: what every way of reporting starts from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from harness.errors import InputError, Mistake
from harness.measure.load_state import judged_by_neighbours, slos_hold
from harness.measure.results import RunResult
from harness.price.results import Economics
from harness.providers import Endpoint
from harness.records import Manifest, read_manifest

Value = TypeVar("Value")
Kind = Literal["seller", "buyer", "owner", "undeclared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContents:
    """What one run folder holds. `economics` is None where pricing could not be done; `trouble` says why."""

    folder: Path
    manifest: Manifest
    run: RunResult
    economics: Economics | None
    endpoint: Endpoint
    trouble: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Whose cost and whose yield can be told: what the endpoint declares (design, whose yield)."""
        card = self.endpoint.sell_at or self.endpoint.price_card
        if self.endpoint.deployment is not None:
            return "seller" if card is not None else "owner"
        return "buyer" if card is not None else "undeclared"

    @property
    def users(self) -> int | None:
        """Users of the run: the option that was given, else the scenario's own number."""
        found = self.manifest.options.get("users", self.manifest.scenario.get("users"))
        return found if isinstance(found, int) else None

    @property
    def slos(self) -> dict[str, float]:
        """The scenario's latency limits, seconds by metric name."""
        found = self.manifest.scenario.get("slos")
        return {str(key): float(value) for key, value in found.items()} if isinstance(found, Mapping) else {}

    @property
    def gates(self) -> tuple[str, ...]:
        """The scenario's own gates."""
        found = self.manifest.scenario.get("gates")
        return tuple(str(gate) for gate in found) if isinstance(found, list | tuple) else ()

    @property
    def usd_per_1k_useful(self) -> float | None:
        """The headline: the owner's cost where hardware is declared, else the bill of whoever buys."""
        if self.economics is None:
            return None
        owner, buyer = self.economics.owner.usd_per_1k_useful, self.economics.buyer.usd_per_1k_useful
        return owner if self.endpoint.deployment is not None else buyer

    def reason(self, key: str) -> str | None:
        """Why the value behind a dotted key is missing: the reason of the key, or of the nearest room around it."""
        reasons = {**(self.economics.reasons if self.economics else {}), **self.run.reasons}
        parts = key.split(".")
        for length in range(len(parts), 0, -1):
            if found := reasons.get(".".join(parts[:length])):
                return found
        below = [text for name, text in reasons.items() if name.startswith(f"{key}.")]
        return below[0] if below else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One load of a sweep: its users and its run, or the reason why the run cannot be read."""

    users: int
    name: str
    contents: RunContents | None
    trouble: str | None = None

    @property
    def usable(self) -> bool:
        """Its numbers may be compared and quoted."""
        return self.contents is not None and self.contents.run.valid

    @property
    def slos_hold(self) -> bool | None:
        """Whether the SLOs held at this load; None: there are none, or nothing was measured."""
        return slos_hold(self.contents.run) if self.contents is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepContents:
    folder: Path
    sweep_id: str
    scenario: str
    endpoint: str
    levels: tuple[Level, ...]

    @property
    def readable(self) -> tuple[RunContents, ...]:
        return tuple(level.contents for level in self.levels if level.contents is not None)


class _LevelEntry(msgspec.Struct, frozen=True):
    users: int
    run: str


class _SweepFile(msgspec.Struct, frozen=True):
    sweep_id: str
    levels: list[_LevelEntry] = msgspec.field(default_factory=list)
    scenario: Any = None
    endpoint: Any = None


def is_sweep(folder: Path) -> bool:
    return (folder / "sweep.json").is_file()


def level_folders(folder: Path) -> list[Path]:
    """The run folders of a sweep, in the order of its levels."""
    return [_inside(folder, entry.run) for entry in _read_sweep_file(folder).levels]


def read_run_contents(folder: Path) -> RunContents:
    """Everything of one run folder; raises InputError where manifest.json or run.json cannot be read."""
    if not (folder / "manifest.json").is_file():
        raise InputError([Mistake(str(folder), "manifest.json", "no such file", "a run folder of trueyield")])
    manifest = _decoded(folder / "manifest.json", lambda: read_manifest(folder))
    run = _decoded(folder / "run.json", lambda: _read_json(folder / "run.json", RunResult))
    trouble: list[str] = []
    return RunContents(
        folder=folder,
        manifest=manifest,
        run=run,
        economics=_read_economics(folder, trouble),
        endpoint=_endpoint(manifest, trouble),
        trouble=tuple(trouble),
    )


def read_sweep_contents(folder: Path) -> SweepContents:
    """A sweep folder with every level that can be read, each load judged by its neighbours."""
    sweep = _read_sweep_file(folder)
    return SweepContents(
        folder=folder,
        sweep_id=sweep.sweep_id,
        scenario=_name(sweep.scenario),
        endpoint=_name(sweep.endpoint),
        levels=_judged(tuple(_read_level(folder, entry) for entry in sweep.levels)),
    )


def _judged(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """Load states that no run can tell alone; an invalid level says nothing about its neighbours."""
    usable = [level for level in levels if level.usable]
    runs = [(level.users, level.contents.run) for level in usable if level.contents is not None]
    states = {id(level): load for level, load in zip(usable, judged_by_neighbours(runs), strict=True)}
    return tuple(
        replace(level, contents=replace(level.contents, run=replace(level.contents.run, load=states[id(level)])))
        if level.contents is not None and id(level) in states
        else level
        for level in levels
    )


def _read_level(folder: Path, entry: _LevelEntry) -> Level:
    try:
        return Level(users=entry.users, name=entry.run, contents=read_run_contents(_inside(folder, entry.run)))
    except InputError as error:
        return Level(users=entry.users, name=entry.run, contents=None, trouble=str(error))


def _read_sweep_file(folder: Path) -> _SweepFile:
    return _decoded(folder / "sweep.json", lambda: _read_json(folder / "sweep.json", _SweepFile))


def _inside(folder: Path, name: str) -> Path:
    """A level is a sub folder: a path that leads out of the sweep folder is refused."""
    found = folder / name
    if not found.resolve().is_relative_to(folder.resolve()):
        raise InputError([Mistake(str(folder / "sweep.json"), "levels.run", repr(name), "a sub folder of the sweep")])
    return found


def _read_json(path: Path, shape: type[Value]) -> Value:
    return msgspec.json.decode(path.read_bytes(), type=shape)


def _decoded(path: Path, read: Callable[[], Value]) -> Value:
    try:
        return read()
    except FileNotFoundError:
        raise InputError([Mistake(str(path), "", "no such file", "a file that trueyield wrote")]) from None
    except (msgspec.DecodeError, OSError) as error:
        raise InputError([Mistake(str(path), "", str(error), "a file that trueyield wrote")]) from error


def _read_economics(folder: Path, trouble: list[str]) -> Economics | None:
    path = folder / "economics.json"
    if not path.is_file():
        trouble.append("no economics.json: this run has not been priced")
        return None
    try:
        return _read_json(path, Economics)
    except (msgspec.DecodeError, OSError) as error:
        trouble.append(f"economics.json cannot be read: {error}")
        return None


def _endpoint(manifest: Manifest, trouble: list[str]) -> Endpoint:
    """The endpoint as values. A manifest of another version still gives its name and model."""
    try:
        return msgspec.convert(manifest.endpoint, Endpoint, strict=False)
    except msgspec.ValidationError as error:
        trouble.append(f"manifest.json: endpoint: {error}")
        known = {key: str(manifest.endpoint.get(key, "unknown")) for key in ("name", "base_url", "model")}
        return Endpoint(**known)  # type: ignore[arg-type]


def _name(value: Any) -> str:
    """sweep.json may hold a name or the whole value that carries it."""
    return str(value.get("name", "")) if isinstance(value, Mapping) else str(value or "")
