"""YAML and environment -> values: endpoints, scenarios, catalog, keys; every mistake is told at once.

The names below are found when they are first used, so that a worker that needs only `read_key` loads no YAML.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.config.catalog import load_catalog
    from harness.config.endpoints import Providers, default_providers_path, load_providers, resolve_endpoint
    from harness.config.keys import looks_like_key, read_key, scrub
    from harness.config.scenarios import list_scenarios, load_scenario

__all__ = [
    "Providers",
    "default_providers_path",
    "list_scenarios",
    "load_catalog",
    "load_providers",
    "load_scenario",
    "looks_like_key",
    "read_key",
    "resolve_endpoint",
    "scrub",
]

_HOMES = {
    "endpoints": ("Providers", "default_providers_path", "load_providers", "resolve_endpoint"),
    "catalog": ("load_catalog",),
    "keys": ("looks_like_key", "read_key", "scrub"),
    "scenarios": ("list_scenarios", "load_scenario"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
