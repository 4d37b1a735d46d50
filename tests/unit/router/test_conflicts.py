"""An offer brings a user whose address another one holds: both are reported, until one of them has gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from router.alarms import Alarms
from router.alarmwatch import AlarmWatch
from router.conflicts import ConflictWatch
from router.group import Group
from router.journal import Quota
from rui.backup.messages import Batch, Change, Offer, Result, Stream
from rui.backup.record import UserInfo
from rui.backup.version import ZERO, Epoch, Version
from tests.unit.router.groups import GROUP, opened
from tests.unit.router.test_alarmwatch import NoSwitch

HERE = UserInfo("02:00:00:00:00:01", ipv4_address="192.0.2.7")
THERE = UserInfo("02:00:00:00:00:02", ipv4_address="192.0.2.7")


async def offered(group: Group, *users: UserInfo) -> None:
    """Have another router offer users, until they are adopted."""
    other = Epoch(1, "bras-b")
    changes = tuple(
        Change(user.key, Version(other, number), user.encode()) for number, user in enumerate(users, 1)
    )
    last = changes[-1].version
    batch = Batch(GROUP, group.member.epoch, Stream(ZERO, last), changes, offer=Offer("bras-b", ZERO, last))
    receipt = await group.receive(batch, ())
    assert receipt.result is Result.STORED


def conflicts(alarms: Alarms) -> list[str]:
    return [
        alarm.text
        for alarm in alarms.book.alarms
        if alarm.cleared is None and alarm.key.type.value == "address-conflict"
    ]


async def test_an_adopted_address_that_somebody_holds_is_reported_and_cleared(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        found = ConflictWatch(GROUP, group, gather=0.0, rest=0.0)
        switch = NoSwitch()
        watch = AlarmWatch(
            group.alarms,
            {GROUP: group},
            switch,  # type: ignore[arg-type]
            lambda: True,
            Quota(),
            conflicts={GROUP: found},
        )
        group.put(HERE.key, HERE.encode())
        with structlog.testing.capture_logs() as logs:
            await offered(group, THERE)
            while not found.lasting():  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0)
        told = [log for log in logs if log["event"] == "address-conflict"]
        assert [(log["address"], log["key"], log["other"]) for log in told] == [
            ("192.0.2.7", THERE.key.decode(), HERE.key.decode())
        ]
        watch.look()
        (text,) = conflicts(group.alarms)
        assert text.startswith(
            f"192.0.2.7 is held by {THERE.key.decode()} and by {HERE.key.decode()}: log off"
        )
        group.delete(HERE.key)
        watch.look()
        assert conflicts(group.alarms) == []
        await watch.close()
