"""Two or three virtual routers: in the end one Master, and never two for long (RUI_SIM_SEEDS for more)."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from rui.vrrp.states import State
from tests.simulation.vrrp import VrrpWorld, with_options

SEEDS = int(os.environ.get("RUI_SIM_SEEDS", "80"))
# The same seeds in each run; more of them find more
seeded = settings(max_examples=SEEDS, derandomize=True, deadline=None)
seeds = st.integers(0, 2**32)
SLACK = 1e-6


def told(world: VrrpWorld) -> str:
    routers = [(node.router.source.address, node.router.state, node.router.options) for node in world.nodes]
    return f"seed {world.seed}: {routers}"


def settled(world: VrrpWorld) -> float:
    """Return how long an election may take: silence, a preemption after its delay, a word to everybody."""
    return 3 * world.down_interval + 2.0 + world.interval / 50


@seeded
@given(seeds)
def test_an_undisturbed_link_has_one_master_soon_and_for_ever(seed: int) -> None:
    world = VrrpWorld(seed)
    world.start()
    world.run(settled(world))
    assert len(world.masters) == 1, told(world)
    (master,) = world.masters
    better = [node for node in world.nodes if node.router.priority > master.router.priority]
    assert not any(node.router.options.preempt for node in better), told(world)

    world.watch_afresh()
    world.run(20 * world.down_interval)
    assert world.masters == [master], told(world)
    assert (world.overlap, world.gap) == (0.0, 0.0), told(world)


@seeded
@given(seeds)
def test_there_are_never_two_masters_for_longer_than_a_word_takes(seed: int) -> None:
    """Also while they start one after another: an advertisement a delay later, and the answer to it."""
    world = VrrpWorld(seed)
    world.start()
    world.run(settled(world))
    assert world.overlap <= 2 * world.delay + world.interval / 1000 + SLACK, told(world)


@seeded
@given(seeds)
def test_after_any_trouble_one_of_them_forwards_again(seed: int) -> None:
    world = VrrpWorld(seed)
    world.start()
    world.run(settled(world))
    world.trouble(60)
    world.heal()
    world.run(settled(world))
    assert len(world.masters) == 1, told(world)
    world.watch_afresh()
    world.run(10 * world.down_interval)
    assert (len(world.masters), world.overlap, world.gap) == (1, 0.0, 0.0), told(world)


@seeded
@given(seeds)
def test_a_master_that_dies_is_replaced_within_its_down_interval(seed: int) -> None:
    world = VrrpWorld(seed)
    world.start()
    world.run(settled(world))
    world.watch_afresh()
    (master,) = world.masters
    master.cut = master.frozen = True
    world.run(2 * world.down_interval)
    assert len(world.masters) == 1, told(world)
    assert world.gap <= world.down_interval + SLACK, told(world)


@seeded
@given(seeds)
def test_a_master_that_resigns_is_replaced_within_the_skew(seed: int) -> None:
    world = VrrpWorld(seed)
    world.start()
    world.run(settled(world))
    world.watch_afresh()
    (master,) = world.masters
    world.act(master, "shutdown", "stopped")
    world.run(2 * world.down_interval)
    assert len(world.masters) == 1, told(world)
    assert world.gap <= world.interval / 100 + 2 * world.delay + SLACK, told(world)


@seeded
@given(seeds)
def test_a_yielding_master_forwards_until_one_has_a_grant(seed: int) -> None:
    world = with_options(VrrpWorld(seed), yield_needs_grant=True)
    world.start()
    world.run(settled(world))
    (master,) = world.masters
    world.watch_afresh()
    world.act(master, "set_priority", 1, "cloud and peers are out of reach")
    world.run(10 * world.down_interval)
    assert world.masters == [master], told(world)

    heir = next(node for node in world.nodes if node is not master)
    world.act(heir, "grant", world.clock.now + 10 * world.down_interval)
    world.run(5 * world.down_interval)
    assert world.masters == [heir], told(world)
    assert world.gap == 0.0, told(world)
    assert world.overlap <= world.delay + SLACK, told(world)


@seeded
@given(seeds)
def test_a_frozen_master_wakes_up_as_a_backup(seed: int) -> None:
    world = VrrpWorld(seed)
    world.start()
    world.run(settled(world))
    (master,) = world.masters
    master.frozen = True
    world.run(2 * world.down_interval)
    assert len(world.masters) == 1, told(world)
    world._thaw(master)
    assert master.router.state is State.BACKUP, told(world)
    world.run(settled(world))
    assert len(world.masters) == 1, told(world)


def test_the_same_seed_tells_the_same_story() -> None:
    worlds = [VrrpWorld(7), VrrpWorld(7)]
    for world in worlds:
        world.start()
        world.trouble(100)
    assert worlds[0].transitions == worlds[1].transitions
    assert worlds[0].clock.now == worlds[1].clock.now
