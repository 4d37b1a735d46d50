"""FIG. 6 to FIG. 9 under faults: both initiators, all policies, many seeds (RUI_SIM_SEEDS for more)."""

from __future__ import annotations

import os

import pytest

from tests.simulation.failover import FailoverWorld

SEEDS = int(os.environ.get("RUI_SIM_SEEDS", "60"))
CHUNK = 10
EVENTS = 1000
WITHIN = 40.0


def live_through(seed: int) -> FailoverWorld:
    """Tell a world's story: faults, then no cloud, then faults again, then healing."""
    world = FailoverWorld(seed)
    try:
        world.tell(EVENTS)
        world.without_the_cloud(WITHIN)
        world.tell(EVENTS // 2)
        world.heal()
        assert world.converged(), f"not converged after healing: {world.state()}"
        assert len(set(world.digests())) == 1, "digests differ"
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return world


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_nothing_is_lost_and_all_return_to_the_cloud_path(first: int) -> None:
    for seed in range(first, min(first + CHUNK, SEEDS)):
        live_through(seed)
