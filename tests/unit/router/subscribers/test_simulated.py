"""The simulated source in a group whose role goes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import structlog

from router.config import SimulatedSource
from router.subscribers.simulated import SimulatedSubscribers
from tests.unit.router.groups import opened
from tests.unit.router.test_group import eventually

BUSY = SimulatedSource(1, 500.0, 0.0, 10, 100_000, IPv4Address("100.64.0.0"), False, 3600)


async def test_it_ends_quietly_when_the_role_is_lost(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as events:
        async with opened(tmp_path) as group:
            source = SimulatedSubscribers(group, BUSY)
            await source.start()
            await eventually(lambda: len(group.member.table) > 10)
            group.demote("another one is primary")
            users = len(group.member.table)
            await eventually(lambda: any(event["event"] == "simulation-ended" for event in events))
            assert len(group.member.table) == users
            source.change(replace(BUSY, arrivals=0.0))
            await source.close()
    assert [event for event in events if event["log_level"] == "error"] == []
