"""Every figure of a simulator run's economics.json against a calculation by hand, from the truth file and the entry.

Nothing of `harness.price` or `harness.theory` is used here. A figure that this page does not know fails the test.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.measure.runs import grades_of
from tests.endtoend.command import load, only_run
from tests.endtoend.known import (
    CACHED,
    CURVE,
    GPUS,
    HIGH,
    HOUR,
    IDLE_WATTS,
    IN,
    KWH,
    LOW,
    OTHER_IN,
    OTHER_OUT,
    OUT,
    SLO_BATCH,
    USERS,
    WATTS,
)

pytestmark = pytest.mark.timing

# Llama-3.3-70B in FP8, BF16 KV, on H100 SXM (3.35 TB/s), by hand
LAYERS, HIDDEN, FFN, VOCAB, KV_WIDTH = 80, 8192, 28672, 128256, 1024
READ_BYTES = LAYERS * (2 * HIDDEN * HIDDEN + 2 * HIDDEN * KV_WIDTH + 3 * HIDDEN * FFN + 2 * HIDDEN) + HIDDEN
READ_BYTES += VOCAB * HIDDEN  # the head; the input table is a look-up
KV_BYTES = 2 * KV_WIDTH * LAYERS * 2
BYTES_PER_S = GPUS * 3.35e12
LATE_S = 0.01


class ByHand:
    """Sums over the truth lines of one run."""

    def __init__(self, home: Path) -> None:
        self.run = only_run(home / "out")
        manifest = load(self.run, "manifest.json")
        stages, wall = manifest["stages"], manifest["workers"]["w0"]["wall"]["offset_ns"]
        begin, end = stages["measure_begin_ns"] - wall, stages["measure_end_ns"] - wall
        self.seconds = (end - begin) / 1e9
        mine = [truth for truth in _lines(home / "truth.jsonl") if truth["request_id"].startswith(manifest["run_id"])]
        self.all = mine
        self.window = [truth for truth in mine if begin <= truth["arrived_ns"] < end]
        self.before = [truth for truth in mine if truth["arrived_ns"] < begin]
        stamps = [(at, n) for t in mine for at, n in zip(t["delta_ns"], t["delta_tokens"], strict=True)]
        self.rate = sum(count for at, count in stamps if begin <= at < end) / self.seconds
        # A token is stamped where it leaves and where it arrives: one step may lie on both sides of a window's edge.
        self.edge = max(1e-3, 2 * USERS / (self.rate * self.seconds))
        right = grades_of(self.run)
        self.useful = [t for t in self.window if right[t["request_id"]].right]
        self.wrong = [t for t in self.window if not right[t["request_id"]].right]
        self.in_flight = _mean_running([(t["arrived_ns"], t["ended_ns"]) for t in mine], begin, end)
        # A request's begin and end are stamped on both sides; beside other work the reader's end may be this late.
        self.held = self.edge + len(self.window) * LATE_S / (self.in_flight * self.seconds)
        self.decoding = _mean_running([(t["delta_ns"][0], t["delta_ns"][-1]) for t in mine], begin, end)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from (json.loads(line) for line in path.read_text().splitlines())


def _mean_running(spans: list[tuple[int, int]], begin: int, end: int) -> float:
    return sum(max(0, min(b, end) - max(a, begin)) for a, b in spans) / (end - begin)


def _usd(truths: list[dict[str, Any]], rates: tuple[float, float, float] = (IN, CACHED, OUT)) -> float:
    return sum(
        (t["input_tokens"] - t["cached_tokens"]) * rates[0]
        + t["cached_tokens"] * rates[1]
        + t["output_tokens"] * rates[2]
        for t in truths
    ) / 1e6  # fmt: skip


def _sum(truths: list[dict[str, Any]], key: str) -> float:
    return float(sum(truth[key] for truth in truths))


def expected(hand: ByHand) -> dict[str, float]:
    """Dotted key -> figure."""
    window, rate = hand.window, hand.rate
    tokens_in, tokens_out = _sum(window, "input_tokens"), _sum(window, "output_tokens")
    isl, osl = tokens_in / len(window), tokens_out / len(window)
    cached = _sum(window, "cached_tokens")
    usd_per_s = GPUS * HOUR / 3600
    cost, bill, count = usd_per_s * hand.seconds, _usd(window), len(hand.useful)
    allin, revenue = usd_per_s / rate * 1e6, rate * bill / tokens_out
    weight = (isl - cached / len(window)) / 4 + osl
    rc, use = revenue / usd_per_s, sum(CURVE) / len(CURVE)
    figures = {
        "test_bill.usd_known": _usd(hand.all),
        "test_bill.usd_unknown_max": 0.0,
        "test_bill.spend.useful": _usd(hand.useful),
        "test_bill.spend.not_useful": _usd(hand.wrong),
        "test_bill.spend.failed": 0.0,
        "test_bill.spend.cut_off": 0.0,
        "test_bill.spend.warm_up": _usd(hand.before),
        "test_bill.spend.drain": _usd(hand.all) - _usd(hand.before) - _usd(window),
        "buyer.usd_per_mtok_input": (_usd(window) - tokens_out * OUT / 1e6) / tokens_in * 1e6,
        "buyer.usd_per_mtok_output": OUT,
        "buyer.usd_per_mtok_blended": bill / (tokens_in + tokens_out) * 1e6,
        "buyer.usd_per_mtok_blended_half_cached": (tokens_in * (IN + CACHED) / 2 + tokens_out * OUT)
        / (tokens_in + tokens_out),
        "buyer.usd_per_mtok_blend_3to1": (3 * IN + OUT) / 4,
        "buyer.usd_per_1k_useful": bill / count * 1000,
        "buyer.usd_per_1k_right": bill / count * 1000,
        "buyer.places": 1,
        "owner.usd_per_gpu_hour": HOUR,
        "owner.usd_per_mtok_output_allin": allin,
        "owner.usd_per_mtok_total": allin * osl / (isl + osl),
        "owner.usd_per_mtok_input_computed_split": allin * osl / weight / 4,
        "owner.usd_per_mtok_input_cached_split": 0.0,
        "owner.usd_per_mtok_output_split": allin * osl / weight,
        "owner.usd_per_1k_useful": cost / count * 1000,
        "owner.users_per_gpu": hand.in_flight / GPUS,
        "owner.revenue_per_gpu_hour": revenue * 3600 / GPUS,
        "owner.energy.watts": WATTS,
        "owner.energy.idle_watts": IDLE_WATTS,
        "owner.energy.pue": 1.0,
        "owner.energy.usd_per_kwh": KWH,
        "owner.energy.j_per_output_token": WATTS / rate,
        "owner.energy.j_per_output_token_above_idle": (WATTS - IDLE_WATTS) / rate,
        "owner.energy.kwh_per_mtok_output": WATTS / rate * 1e6 / 3.6e6,
        "owner.energy.output_tokens_per_s_per_mw": rate / WATTS * 1e6,
        "owner.energy.usd_per_mtok_output_electricity": WATTS / rate / 3.6 * KWH,
        "owner.energy.usd_per_1k_useful_electricity": WATTS / 3.6e6 * KWH * hand.seconds / count * 1000,
        "owner.energy.revenue_per_mw_hour": revenue * 3600 / WATTS * 1e6,
        "yield_ratio": rc - 1,
        "gross_margin": 1 - 1 / rc,
        "break_even_utilisation": 1 / rc,
        "day.utilisation": use,
        "day.full_load_hours": 24 * use,
        "day.usd_per_1k_useful": cost / count * 1000 / use,
        "day.yield_ratio": rc * use - 1,
        "day.usd_revenue": revenue * 86400 * use,
        "day.usd_cost": usd_per_s * 86400,
    }
    other = _usd(window, (OTHER_IN, OTHER_IN, OTHER_OUT))
    other_rc = rate * other / tokens_out / usd_per_s
    figures |= {
        "comparisons.0.usd_per_1k_useful": other / count * 1000,
        "comparisons.0.yield_ratio": other_rc - 1,
        "comparisons.0.break_even_utilisation": 1 / other_rc,
    }
    for name, batch in (("at_this_load", hand.decoding), ("at_best_load", float(SLO_BATCH))):
        bound = _bound(batch, isl, osl)
        figures |= {
            f"bound.{name}.output_tokens_per_s": bound,
            f"bound.{name}.batch": batch,
            f"bound.{name}.output_tokens_per_s_per_user": bound / batch,
            f"bound.{name}.usd_per_mtok_output_allin": usd_per_s / bound * 1e6,
            f"bound.{name}.yield_ratio": bound * bill / tokens_out / usd_per_s - 1,
            f"bound.{name}.ttft_s": (READ_BYTES + isl * KV_BYTES) / BYTES_PER_S,
        }
    best = _bound(SLO_BATCH, isl, osl)
    figures |= {
        "bound_fraction": rate / _bound(hand.decoding, isl, osl),
        "theoretical.usd_per_mtok_output_allin": usd_per_s / best * 1e6,
        "theoretical.yield_ratio": best * bill / tokens_out / usd_per_s - 1,
    }
    for key, value in (("usd_per_gpu_hour", HOUR), ("usd_per_mtok_output_allin", allin),
                       ("usd_per_1k_useful", cost / count * 1000)):  # fmt: skip
        figures |= {f"ranges.owner.{key}.low": value * LOW / HOUR, f"ranges.owner.{key}.high": value * HIGH / HOUR}
    figures |= {"ranges.yield_ratio.low": rc * HOUR / HIGH - 1, "ranges.yield_ratio.high": rc * HOUR / LOW - 1}
    return figures | _purchase(hand)


def _bound(batch: float, isl: float, osl: float) -> float:
    """Memory traffic of one step: weights once, the KV of all, the KV of the prompts that begin."""
    kv = batch * (isl + osl / 2) + batch / osl * isl
    return batch / ((READ_BYTES + kv * KV_BYTES) / BYTES_PER_S)


def _purchase(hand: ByHand) -> dict[str, float]:
    """From the answers alone at the 3:1 blend to what was paid."""
    useful, count = hand.useful, len(hand.useful)
    tokens_in = _sum(useful, "input_tokens")
    answers = _sum(useful, "output_tokens") - _sum(useful, "reasoning_tokens")
    tokens = tokens_in + _sum(useful, "output_tokens")
    return {
        "buyer_waterfall.usd_per_1k_list_3to1": (tokens_in + answers) * (3 * IN + OUT) / 4 / 1e6 / count * 1000,
        "buyer_waterfall.usd_per_1k_useful": _usd(hand.window) / count * 1000,
        "buyer_waterfall.usd_per_mtok_own_mix": _usd(useful) / tokens * 1e6,
        "buyer_waterfall.usd_per_mtok_useful": _usd(hand.window) / tokens * 1e6,
    }


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{place}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def _sum_of(key: str, figures: dict[str, float]) -> float:
    """A ratio that is told as its distance from one is judged whole: near zero the distance is all noise."""
    part = key.split(".")[-1] if not key.startswith("ranges.") else key.split(".")[-2]
    return {"yield_ratio": 1, "gross_margin": -1}.get(part, 0) + figures[key]


def _tolerance(key: str, hand: ByHand) -> float:
    return hand.held if key == "owner.users_per_gpu" else hand.edge


#: figures that are checked as a whole below, or are no figures
APART = ("waterfall.", "buyer_waterfall.steps.", "intervals.", "schema")


def test_every_figure(known: Path) -> None:
    hand = ByHand(known)
    found = dict(_leaves(load(hand.run, "economics.json")))
    wanted = expected(hand)
    judged = {key: value for key, value in found.items() if not key.startswith(APART)}
    assert judged.keys() == wanted.keys()
    wrong = {
        key: (judged[key], wanted[key])
        for key in wanted
        if not math.isclose(_sum_of(key, judged), _sum_of(key, wanted), rel_tol=_tolerance(key, hand), abs_tol=1e-9)
    }
    assert not wrong


def test_both_waterfalls_reconcile(known: Path) -> None:
    hand = ByHand(known)
    economics = load(hand.run, "economics.json")
    steps = economics["waterfall"]
    usd_per_day = GPUS * HOUR * 24
    assert steps[0]["rc_before"] == pytest.approx(1 + economics["theoretical"]["yield_ratio"], rel=1e-9)
    assert steps[-1]["rc_after"] == pytest.approx(1 + economics["day"]["yield_ratio"], rel=1e-9)
    assert all(
        one["rc_after"] == pytest.approx(two["rc_before"], rel=1e-9) for one, two in zip(steps, steps[1:], strict=False)
    )
    lost = (steps[-1]["rc_after"] - steps[0]["rc_before"]) * usd_per_day
    assert sum(step["usd_revenue"] - step["usd_cost"] for step in steps) == pytest.approx(lost, abs=0.005)  # a cent
    assert sum(step["share"] for step in steps) == pytest.approx(1)
    bought = economics["buyer_waterfall"]
    paid = bought["usd_per_1k_list_3to1"] + sum(step["usd"] for step in bought["steps"])
    assert paid == pytest.approx(economics["buyer"]["usd_per_1k_useful"], abs=1e-6)


def test_intervals_hold_their_figures(known: Path) -> None:
    economics = load(only_run(known / "out"), "economics.json")
    figures = dict(_leaves(economics))
    for key, interval in economics["intervals"].items():
        if interval is not None:
            assert interval["low"] < figures[key] < interval["high"]
            assert interval["n"] > 0 and interval["method"]
