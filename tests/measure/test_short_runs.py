"""Runs too short for their answers: what a naive closed loop would say of lognormal thoughts, and what we say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import WALL, S, folder, moved, record

from harness.measure.runs import measure
from harness.records import Stages

MEAN, SIGMA, SPEED = 4000.0, 0.8, 50.0  # tokens, of their logarithm, tokens/s
USERS = 2000


def naive(seconds: float, users: int = USERS) -> tuple[Any, Any, Any]:
    """Closed loop of patient users that all begin at 0: OSL of every call, when it ends, and which ended in time."""
    draws = np.random.default_rng(7)
    calls = int(3 * seconds * SPEED / MEAN) + 20
    osl = draws.lognormal(np.log(MEAN) - SIGMA**2 / 2, SIGMA, (users, calls))
    ends = np.cumsum(osl / SPEED, axis=1)
    assert ends[:, -1].min() > seconds
    return osl, ends, ends <= seconds


@pytest.mark.parametrize(("seconds", "too_low"), [(60, 0.58), (300, 0.22), (1800, 0.04)])
def test_what_a_naive_closed_loop_sees(seconds: float, too_low: float) -> None:
    osl, _, done = naive(seconds)
    assert 1 - osl[done].mean() / MEAN == pytest.approx(too_low, abs=0.01)


@pytest.mark.parametrize(("seconds", "told"), [(60, False), (300, False), (1800, True)])
def test_a_length_is_told_only_where_it_is_nearly_right(tmp_path: Path, seconds: int, told: bool) -> None:
    """The same loop as a run folder, cut at its end: 62 %, 21 % and 4 % of its calls are censored."""
    result = measure(_cut_loop(tmp_path, seconds))
    assert result.length_biased is not told
    assert (result.mix.osl_tokens is not None) is told
    assert (result.metrics["osl_tokens"].mean is not None) is told
    assert (result.useful.share is not None) is told
    assert result.throughput.output_tokens_per_s == pytest.approx(60 * SPEED, rel=0.02), "tokens count as they arrive"
    if told:
        assert result.mix.osl_tokens == pytest.approx(MEAN, rel=0.1)
    else:
        for key in ("mix.osl_tokens", "metrics.osl_tokens", "metrics.think_s", "useful.share"):
            assert "long answers are under-represented; throughput stands" in result.reasons[key]
        assert result.useful.total and result.metrics["osl_tokens"].n, "what was seen is still counted"
        assert result.endpoints["e"].metrics["osl_tokens"].mean is None


def test_a_long_window_with_short_answers_keeps_its_lengths(tmp_path: Path) -> None:
    calls = [moved(record(), n * S // 4, request_id=f"r{n}") for n in range(30)]
    result = measure(folder(tmp_path, calls))
    assert not result.length_biased and result.mix.osl_tokens == 8 and result.useful.share == 1


def _cut_loop(path: Path, seconds: int) -> Path:
    osl, ends, done = naive(seconds, users=60)
    calls = []
    for user in range(60):
        for number in range(int(done[user].sum()) + 1):
            end_s = min(float(ends[user, number]), seconds)
            start_s = float(ends[user, number - 1]) if number else 0.0
            calls.append(_call(f"r{user}-{number}", (start_s, end_s), osl[user, number], bool(done[user, number])))
    end = WALL + seconds * S
    stages = Stages(began_ns=WALL, measure_begin_ns=WALL, measure_end_ns=end, ended_ns=end)
    return folder(path, calls, stages=stages)


def _call(name: str, span_s: tuple[float, float], osl: float, whole: bool) -> Any:
    begin, end = (round(at_s * S) for at_s in span_s)
    tokens = round(osl if whole else (span_s[1] - span_s[0]) * SPEED)
    return record(
        request_id=name, started_ns=begin, sent_first_ns=begin, sent_last_ns=begin, first_reasoning_ns=begin,
        first_answer_ns=end, last_delta_ns=end, ended_ns=end, outcome="ok" if whole else "censored",
        output_tokens=tokens, reasoning_tokens=tokens, answer_tokens=0, deltas=tokens, delta_offsets=None,
        delta_phase=None, finish_reason="stop" if whole else None,
    )  # fmt: skip
