"""Slopes: a study of a long run in, how fast its figures move per hour out, with a 95 % interval: what a soak asks.

Least squares over the 20 blocks of the window, each a median E2E or longer: output tokens/s, median TTFT, share of
failed requests, and joules per output token where power was declared or measured. The interval is t with n - 2
degrees of freedom, widened where neighbours agree, as in `drift`. A share is never surer than its counts allow: its
residual variance is at least that of (failed + 1) / (all + 2) over the requests of a block, so that an hour without a
failure still has an interval. Per hour is no extrapolation from a minute: windows below 15 minutes have no slopes.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness.measure.blocks import BLOCKS, block_of, tokens_per_block, too_short
from harness.measure.drift import MIN_BLOCKS, widening
from harness.measure.figures import Study
from harness.measure.results import Slope
from harness.measure.steady import median_e2e_s, moving_plan
from harness.measure.window import Floats

#: s; of a shorter window a slope per hour is made of noise times a large number
MIN_WINDOW_S = 900.0
NAMES = ("output_tokens_per_s", "ttft_s", "failed_share", "j_per_output_token")
NO_POWER = "power was neither declared nor measured: add `power:` to the deployment"


def slopes_of(study: Study) -> tuple[dict[str, Slope | None], dict[str, str]]:
    """The slopes by name, and a reason for each that is None."""
    why = _why_none(study)
    if why is not None:
        return dict.fromkeys(NAMES), {"slopes": why}
    watts = declared_watts(study.folder.manifest.endpoint)
    hours = (study.seconds or 0.0) / 3600
    found: dict[str, Slope | None] = dict.fromkeys(NAMES)
    for name, blocks, least in _series(study, watts):
        found[name] = slope(blocks, hours, least)
    reasons = {f"slopes.{name}": "fewer than ten blocks of the window have a value" for name in NAMES}
    if watts is None:
        reasons["slopes.j_per_output_token"] = NO_POWER
    return found, {key: text for key, text in reasons.items() if found[key.removeprefix("slopes.")] is None}


def slope(blocks: Floats, hours: float, least_variance: float = 0.0) -> Slope | None:
    """Slope per hour of block values over a window of so many hours; blocks without a value are NaN."""
    from scipy.special import stdtrit  # slow to load, and short runs need no quantile

    known = ~np.isnan(blocks)
    values, n = blocks[known], int(known.sum())
    if n < MIN_BLOCKS or hours <= 0:
        return None
    at = (np.flatnonzero(known) + 0.5) * hours / len(blocks)
    away = at - at.mean()
    per_hour = float(away @ values / (away @ away))
    left = values - values.mean() - per_hour * away
    variance = max(float(left @ left) / (n - 2), least_variance)
    half = float(stdtrit(n - 2, 0.975)) * math.sqrt(variance / float(away @ away)) * widening(left, bias=2)
    level = float(values.mean())
    return Slope(per_hour=per_hour, low=per_hour - half, high=per_hour + half, n=n, level=level)


def declared_watts(endpoint: Mapping[str, Any]) -> float | None:
    """Power of the whole deployment at work, where its owner says it; the catalog's provisioned watts are no answer."""
    deployment = endpoint.get("deployment") or {}
    power, tco = deployment.get("power") or {}, deployment.get("tco") or {}
    if power.get("watts"):
        return float(power["watts"])
    kilowatts = tco.get("power_kw") or 0.0
    return float(kilowatts) * 1000 * int(deployment.get("count") or 1) if kilowatts else None


def _why_none(study: Study) -> str | None:
    plan = moving_plan(study.folder.manifest.scenario)
    if plan is not None:
        return f"the load itself moved as planned ({plan})"
    if study.seconds is not None and study.seconds < MIN_WINDOW_S:
        return f"needs a window of {MIN_WINDOW_S:.0f} s; it has {study.seconds:.0f} s"
    return too_short(study.seconds, median_e2e_s(study))


def _series(study: Study, watts: float | None) -> Iterator[tuple[str, Floats, float]]:
    """(name, block values, least variance of one block)."""
    sheet, block_s = study.sheet, (study.seconds or 0.0) / BLOCKS
    rates = tokens_per_block(sheet, study.tokens_inside, np.ones(len(sheet.records), np.bool_)) / block_s
    yield "output_tokens_per_s", rates, 0.0
    begun = sheet.window.holds(sheet.sent_ns)
    usable = sheet.delivered & sheet.seen & begun
    places, ttft_s = block_of(sheet.window, sheet.sent_ns[usable]), (sheet.first_ns - sheet.sent_ns)[usable] / 1e9
    medians = [np.median(ttft_s[places == at]) if (places == at).any() else np.nan for at in range(BLOCKS)]
    yield "ttft_s", np.asarray(medians, np.float64), 0.0
    finished = begun & ~sheet.censored
    where = block_of(sheet.window, sheet.sent_ns[finished])
    all_of = np.bincount(where, minlength=BLOCKS).astype(np.float64)
    failed = np.bincount(where, weights=sheet.failed[finished], minlength=BLOCKS)
    likely = (failed.sum() + 1) / (all_of.sum() + 2)
    shares = np.where(all_of > 0, failed / np.maximum(all_of, 1), np.nan)
    yield "failed_share", shares, float(likely * (1 - likely) / max(all_of.mean(), 1.0))
    if watts is not None:
        yield "j_per_output_token", np.where(rates > 0, watts / np.maximum(rates, 1e-12), np.nan), 0.0
