"""What the simulation leaves out changes no story: each of its shortcuts, beside the long way."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from rui_cli.sim.roles import Roles
from rui_cli.sim.router import Router
from rui_cli.sim.story import Outcome, Story, live_through

SEEDS = [(0, Roles.CONFIGURED), (1, Roles.ELECTED), (2, Roles.MASTERSHIP)]


def told(seed: int, roles: Roles) -> Outcome:
    outcome = live_through(seed, roles)
    assert outcome.violation is None
    return outcome


@pytest.mark.parametrize(("seed", "roles"), SEEDS)
def test_a_member_that_nothing_was_done_with_has_nothing_to_do(seed: int, roles: Roles) -> None:
    turn, asked = Router._turn, 0

    def ask_at_every_turn(router: Router) -> bool:
        nonlocal asked
        asked += not router.touched
        router.touched = True
        return turn(router)

    short = told(seed, roles)
    with patch.object(Router, "_turn", ask_at_every_turn):
        assert told(seed, roles) == short
    assert asked > 100


@pytest.mark.parametrize(("seed", "roles"), SEEDS)
def test_without_news_the_copies_are_as_equal_as_before(seed: int, roles: Roles) -> None:
    looked = 0

    def look_after_each_event(story: Story, limit: float) -> None:
        nonlocal looked
        looked += 1
        story.world.clock.step()

    short = told(seed, roles)
    with patch.object(Story, "_until_news", look_after_each_event):
        assert told(seed, roles) == short
    assert looked
