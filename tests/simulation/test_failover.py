"""FIG. 6 to FIG. 9 under faults: both initiators, all policies, many seeds (RUI_SIM_SEEDS for more)."""

from __future__ import annotations

import os

import pytest

from rui.backup.decision import Path
from rui.backup.identity import Role
from tests.simulation.failover import FailoverWorld

SEEDS = int(os.environ.get("RUI_SIM_SEEDS", "36"))
CHUNK = 6
EVENTS = 1000
WITHIN = 30.0


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


@pytest.mark.parametrize("seed", [78, 111])
def test_what_was_found_once_stays_repaired(seed: int) -> None:
    """A notification that a lost session swallowed; a snapshot that local backup had overtaken."""
    live_through(seed)


def test_the_same_seed_tells_the_same_story() -> None:
    worlds = [live_through(3), live_through(3)]
    assert worlds[0].clock.now == worlds[1].clock.now
    assert worlds[0].digests() == worlds[1].digests()


def test_the_worlds_take_every_path() -> None:
    worlds = [live_through(seed) for seed in range(12)]
    assert {world.setting.initiator for world in worlds} == set(Role)
    assert {path for world in worlds for pair in world.paths for path in pair} == set(Path)
