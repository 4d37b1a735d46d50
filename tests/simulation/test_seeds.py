"""The simulation as CI runs it: 500 seeds, every invariant after every event (RUI_SIM_SEEDS for more).

Half of them with roles as configured, a quarter each with VRRP's elections and with the cloud's grants.
"""

from __future__ import annotations

import os
import random

import pytest

from rui_cli.sim.options import draw
from rui_cli.sim.roles import Roles
from rui_cli.sim.runner import Summary, run_block
from rui_cli.sim.story import EVENTS, Story
from rui_cli.sim.world import World

SEEDS = int(os.environ.get("RUI_SIM_SEEDS", "500"))
BLOCK = 25


SHARES = {Roles.CONFIGURED: SEEDS // 2, Roles.ELECTED: SEEDS // 4, Roles.MASTERSHIP: SEEDS // 4}


@pytest.mark.parametrize(
    ("roles", "first"),
    [(roles, first) for roles, share in SHARES.items() for first in range(0, share, BLOCK)],
)
def test_nothing_that_must_hold_is_broken(roles: Roles, first: int) -> None:
    summary = run_block(range(first, min(first + BLOCK, SHARES[roles])), roles)
    assert summary.violations == []
    assert summary.events >= EVENTS * summary.seeds


def test_the_same_seed_tells_the_same_story() -> None:
    worlds = []
    for _ in range(2):
        chance = random.Random(11)
        world = World(chance, draw(chance, Roles.CONFIGURED))
        Story(world).tell()
        worlds.append(world)
    assert worlds[0].clock.steps == worlds[1].clock.steps
    assert worlds[0].clock.now == worlds[1].clock.now
    assert worlds[0].checks.truth.written == worlds[1].checks.truth.written


def test_the_stories_go_through_almost_all_that_the_tables_know() -> None:
    summary = Summary()
    for roles in SHARES:
        summary.add(run_block(range(15), roles))
    report = summary.as_json()["coverage"]
    for machine in ("rui.backup.source", "rui.backup.links", "rui.backup.mastership"):
        found = report[machine]
        assert found["transitions"] >= found["of"] * 2 // 3, found["missing"]
    faults = {word.partition("/")[0] for word in report["faults"]["which"]}
    assert {"cut", "stall", "one-way", "crash", "cloud-crash", "freeze", "full-disk", "switch"} <= faults
