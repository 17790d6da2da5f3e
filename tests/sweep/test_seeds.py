"""What the runs of a sweep draw from."""

from hypothesis import given
from hypothesis import strategies as st

from harness.load.arrivals.draws import exponential_gaps
from harness.sweep.seeds import seed_of


@given(seed=st.integers(-(2**63), 2**63))
def test_levels_that_were_asked_for_ask_the_same(seed: int) -> None:
    assert seed_of(seed, "level", "rate-8") == seed_of(seed, "level", "rate-16") == seed


@given(seed=st.integers(-(2**63), 2**63))
def test_a_run_that_should_say_more_draws_anew(seed: int) -> None:
    runs = [("level", "rate-8"), ("repeat", "rate-8.2"), ("repeat", "rate-8.3"), ("confirm", "rate-8.4"),
            ("search", "rate-9"), ("search", "rate-10")]  # fmt: skip
    seeds = [seed_of(seed, role, name) for role, name in runs]  # type: ignore[arg-type]
    assert len(set(seeds)) == len(runs)
    assert seeds == [seed_of(seed, role, name) for role, name in runs]  # type: ignore[arg-type]


def test_a_repeat_has_arrivals_of_its_own() -> None:
    gaps = [next(exponential_gaps(seed_of(1, "repeat", run), "worker.1")) for run in ("rate-8.2", "rate-8.3")]
    assert gaps[0] != gaps[1]


def test_two_sweeps_draw_apart() -> None:
    assert seed_of(1, "search", "rate-8") != seed_of(2, "search", "rate-8")


def test_a_seed_stays_what_it_was() -> None:
    """Or a sweep that was begun with an older version would be resumed with other requests."""
    assert seed_of(1, "confirm", "rate-52.7.2") == 4048904638
