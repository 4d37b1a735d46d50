"""FIG. 4 and FIG. 5 under faults: the real cores in one deterministic world, many seeds."""

from __future__ import annotations

import pytest

from rui.backup.version import ZERO
from tests.simulation.world import World

SEEDS = 120
CHUNK = 10


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_the_three_tables_are_equal_after_any_faults(first: int) -> None:
    for seed in range(first, first + CHUNK):
        world = World(seed)
        try:
            world.run(events=400)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        assert world.converged(), f"seed {seed}: not converged after healing: {world.odds}"
        assert len(set(world.digests())) == 1, f"seed {seed}: digests differ"


def test_the_same_seed_tells_the_same_story() -> None:
    worlds = [World(7), World(7)]
    for world in worlds:
        world.run(events=300)
    assert worlds[0].clock.now == worlds[1].clock.now
    assert worlds[0].digests() == worlds[1].digests()


def test_the_worlds_are_not_all_alike() -> None:
    worlds = [World(seed) for seed in range(12)]
    for world in worlds:
        world.run(events=400)
    assert sum(world.faults for world in worlds) > 20
    assert any(world.store.table.floor > ZERO for world in worlds)
