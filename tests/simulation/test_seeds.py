"""The simulation as CI runs it: 500 seeds, every invariant after every event (RUI_SIM_SEEDS for more)."""

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


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_nothing_that_must_hold_is_broken(first: int) -> None:
    summary = run_block(range(first, min(first + BLOCK, SEEDS)), Roles.CONFIGURED)
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
    summary: Summary = run_block(range(40), Roles.CONFIGURED)
    report = summary.as_json()["coverage"]
    for machine in ("rui.backup.source", "rui.backup.links"):
        found = report[machine]
        assert found["transitions"] >= found["of"] * 2 // 3, found["missing"]
    faults = {word.partition("/")[0] for word in report["faults"]["which"]}
    assert {"cut", "stall", "one-way", "crash", "cloud-crash", "freeze", "full-disk", "restore"} <= faults
