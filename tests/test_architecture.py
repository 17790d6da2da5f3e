"""The house rules, held by reading the code: who imports whom, who reads clocks and YAML, how long things are."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = ("harness.errors", "harness.providers", "harness.records", "harness.theory", "harness.claims")

#: module prefix -> prefixes of ours that it may import (its own room is always allowed); longest prefix wins
MAY_IMPORT = {
    "harness.errors": (),
    "harness.providers": ("harness.errors",),
    "harness.records": ("harness.errors",),
    "harness.claims": ("harness.providers",),
    "harness.theory": ("harness.errors", "harness.providers"),
    "harness.config": (
        *SHARED,
        "harness.load.scenarios",
        "harness.load.prompts",
        "harness.load.lengths",
        "harness.load.datasets",
    ),
    "harness.load.hot": (),
    "harness.load": ("harness.errors", "harness.providers", "harness.records", "harness.__version__", "harness"),
    "harness.probe": (*SHARED, "harness.load", "harness.config"),
    "harness.measure": (
        *SHARED,
        "harness.load.prompts",
        "harness.load.families",
        "harness.load.datasets",
        "harness.load.scenarios",
    ),
    "harness.price": (*SHARED, "harness.measure", "harness.load.scenarios"),
    "harness.sweep": (*SHARED, "harness.measure", "harness.price"),
    "harness.report": (
        *SHARED,
        "harness",
        "harness.load.scenarios",
        "harness.load.figures",
        "harness.measure",
        "harness.price",
        "harness.sweep",
    ),
    "harness.simulator": ("harness.errors", "harness.providers", "harness.records", "harness.theory", "harness.config"),
    "harness.cli": ("harness",),
    "harness.__main__": ("harness.cli",),
    "harness": (),
    "loadtests": ("harness",),
}
#: libraries that may stand in one place only
ONLY_IN = {
    "locust": ("loadtests",),
    "gevent": ("loadtests",),
    "flask": ("loadtests",),
    "yaml": ("harness.config",),
    "pydantic": ("harness.config",),
    "aiohttp": ("harness.simulator",),
    "click": ("harness.cli",),
    "plotly": ("harness.report",),
    "prometheus_client": ("harness.report", "harness.simulator", "loadtests"),
    "pandas": ("harness.measure", "harness.report"),
    "scipy": ("harness.measure", "harness.price", "harness.report"),
    "pyarrow": ("harness.measure",),
}
CLOCK_READERS = ("harness.load.clock", "harness.load.engine", "harness.load.hot", "harness.simulator", "loadtests")
CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}


def _modules() -> dict[str, Path]:
    paths = sorted([*ROOT.glob("harness/**/*.py"), *ROOT.glob("loadtests/**/*.py")])
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


MODULES = _modules()


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def _imports(module: str, *, at_import_time: bool = False) -> Iterator[str]:
    """Dotted names that a module imports, `from x import y` as x.y where y is a module of ours."""
    nodes = _top_level(_tree(module)) if at_import_time else ast.walk(_tree(module))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                deep = f"{node.module}.{alias.name}"
                yield deep if deep in MODULES else node.module


def _top_level(tree: ast.Module) -> Iterator[ast.AST]:
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not _is_type_checking(node):
            pending.extend(ast.iter_child_nodes(node))


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _under(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def _rule(module: str) -> str:
    return max((prefix for prefix in MAY_IMPORT if _under(module, (prefix,))), key=len)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    room = _rule(module)
    allowed = (*MAY_IMPORT[room], room) if room != "harness" else ()
    exact = {"harness"} if "harness" in MAY_IMPORT[room] and room not in ("harness.cli", "loadtests") else set()
    for name in _imports(module):
        if not _under(name, ("harness", "loadtests")):
            continue
        prefixes = tuple(prefix for prefix in allowed if prefix not in exact)
        assert name in exact or _under(name, prefixes), f"{module} must not import {name}"


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_in_their_rooms(module: str) -> None:
    for name in _imports(module):
        rooms = ONLY_IN.get(name.partition(".")[0])
        assert rooms is None or _under(module, rooms), f"{module} must not import {name}"


def test_no_import_cycles() -> None:
    graph = {m: {n for n in _imports(m, at_import_time=True) if n in MODULES and n != m} for m in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"cycle: {' -> '.join((*path, module))}"
        if module not in done:
            for name in graph[module]:
                visit(name, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("module", MODULES)
def test_few_modules_read_the_clock(module: str) -> None:
    if _under(module, CLOCK_READERS):
        return
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            owner = node.func.value
            assert not (isinstance(owner, ast.Name) and owner.id == "time"), f"{module}:{node.lineno} reads the clock"


@pytest.mark.parametrize("module", MODULES)
def test_small_enough_to_read(module: str) -> None:
    text = MODULES[module].read_text()
    assert text.count("\n") <= 400, f"{module} has {text.count(chr(10))} lines"
    for node in ast.walk(_tree(module)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 60, f"{module}:{node.lineno} {node.name} has {lines} lines"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(_tree(module)), f"{module} has no docstring"


@pytest.mark.parametrize("module", MODULES)
def test_no_drawer_for_odds_and_ends(module: str) -> None:
    assert not {"utils", "common", "helpers", "manager", "base", "misc"} & set(module.split("."))
