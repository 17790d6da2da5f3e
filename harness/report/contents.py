"""A run or sweep folder in, its values out: what every way of reporting starts from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from harness.errors import InputError, Mistake
from harness.measure.load_state import judged_by_neighbours, slos_hold, slos_missed
from harness.measure.results import RunResult
from harness.price.results import Economics
from harness.providers import Endpoint
from harness.records import Manifest, read_manifest
from harness.sweep.book import Asked, Book, Entry, Skipped, read_book
from harness.sweep.goals import Goal, Outcome
from harness.sweep.levels import Level
from harness.sweep.search import Role, Trial

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
class LevelContents:
    """One run of a sweep: its load and what its folder holds, or the reason why that cannot be read."""

    level: Level
    name: str
    contents: RunContents | None
    role: Role = "level"
    trouble: str | None = None

    @property
    def usable(self) -> bool:
        """Its numbers may be compared and quoted."""
        return self.contents is not None and self.contents.run.valid

    @property
    def slos_hold(self) -> bool | None:
        """Whether the SLOs held in this run; None: there are none, or nothing was measured."""
        return slos_hold(self.contents.run) if self.contents is not None else None

    @property
    def outcome(self) -> Outcome | None:
        """What a goal looks at."""
        found = self.contents
        if found is None:
            return None
        return Outcome(
            size=self.level.size, run=found.run, economics=found.economics, usd_per_1k_useful=found.usd_per_1k_useful
        )

    def trial(self, goal: Goal) -> Trial:
        """What a search looks at."""
        outcome, usable = self.outcome, self.usable
        if outcome is None or not usable:
            return Trial(level=self.level, role=self.role, usable=False)
        missed = slos_missed(outcome.run)
        return Trial(
            level=self.level,
            role=self.role,
            usable=True,
            missed=missed,
            judged=outcome.run.useful.total if missed is not None else 0,
            saturated=outcome.run.load.state == "saturated",
            value=goal.value(outcome),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepContents:
    """A sweep folder. `runs`: lowest load first, and in the order they were made where a load was run again."""

    folder: Path
    sweep_id: str
    scenario: str
    endpoint: str
    runs: tuple[LevelContents, ...]
    asked: Asked | None = None
    interactivity: tuple[float, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def readable(self) -> tuple[RunContents, ...]:
        return tuple(run.contents for run in self.runs if run.contents is not None)


def is_sweep(folder: Path) -> bool:
    return (folder / "sweep.json").is_file()


def level_folders(folder: Path) -> list[Path]:
    """The run folders of a sweep, lowest load first."""
    return [_inside(folder, entry.run) for entry in _entries(read_book(folder))]


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
    """A sweep folder with every run that can be read, each load judged by its neighbours."""
    book = read_book(folder)
    return SweepContents(
        folder=folder,
        sweep_id=book.sweep_id,
        scenario=_name(book.scenario),
        endpoint=_name(book.endpoint),
        runs=_judged(tuple(_read_level(folder, entry) for entry in _entries(book))),
        asked=book.asked,
        interactivity=book.interactivity,
        skipped=tuple(book.skipped),
    )


def _entries(book: Book) -> list[Entry]:
    return sorted(book.levels, key=lambda entry: entry.level)


def _judged(found: tuple[LevelContents, ...]) -> tuple[LevelContents, ...]:
    """Load states that no run can tell alone; an invalid run says nothing about its neighbours."""
    usable = [one for one in found if one.usable]
    runs = [(one.level.size, one.contents.run) for one in usable if one.contents is not None]
    unit = "users" if not usable or usable[0].level.unit == "users" else "req/s"
    states = {id(one): load for one, load in zip(usable, judged_by_neighbours(runs, unit), strict=True)}
    return tuple(
        replace(one, contents=replace(one.contents, run=replace(one.contents.run, load=states[id(one)])))
        if one.contents is not None and id(one) in states
        else one
        for one in found
    )


def _read_level(folder: Path, entry: Entry) -> LevelContents:
    try:
        contents, trouble = read_run_contents(_inside(folder, entry.run)), None
    except InputError as error:
        contents, trouble = None, str(error)
    return LevelContents(level=entry.level, name=entry.run, role=entry.role, contents=contents, trouble=trouble)


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
