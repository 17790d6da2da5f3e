"""The over-saturation watch: how often it errs and how soon it fires, on the simulator in virtual time."""

import bisect
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import pytest

from harness.load.oversaturation import Oversaturation, Seen
from harness.simulator.model import NS, BatchModel, Limits
from harness.simulator.steptimes import ConstantSteps
from harness.simulator.texts import Author, Lengths
from harness.simulator.virtual import VirtualEdge, plain_questions

LENGTHS = Lengths(thought_median=24, thought_sigma=0.5, answer_median=12, answer_sigma=0.4)
SECONDS = 180


def edge() -> VirtualEdge:
    """Sixteen at once, about 42 tokens of 50 ms each."""
    model = BatchModel(Limits(max_batch=16, kv_tokens=1_000_000), ConstantSteps(step_base_s=0.05))
    return VirtualEdge(model, Author(lengths=LENGTHS, seed=1), plain_questions(lambda number: f"{number}: and then?"))


@cache
def capacity() -> float:
    """Requests/s of the model when work always waits."""
    ended = sum(not truth.aborted for truth, _ in edge().closed_loop(64, 400 * NS))
    return ended / 400


def counts(load: float, seed: int, seconds: int = SECONDS) -> Iterator[Seen]:
    """What a run would see once a second, of Poisson arrivals at `load` x capacity."""
    draw, at_s, arrivals = random.Random(f"{load}:{seed}"), 0.0, []
    while (at_s := at_s + draw.expovariate(load * capacity())) < seconds:
        arrivals.append(round(at_s * NS))
    truths = [truth for truth, _ in edge().open_loop(arrivals, seconds * NS)]
    firsts = sorted(truth.delta_ns[0] for truth in truths if truth.delta_ns)
    ends = sorted(truth.ended_ns for truth in truths)
    for second in range(1, seconds):
        came, began, gone = (bisect.bisect_right(times, second * NS) for times in (arrivals, firsts, ends))
        yield Seen(second, gone, came - gone, came - began)


def fired_after_s(rows: Iterator[Seen] | Sequence[Seen], rate: float, patience_s: float = 3.0) -> float | None:
    watch = Oversaturation(rate=rate, patience_s=patience_s)
    return next((seen.at_s for seen in rows if watch.look(seen)), None)


def found(load: float, runs: int) -> list[float | None]:
    return [fired_after_s(counts(load, seed), load * capacity()) for seed in range(runs)]


@pytest.mark.parametrize("load", [0.5, 0.9])
def test_an_able_endpoint_is_left_alone(load: float) -> None:
    assert found(load, 12) == [None] * 12


def test_near_capacity_it_hardly_ever_errs() -> None:
    assert sum(at_s is not None for at_s in found(0.97, 12)) <= 1


def test_an_endless_backlog_is_found_soon() -> None:
    slow = sorted(at_s or 999 for at_s in found(1.2, 12))
    assert slow[6] < 70 and slow[10] < SECONDS, slow
    fast = sorted(at_s or 999 for at_s in found(1.5, 8))
    assert fast[-1] < 40, fast


def made(seconds: int, arrivals: float, begun: Callable[[float], float], took_s: float = 2.0) -> list[Seen]:
    """Looks at an endpoint that has begun `begun(t)` calls by t, each of which takes `took_s` from there."""
    rows = []
    for second in range(1, seconds):
        came, began, ended = arrivals * second, begun(second), begun(max(second - took_s, 0))
        rows.append(Seen(second, round(ended), round(came - ended), round(came - began)))
    return rows


def test_an_endpoint_that_is_filling_up_is_not_over_saturated() -> None:
    """Twenty seconds to the first token of every call, thirty more to its last: awaiting grows, and stops."""
    rows = made(200, 10.0, lambda at_s: 10 * max(0, at_s - 20), took_s=30)
    assert max(seen.awaiting_first for seen in rows) == 200, "worth 20 s of arrivals"
    assert fired_after_s(rows, rate=10.0) is None


def test_a_peak_that_is_worked_off_is_not_endless() -> None:
    """Twice the mean rate for twenty seconds, at an endpoint that is able to serve the mean."""

    def came(at_s: float) -> float:
        return 8 * at_s + 16 * min(max(at_s - 40, 0), 20)

    begun = [0.0]
    for second in range(1, 300):
        begun.append(min(came(second), begun[-1] + 12))
    rows = [Seen(s, round(begun[s]), round(came(s) - begun[s]) + 4, round(came(s) - begun[s])) for s in range(1, 300)]
    assert max(seen.awaiting_first for seen in rows) > 200
    assert fired_after_s(rows, rate=came(300) / 300) is None


def test_patience_is_the_slo_where_that_is_longer() -> None:
    rows = made(200, 10.0, lambda at_s: 8 * at_s)
    assert fired_after_s(rows, rate=10.0, patience_s=0.1) == pytest.approx(18, abs=1)
    assert fired_after_s(rows, rate=10.0, patience_s=10.0) == pytest.approx(53, abs=1)


def test_the_words_say_when_and_how_much() -> None:
    watch = Oversaturation(rate=10.0)
    words = next(filter(None, (watch.look(seen) for seen in made(30, 10.0, lambda at_s: 5 * at_s))))
    assert words == (
        "over-saturated after 12 s: 60 requests wait for their first token, 6.0 s of arrivals; "
        "10 come each second, 5 are begun"
    )
