"""Seed: a run of a sweep in, the seed that it draws its arrivals and prompts from out."""

import hashlib

from harness.sweep.search import Role

_BYTES = 4  # of a derived seed: short enough to be read out and typed


def seed_of(seed: int, role: Role, run: str) -> int:
    """The levels that were asked for draw the sweep's own seed: the same requests at each, so that they compare.

    Every other run draws from a seed of its own: the same requests once more would say the same once more, and a
    choice made by one draw would be confirmed by that draw. It hangs on the run's name, which no other run of the
    sweep has, and on nothing that a resumed sweep could find changed.
    """
    if role == "level":
        return seed
    return int.from_bytes(hashlib.blake2b(f"{seed}:{run}".encode(), digest_size=_BYTES).digest())
