"""Who initiates where the ends' settings differ, and what goes over the channel beside local backup."""

from __future__ import annotations

import pytest

from rui.backup.alarms import AlarmType
from rui.backup.identity import Role
from rui.schema import Schema
from tests.unit.router.rbs.rig import LINK, Site, virtually
from tests.unit.router.rbs.stories import DECIDER, OTHER, backed_up_locally, settled, site


def test_where_both_initiate_the_primary_s_setting_counts(schema: Schema) -> None:
    """Each end is told by an alarm, for as long as they disagree and know it."""

    def raised(running: Site, name: str) -> bool:
        alarms = running.ends[name].groups["g1"].alarms
        return alarms.book.raised(AlarmType.INITIATOR_MISMATCH, "g1", OTHER[name])

    async def story() -> None:
        async with site(schema, Role.PRIMARY, secondary_initiator=Role.SECONDARY) as running:
            await settled(running)
            assert not raised(running, "bras-a")
            running.cloud.update({"bras-a": False, "bras-b": False})
            running.ends["bras-a"].groups["g1"].login(*range(20))
            await running.until("the secondary has it", running.equal)
            await running.until("both know", lambda: all(raised(running, name) for name in OTHER))
            assert running.failover("bras-b").peers["bras-a"].informant is not None
            assert running.path("bras-a") == running.path("bras-b") == "local"
            running.ends["bras-a"].channel.hang_up()
            assert not raised(running, "bras-b")
            await running.until("it initiates again, then not", lambda: raised(running, "bras-b"))

    virtually(story())


def test_where_neither_initiates_the_secondary_does_as_the_primary_wants(schema: Schema) -> None:
    def raised(running: Site) -> bool:
        alarms = running.ends["bras-b"].groups["g1"].alarms
        return alarms.book.raised(AlarmType.INITIATOR_MISMATCH, "g1", "bras-a")

    async def story() -> None:
        async with site(schema, Role.SECONDARY, secondary_initiator=Role.PRIMARY) as running:
            began = running.now
            await running.until("it dials", lambda: running.ends["bras-b"].channel.session is not None)
            assert running.now - began >= 4 * LINK.timeout
            assert not raised(running)
            await running.until("the alarm", lambda: raised(running))
            await settled(running)
            running.cloud.update({"bras-a": False, "bras-b": False})
            running.ends["bras-a"].groups["g1"].login(*range(20))
            await running.until("the secondary has it", running.equal)
            assert running.path("bras-a") == running.path("bras-b") == "local"
            running.ends["bras-b"].channel.hang_up()
            assert not raised(running), "nobody knows while there is no session"

    virtually(story())


def test_who_is_called_late_does_not_initiate(schema: Schema) -> None:
    async def story() -> None:
        async with site(schema, Role.PRIMARY) as running:
            running.channel = False
            running.ends["bras-a"].channel.hang_up()
            peer = running.failover("bras-b").peers["bras-a"]
            await running.until("nobody calls", lambda: peer.volunteers)
            running.channel = True
            await running.until("it is called", lambda: peer.caller is not None)
            assert peer.informant is not None
            assert not peer.volunteers

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
def test_who_serves_beside_the_primary_offers_over_the_channel(schema: Schema, initiator: Role) -> None:
    async def story() -> None:
        async with site(schema, initiator) as running:
            primary, secondary = (end.groups["g1"] for end in running.ends.values())
            secondary.member.promote()
            secondary.perform()
            secondary.member.demote("bras-a is primary")
            primary.member.outclaim(secondary.member.epoch)
            primary.perform()
            await backed_up_locally(running, DECIDER[initiator])
            primary.login(1)
            await running.until("the secondary has it", running.equal)
            secondary.member.share(True)
            secondary.login(50, 51)
            assert len(secondary.member.users) == 3
            await running.until("the primary has them", lambda: len(primary.member.table) == 3)
            await running.until("they have come back", lambda: not len(secondary.member.sharing))
            assert running.equal()
            assert len(secondary.member.users) == len(secondary.member.table) == 3

    virtually(story())
