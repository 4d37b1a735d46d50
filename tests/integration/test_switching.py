"""Identity switching [0245] to [0248] with real processes: a dead primary, an operator's wish, a return."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rui.backup.switchover import SwitchIdentity, encode_switch
from rui_cli.launch import Fleet
from rui_cli.site import DEVICE_NAMESPACE, MANAGER, Group, Site
from tests.integration.site_rig import until
from tests.integration.test_failover import FAST, World

IDENTITY = "urn:rui-cloud:yang:identity"


def group(name: str, primary: str, *secondaries: str) -> Group:
    return Group(
        name,
        primary,
        secondaries,
        simulated={"arrivals": "30", "initial-population": "100"},
        router_leaves={"timers": FAST},
        cloud_leaves={"timers": {"link-timeout": FAST["link-timeout"]}},
    )


@asynccontextmanager
async def world(folder: Path, *groups: Group) -> AsyncIterator[World]:
    site = Site(folder / "site", groups or [group("g1", "bras-a", "bras-b")])
    site.write()
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(folder))
        for name in site.devices:
            fleet.add(name, site.words(name))
        await fleet.start()
        yield World(site, fleet, stack)


async def role(running: World, name: str, of: str = "g1") -> str:
    reply = await (await running.session(name)).get(f'<identity xmlns="{IDENTITY}"/>'.encode())
    roles = {
        entry.findtext(f"{{{IDENTITY}}}group-id"): entry.findtext(f"{{{IDENTITY}}}role")
        for entry in reply.element.iter(f"{{{IDENTITY}}}group")
    }
    return roles.get(of) or ""


async def becomes(running: World, name: str, wanted: str, of: str = "g1") -> None:
    async def holds() -> bool:
        return await role(running, name, of) == wanted

    await until(f"{name} is {wanted}", holds)


async def more(running: World, name: str, count: int) -> None:
    users = (await running.holds(name))[0]

    async def holds() -> bool:
        return (await running.holds(name))[0] >= users + count

    await until(f"{count} more users at {name}", holds)


async def no_more_arrivals(running: World, *names: str) -> None:
    config = (
        f'<device xmlns="{DEVICE_NAMESPACE}"><group><id>g1</id><simulated>'
        "<arrivals>0</arrivals></simulated></group></device>"
    )
    for name in names:
        await (await running.session(name)).edit_config(config.encode(), target="running")


async def test_a_dead_primary_is_replaced_by_the_clouds_grant_and_comes_back_as_secondary(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as running:
        await running.equal("bras-a", MANAGER, "bras-b")
        old = running.fleet.members["bras-a"]
        users = (await running.holds("bras-b"))[0]
        await old.kill()
        await becomes(running, "bras-b", "primary")
        assert (await running.holds("bras-b"))[0] >= users, "nobody was lost by the takeover"
        await more(running, MANAGER, 30)
        await old.start()
        await becomes(running, "bras-a", "secondary")
        await more(running, "bras-a", 30)
        await no_more_arrivals(running, "bras-a", "bras-b")
        await running.equal("bras-a", MANAGER, "bras-b")
        assert await role(running, "bras-b") == "primary", "who serves goes on serving"


async def test_an_operator_moves_the_role_and_back_without_losing_a_user(tmp_path: Path) -> None:
    async with world(tmp_path) as running:
        await running.equal("bras-a", MANAGER, "bras-b")
        manager = await running.session(MANAGER)
        for new, former in (("bras-b", "bras-a"), ("bras-a", "bras-b")):
            users = (await running.holds(former))[0]
            await manager.rpc(encode_switch(SwitchIdentity("g1", new)))
            await becomes(running, new, "primary")
            await becomes(running, former, "secondary")
            await more(running, former, 30)
            assert (await running.holds(new))[0] >= users
        await no_more_arrivals(running, "bras-a", "bras-b")
        await running.equal("bras-a", MANAGER, "bras-b")


async def test_two_primaries_find_out_without_the_cloud(tmp_path: Path) -> None:
    async with world(tmp_path) as running:
        await running.equal("bras-a", MANAGER, "bras-b")
        await running.fleet.members[MANAGER].kill()
        await running.uses("bras-a", "local")
        session = await running.session("bras-b")
        await session.rpc(encode_switch(SwitchIdentity("g1", force=True)))
        await becomes(running, "bras-b", "primary")
        await becomes(running, "bras-a", "secondary")
        await asyncio.gather(more(running, "bras-a", 30), more(running, "bras-b", 30))
        await no_more_arrivals(running, "bras-a", "bras-b")
        await running.equal("bras-a", "bras-b")


async def test_groups_with_opposite_roles_switch_apart_and_a_second_secondary_follows(tmp_path: Path) -> None:
    groups = (group("g1", "bras-a", "bras-b", "bras-c"), group("g2", "bras-b", "bras-a"))
    async with world(tmp_path, *groups) as running:
        await running.equal("bras-a", MANAGER, "bras-b", "bras-c")
        manager = await running.session(MANAGER)
        await manager.rpc(encode_switch(SwitchIdentity("g1", "bras-b")))
        await becomes(running, "bras-b", "primary")
        await becomes(running, "bras-a", "secondary")
        assert await role(running, "bras-b", "g2") == "primary"
        assert await role(running, "bras-a", "g2") == "secondary"
        await more(running, "bras-c", 30)
        await no_more_arrivals(running, "bras-a", "bras-b", "bras-c")
        await running.equal("bras-a", MANAGER, "bras-b", "bras-c")
