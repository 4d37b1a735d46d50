"""All interleavings of two events: the second happens at each step of the world after the first.

RUI_SIM_EVERY_STEP=1 tries each step; without it one in some, another one for each pair.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import pytest

from rui.backup.decision import Policy
from rui.backup.identity import Role
from tests.simulation.small import A, B, SmallWorld, odds

STEPS = 60
STRIDE = 1 if os.environ.get("RUI_SIM_EVERY_STEP") else 20

EVENTS: dict[str, Callable[[SmallWorld], None]] = {
    "login": lambda world: world.login(1),
    "logoff": lambda world: world.logoff(0),
    "cut-a": lambda world: world.wire("a").cut(),
    "cut-b": lambda world: world.wire("b").cut(),
    "reset-c": lambda world: world.wire("c").reset("reset"),
    "crash-primary": lambda world: world.crash_router(A),
    "crash-secondary": lambda world: world.crash_router(B),
    "crash-cloud": lambda world: world.crash_cloud(),
    "restore": lambda world: world.restore_backup(),
}
PAIRS = list(itertools.product(EVENTS, repeat=2))


@pytest.mark.parametrize("first", EVENTS)
@pytest.mark.parametrize("initiator", Role)
def test_two_events_in_any_order_leave_all_equal(first: str, initiator: Role) -> None:
    for second, happens in EVENTS.items():
        begin = PAIRS.index((first, second)) % STRIDE
        for steps in range(begin, STEPS, STRIDE):
            world = SmallWorld(odds(initiator, Policy.CONFIRM, Policy.IMMEDIATE))
            world.run_for(0.3)
            for user in range(3):
                world.login(user)
            world.run_for(0.05)
            EVENTS[first](world)
            for _ in range(steps):
                world.clock.step()
            happens(world)
            world.login(2)
            try:
                world.run_for(0.5)
                world.end()
            except AssertionError as error:
                raise AssertionError(f"{first}, {steps} steps, {second}: {error}") from error
