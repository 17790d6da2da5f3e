"""The result types in, the dotted names of their numbers out: what value() of a gate may ask for."""

import dataclasses
import types
import typing
from functools import cache

from harness.errors import Outcome
from harness.measure.results import Distribution, RunResult, Slope
from harness.price.results import Economics

_ROOMS = (("run", RunResult), ("economics", Economics))

#: short names for what people ask for most; the owner's or the buyer's cost is chosen by the endpoint (see gates)
SHORT = {
    "requests_per_s": "throughput.requests_per_s",
    "output_tokens_per_s": "throughput.output_tokens_per_s",
    "output_tokens_per_s_per_user": "throughput.output_tokens_per_s_per_user",
    "input_tokens_per_s": "throughput.input_tokens_per_s",
    "usd_per_mtok_output_allin": "owner.usd_per_mtok_output_allin",
    "usd_per_mtok_blended": "buyer.usd_per_mtok_blended",
    "users_per_gpu": "owner.users_per_gpu",
}
HEADLINE = "usd_per_1k_useful"


#: what slope() and drift() know (measure.slopes)
SLOPES = ("output_tokens_per_s", "ttft_s", "failed_share", "j_per_output_token")

#: how the test bill is split (price.results.TestBill)
SPEND = ("useful", "not_useful", "failed", "cut_off", "warm_up", "drain")


@cache
def numeric_keys(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Every name that value() knows: short names, dotted keys, and the same with their file in front."""
    rooms = {room: _paths(shape) for room, shape in _ROOMS}
    rooms["run"] += [f"metrics.{metric}.{field}" for metric in metrics for field in _paths(Distribution)]
    rooms["run"] += [f"outcomes.{outcome.value}" for outcome in Outcome]
    rooms["run"] += [f"slopes.{name}.{field}" for name in SLOPES for field in _paths(Slope)]
    rooms["economics"] += [f"test_bill.spend.{part}" for part in SPEND]
    keys = [key for room in rooms.values() for key in room]
    full = [f"{room}.{key}" for room, paths in rooms.items() for key in paths]
    return tuple(dict.fromkeys((HEADLINE, *SHORT, *keys, *full)))


def value_at(key: str) -> tuple[str, tuple[str, ...]]:
    """Where a key is: the file ("run" or "economics") and the path of attributes in it."""
    key = SHORT.get(key, key)
    room, _, rest = key.partition(".")
    if room in ("run", "economics") and rest:
        return room, tuple(rest.split("."))
    parts = tuple(key.split("."))
    in_run = parts[0] in {field.name for field in dataclasses.fields(RunResult)}
    return ("run" if in_run else "economics"), parts


def _paths(shape: type, prefix: str = "") -> list[str]:
    """Dotted names of the numbers in a dataclass, also below parts that may be None."""
    found: list[str] = []
    for name, hint in typing.get_type_hints(shape).items():
        for option in _options(hint):
            if dataclasses.is_dataclass(option):
                found += _paths(typing.cast(type, option), f"{prefix}{name}.")
            elif option in (int, float, bool):
                found.append(f"{prefix}{name}")
    return list(dict.fromkeys(found))


def _options(hint: object) -> tuple[object, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
