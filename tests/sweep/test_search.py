"""The search for the best load: pure, so every noise and every knee can be tried in no time."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.measure.load_state import MISSING_SHARE
from harness.sweep.goals import goal_named
from harness.sweep.levels import Level, read_levels
from harness.sweep.search import Next, Search, Trial, chosen, next_run, skipped, standings

Server = Callable[[Next], Trial]


def search(text: str = "4,16,64", unit: str = "users", goal: str = "load", **changes: object) -> Search:
    return Search(levels=read_levels(text, unit), goal=goal_named(goal), **changes)  # type: ignore[arg-type]


def sweep(asked: Search, server: Server) -> list[Trial]:
    trials: list[Trial] = []
    while (step := next_run(asked, trials)) is not None:
        trials.append(server(step))
        assert len(trials) <= asked.most_runs
    return trials


def queue(knee: float, judged: int = 4000, seed: int | None = None) -> Server:
    """An endpoint whose SLOs are met by nine in ten exactly at its knee, and by few above it."""
    noise = random.Random(seed)

    def run(step: Next) -> Trial:
        met = 1 / (1 + math.exp(30 * math.log(step.level.size / knee) - math.log(9)))
        hits = round(judged * met) if seed is None else sum(noise.random() < met for _ in range(judged))
        return Trial(level=step.level, role=step.role, usable=True, missed=judged - hits, judged=judged,
                     saturated=step.level.size > knee, value=step.level.size)  # fmt: skip

    return run


def best(asked: Search, trials: list[Trial]) -> float:
    found = chosen(asked, standings(trials))
    assert found is not None
    return found.level.size


def test_a_list_is_run_lowest_first_and_the_chosen_level_again() -> None:
    trials = sweep(search(), queue(knee=30))
    assert [(trial.level.size, trial.role) for trial in trials] == [
        (4, "level"), (16, "level"), (64, "level"), (16, "confirm")]  # fmt: skip


def test_one_level_needs_no_rerun() -> None:
    assert [trial.role for trial in sweep(search("8"), queue(knee=30))] == ["level"]


def test_without_confirming() -> None:
    assert [trial.role for trial in sweep(search(confirm=False), queue(knee=30))] == ["level"] * 3


@pytest.mark.parametrize("knee", [1.3, 3.0, 16.0, 40.0, 900.0])
def test_the_knee_is_found_from_below_from_within_and_from_above(knee: float) -> None:
    asked = search("4,16,64", "rate", adaptive=True, tolerance=0.05)
    found = best(asked, sweep(asked, queue(knee)))
    assert knee / 1.06 <= found <= knee * 1.005


def test_the_last_run_that_may_be_made_is_the_rerun() -> None:
    asked = search("4,16,64", "rate", adaptive=True, most_runs=6)
    assert [trial.role for trial in sweep(asked, queue(knee=30))] == ["level"] * 3 + ["search"] * 2 + ["confirm"]


def test_users_are_whole_and_the_search_ends_beside_the_knee() -> None:
    asked = search("2,4", adaptive=True, tolerance=0.01)
    assert best(asked, sweep(asked, queue(knee=21.5))) == 21


@settings(max_examples=60, deadline=None)
@given(knee=st.floats(0.5, 500), seed=st.integers(0, 10**6))
def test_noise_costs_runs_and_not_much_else(knee: float, seed: int) -> None:
    asked = search("4,16,64", "rate", adaptive=True, tolerance=0.05)
    trials = sweep(asked, queue(knee, judged=400, seed=seed))
    assert abs(math.log(best(asked, trials) / knee)) < math.log(1.12)
    assert next_run(asked, trials) is None


@given(knee=st.floats(0.5, 500), cut=st.integers(0, 30))
def test_a_resumed_search_goes_on_where_it_was(knee: float, cut: int) -> None:
    asked = search("4,16,64", "rate", adaptive=True)
    whole = sweep(asked, queue(knee))
    again = whole[:cut]
    while (step := next_run(asked, again)) is not None:
        again.append(queue(knee)(step))
    assert again == whole


def test_an_undecided_level_is_repeated_but_not_for_ever() -> None:
    """Nine in ten meet the SLOs exactly: no number of requests tells on which side that is."""
    asked = search("8,9", "rate", adaptive=True, tolerance=0.2, most_repeats=3, top=9)

    def run(step: Next) -> Trial:
        return Trial(level=step.level, role=step.role, usable=True, missed=20, judged=200, value=step.level.size)

    trials = sweep(asked, run)
    assert [trial.role for trial in trials if trial.level.size == 9] == [
        "level",
        "repeat",
        "repeat",
        "repeat",
        "confirm",
    ]


def test_a_confirming_run_that_breaks_the_slos_sends_the_search_on() -> None:
    asked = search("8,16", "rate", confirm=True)

    def run(step: Next) -> Trial:
        bad = step.role == "confirm" and step.level.size == 16
        return Trial(level=step.level, role=step.role, usable=True, missed=100 if bad else 1, judged=200,
                     value=step.level.size)  # fmt: skip

    trials = sweep(asked, run)
    assert [(trial.level.size, trial.role) for trial in trials][2:] == [(16, "confirm"), (8, "confirm")]
    assert best(asked, trials) == 8


def test_the_rerun_takes_no_part_in_the_choice() -> None:
    """A first run that was lucky stays the choice; what is quoted is the second."""
    asked = search("8,16", "rate", goal="goodput")
    lucky = {(8, "level"): 100.0, (16, "level"): 101.0, (16, "confirm"): 60.0}

    def run(step: Next) -> Trial:
        value = lucky[step.level.size, step.role]
        return Trial(level=step.level, role=step.role, usable=True, missed=0, judged=100, value=value)

    trials = sweep(asked, run)
    assert best(asked, trials) == 16 and len(trials) == 3


def test_a_best_load_below_the_knee_is_found() -> None:
    """Cheapest where its own cost is least, not where the SLOs break."""
    asked = search("4,16,64", "rate", goal="usd_per_mtok", adaptive=True, tolerance=0.05)

    def run(step: Next) -> Trial:
        trial = queue(knee=200)(step)
        usd = 1 + math.log(step.level.size / 25) ** 2
        return Trial(
            level=trial.level, role=trial.role, usable=True, missed=trial.missed, judged=trial.judged, value=usd
        )

    assert best(asked, sweep(asked, run)) == pytest.approx(25, rel=0.05)


def test_without_slos_the_climb_ends_where_the_endpoint_is_full() -> None:
    asked = search("4,8", goal="usd_per_mtok", adaptive=True)

    def run(step: Next) -> Trial:
        full = step.level.size >= 32
        return Trial(level=step.level, role=step.role, usable=True, saturated=full, value=1 / min(step.level.size, 32))

    trials = sweep(asked, run)
    assert max(trial.level.size for trial in trials) <= 64
    assert best(asked, trials) == 32


def test_levels_above_a_hopeless_one_are_not_run() -> None:
    asked = search("8,64,128,256")
    trials = sweep(asked, queue(knee=20))
    assert [trial.level.size for trial in trials] == [8, 64, 8]
    assert [(level.size, why) for level, why in skipped(asked, trials)] == [
        (size, "at 64 users requests queue and 100% miss the SLOs") for size in (128, 256)]  # fmt: skip
    every = search("8,64,128,256", all_levels=True)
    assert [trial.level.size for trial in sweep(every, queue(knee=20))][:4] == [8, 64, 128, 256]


def test_invalid_runs_are_never_chosen_and_never_end_in_a_loop() -> None:
    asked = search("4,16", adaptive=True)
    trials = sweep(asked, lambda step: Trial(level=step.level, role=step.role, usable=False))
    assert [trial.level.size for trial in trials] == [4, 16, 4, 16]
    assert chosen(asked, standings(trials)) is None


def test_a_run_that_was_invalid_is_made_once_more() -> None:
    def run(step: Next) -> Trial:
        bad = step.level.size == 16 and step.role == "level"
        return Trial(level=step.level, role=step.role, usable=not bad, missed=0, judged=100, value=step.level.size)

    trials = sweep(search(), run)
    assert [(trial.level.size, trial.role) for trial in trials] == [
        (4, "level"), (16, "level"), (64, "level"), (16, "repeat"), (64, "confirm")]  # fmt: skip


def test_attainment_never_rises_with_load() -> None:
    levels = [(Level("rate", 1.0), 10), (Level("rate", 2.0), 40), (Level("rate", 3.0), 20)]
    found = standings(
        [Trial(level=level, role="level", usable=True, missed=missed, judged=100) for level, missed in levels]
    )
    assert [one.met_share for one in found] == [0.9, 0.7, 0.7]
    assert [one.holds for one in found] == [True, False, False] and MISSING_SHARE == 0.1
