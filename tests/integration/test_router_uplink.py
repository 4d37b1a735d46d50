"""A primary towards the cloud: S401 to S403, S502, S503; kills, refusals, silence, and a second listener."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from netconf_client import connect
from rui.backup import wire
from rui.backup.digest import combine
from rui.backup.identity import Role
from rui.backup.version import Epoch
from rui.netconf.errors import RpcError
from tests.integration.router_rig import (
    PRIMARY,
    Cloud,
    digest,
    make_site,
    manager_target,
    operational,
    process,
    running,
    texts,
)
from tests.replica import Replica

LINK_STATUS = "urn:rui-cloud:yang:link-status"


async def test_the_cloud_learns_who_is_primary_and_gets_every_user(tmp_path: Path) -> None:
    site = make_site(tmp_path, simulated={"initial-population": "2500", "max-population": "2500"})
    async with running(process(site, PRIMARY)), Cloud.at(manager_target(site, PRIMARY)) as cloud:
        identity = await cloud.admit()
        assert identity.role is Role.PRIMARY
        assert identity.epoch == Epoch(1, PRIMARY)
        await cloud.take_until(lambda replica: len(replica.table) == 2500)
        shown = await digest(cloud.session)
        assert shown["digest"] == combine(cloud.replica.table.buckets)
        assert shown["count"] == "2500"
        assert shown["cursor"] == str(cloud.replica.position.cursor) == f"1@{PRIMARY}/2500"
        operator = await connect(site.target(PRIMARY), timeout=30.0)
        links = await operational(operator, LINK_STATUS, "link-status")
        await operator.close()
        assert texts(links, "link/state") == ["up"]
        assert texts(links, "group/communication-status") == ["normal"]
        assert texts(links, "group/replica/state") == ["in-sync"]
        assert texts(links, "group/replica/lag-records") == ["0"]
        assert texts(links, "group/replica/oldest-unacknowledged") == []


async def test_killed_at_any_moment_the_router_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    site = make_site(tmp_path, simulated={"initial-population": "20000", "max-population": "20000"})
    router = process(site, PRIMARY)
    replica = Replica()
    async with running(router):
        async with Cloud.at(manager_target(site, PRIMARY), replica) as cloud:
            await cloud.admit()
            for _ in range(3):
                await cloud.take()
            await router.kill()
        acknowledged = {change.key: change.version for change in replica.table.live()}
        assert acknowledged
        await router.start()
        async with Cloud.at(manager_target(site, PRIMARY), replica) as cloud:
            identity = await cloud.admit()
            assert identity.epoch == Epoch(2, PRIMARY)
            assert identity.position.cursor >= replica.position.cursor
            await cloud.take_until(lambda held: held.position.cursor >= identity.position.cursor)
            shown = await digest(cloud.session)
            while shown["cursor"] != str(replica.position.cursor):  # the simulation may still add users
                await cloud.take()
                shown = await digest(cloud.session)
            assert shown["digest"] == combine(replica.table.buckets)
            assert acknowledged.keys() <= {change.key for change in replica.table.live()}


async def test_a_refused_claim_is_raised(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    async with running(process(site, PRIMARY)), Cloud.at(manager_target(site, PRIMARY)) as cloud:
        first = await cloud.identities.get()
        await cloud.answer(first, accepted=False, highest=Epoch(9, "bras-z"))
        second = await cloud.identities.get()
        assert second.epoch == Epoch(10, PRIMARY)


async def test_a_cloud_that_acknowledges_nothing_loses_its_session(tmp_path: Path) -> None:
    leaves = {"timers": {"link-timeout": "300"}}
    site = make_site(
        tmp_path, simulated={"initial-population": "10", "max-population": "10"}, router_leaves=leaves
    )
    async with running(process(site, PRIMARY)), Cloud.at(manager_target(site, PRIMARY)) as cloud:
        await cloud.admit()
        await cloud.batches.get()
        async with asyncio.timeout(30.0):
            await cloud.session.wait_closed()


async def test_who_only_listens_gets_identities_and_no_users(tmp_path: Path) -> None:
    site = make_site(tmp_path, simulated={"initial-population": "10", "max-population": "10"})
    async with (
        running(process(site, PRIMARY)),
        Cloud.at(site.target(PRIMARY)) as watcher,
        Cloud.at(manager_target(site, PRIMARY)) as cloud,
    ):
        assert (await watcher.identities.get()).role is Role.PRIMARY
        await cloud.admit()
        await cloud.take_until(lambda replica: len(replica.table) == 10)
        assert watcher.batches.empty()


async def test_a_new_session_of_the_cloud_takes_over_from_a_dead_one(tmp_path: Path) -> None:
    site = make_site(tmp_path, simulated={"initial-population": "10", "max-population": "10"})
    replica = Replica()
    async with running(process(site, PRIMARY)), Cloud.at(manager_target(site, PRIMARY), replica) as old:
        await old.admit()
        await old.batches.get()
        async with Cloud.at(manager_target(site, PRIMARY), replica) as new:
            await new.admit()
            await new.take_until(lambda held: len(held.table) == 10)


async def test_an_acknowledgement_from_elsewhere_is_refused(tmp_path: Path) -> None:
    site = make_site(tmp_path, simulated={"initial-population": "10", "max-population": "10"})
    async with running(process(site, PRIMARY)), Cloud.at(manager_target(site, PRIMARY)) as cloud:
        await cloud.admit()
        batch = await cloud.batches.get()
        receipt = wire.encode_receipt(cloud.replica.apply(batch))
        stranger = await connect(site.target(PRIMARY), timeout=30.0)
        try:
            with pytest.raises(RpcError, match="send identity-result first"):
                await stranger.rpc(receipt)
        finally:
            await stranger.close()
