"""A short story in which a process crashes at a write: before the first, after it, before the second …"""

from __future__ import annotations

from dataclasses import replace

import pytest

from rui.backup.decision import Policy
from rui.backup.delivery import DeliveryMode
from rui.backup.identity import Role
from tests.simulation.small import SmallWorld, odds

PARTS = 4


def tell(mode: DeliveryMode, crash_at: int | None) -> SmallWorld:
    """Users come and go; the cloud is away for a while, so both streams are in use; deletes are forgotten."""
    options = odds(Role.PRIMARY, Policy.IMMEDIATE, Policy.IMMEDIATE)
    world = SmallWorld(replace(options, mode=mode, tombstones=1, batch_records=2), crash_at)
    for deed in range(12):
        if deed % 3 == 2:
            world.logoff(deed % 4)
        else:
            world.login(deed % 5)
        if deed == 5:
            world.wire("a").cut()
            world.wire("b").cut()
            world.run_for(0.7)
        world.run_for(0.03)
    world.end()
    return world


@pytest.mark.parametrize("mode", DeliveryMode)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_crash_at_any_write_loses_nothing(mode: DeliveryMode, part: int) -> None:
    writes = tell(mode, None).writes
    assert writes > 40
    for crash_at in range(1 + part, writes + 1, PARTS):
        try:
            tell(mode, crash_at)
        except AssertionError as error:
            raise AssertionError(f"crash at write {crash_at}: {error}") from error
