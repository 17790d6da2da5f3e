"""Startup: files and options -> a Plan that was checked, whose endpoint runs and answers; every mistake at once."""

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from harness.config import list_scenarios, load_providers, load_scenario, read_key, resolve_endpoint
from harness.errors import InputError, Mistake
from harness.load.machine import not_allowed
from harness.load.orders import Order, make_plan, mistakes_in
from harness.load.places import port_taken, unwritable
from harness.load.preflight import preflight
from harness.load.ruler import Ruler
from harness.load.scenarios import Plan
from harness.providers import Endpoint
from loadtests.embedded import EmbeddedSimulator
from loadtests.options import Start, offer

log = logging.getLogger(__name__)

#: Set by `trueyield run`, which has already made the preflight call: its result as JSON.
PREFLIGHT_VARIABLE = "TRUEYIELD_PREFLIGHT"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan that is ready to run, but for its run id and the number of workers."""

    plan: Plan
    order: Order
    preflight: Mapping[str, Any] | None


class Startup:
    """What the master or the single process knows before any run."""

    def __init__(self, start: Start) -> None:
        """Raises InputError where files or folders are wrong."""
        self.start = start
        found: list[Mistake] = unwritable(start.out)
        if start.values["keep_awake"] and not start.values["master"]:  # a worker elsewhere asks for itself
            found += not_allowed()
        if start.headless and start.values["metrics_port"]:
            found += port_taken(start.values["metrics_port"], "--metrics-port")
        self._providers = _tried(lambda: load_providers(start.providers), found)
        scenarios = _tried(list_scenarios, found)
        if found or self._providers is None or scenarios is None:
            raise InputError(found)
        self._simulators: dict[str, EmbeddedSimulator] = {}
        self._preflight_done = os.environ.pop(PREFLIGHT_VARIABLE, "")
        offer("--endpoint", self._providers.endpoints, start.values["endpoint"])
        offer("--scenario", [scenario.name for scenario in scenarios], start.values["scenario"])

    def prepare(self, form: Mapping[str, str] | None, workers: int) -> Prepared:
        """The next run's plan. Raises InputError or PreflightError; sends one tiny call."""
        order = self.start.order(form)
        plan = self._plan(order, workers)
        plan = replace(plan, endpoint=self._running(plan))
        facts = self._asked(plan)
        if facts is not None and facts.get("ruler") is not None:
            plan = replace(plan, ruler=msgspec.convert(facts["ruler"], Ruler))
        return Prepared(plan, order, facts)

    def close(self) -> None:
        """End the simulators that we started."""
        for simulator in self._simulators.values():
            simulator.stop()
        self._simulators.clear()

    def _plan(self, order: Order, workers: int) -> Plan:
        found = mistakes_in(order, workers)
        endpoint = _tried(lambda: resolve_endpoint(order.endpoint, order.model, self._providers), found, order.endpoint)
        scenario = _tried(lambda: load_scenario(order.scenario), found)
        if endpoint is not None:
            _tried(lambda: read_key(endpoint), found)
        if found or endpoint is None or scenario is None:
            raise InputError(found)
        return make_plan(order, endpoint, scenario, run_id="", workers=workers)

    def _running(self, plan: Plan) -> Endpoint:
        """For an embedded endpoint: start its simulator if it is not there, and say where it listens."""
        preset = plan.endpoint.embedded
        if preset is None:
            return plan.endpoint
        simulator = self._simulators.get(preset)
        if simulator is None or not simulator.alive:
            simulator = self._simulators[preset] = EmbeddedSimulator(preset, plan)
        return replace(plan.endpoint, base_url=simulator.base_url)

    def _asked(self, plan: Plan) -> Mapping[str, Any] | None:
        if self._preflight_done:
            result: Mapping[str, Any] = json.loads(self._preflight_done)
            self._preflight_done = ""  # it speaks for the first run only
            return result
        return preflight(plan, read_key(plan.endpoint))


def _tried(step: Callable[[], Value], found: list[Mistake], needed: str = "-") -> Value | None:
    """The step's value; None, with its mistakes noted, if it has any or its name is missing."""
    if not needed:
        return None
    try:
        return step()
    except InputError as error:
        found.extend(error.mistakes)
        return None
