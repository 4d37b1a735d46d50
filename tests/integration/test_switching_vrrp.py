"""VRRP decides in two real routers with a manager, unicast on loopback: a killed Master, and its return."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, VRRP, Content, Group, Site
from tests.integration.site_rig import Processes, until
from tests.integration.test_failover import FAST

DEVICE, IDENTITY = "urn:rui-cloud:yang:device", "urn:rui-cloud:yang:identity"
ELECTIONS, BFD = "urn:rui-cloud:yang:vrrp", "urn:rui-cloud:yang:bfd"
ALARMS, SWITCHING = "urn:rui-cloud:yang:alarms", "urn:rui-cloud:yang:identity-switching"
ADDRESSES = {"bras-a": "127.0.0.11", "bras-b": "127.0.0.12"}
PRIORITIES = {"bras-a": "150", "bras-b": "100"}
WAIT_TO_RESTORE = 3


def free_udp_port() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.11", 0))
        return str(held.getsockname()[1])


def own_leaves(name: str, port: str) -> dict[str, Content]:
    """VRRP that needs twice as long as BFD, at least, to find a dead Master."""
    (other,) = set(ADDRESSES) - {name}
    link: dict[str, Content] = {
        "local-address": ADDRESSES[name],
        "local-port": port,
        "peer": [{"address": ADDRESSES[other], "port": port}],
    }
    vrrp: dict[str, Content] = {
        "vrid": "51",
        "priority": PRIORITIES[name],
        "advertise-interval-centi-sec": "50",
        "virtual-address": "192.0.2.254",
        "unicast": link,
    }
    restore: dict[str, Content] = {"wait-to-restore": str(WAIT_TO_RESTORE)}
    return {VRRP: vrrp, f"{{{SWITCHING}}}identity-switching": restore}


def sessions(name: str, port: str) -> dict[str, Content]:
    (other,) = set(ADDRESSES) - {name}
    ends = {"local-address": ADDRESSES[name], "remote-address": ADDRESSES[other], "remote-port": port}
    intervals = {"desired-min-tx-interval": "200000", "required-min-rx-interval": "200000"}
    session: dict[str, Content] = {"name": "access-g1", "role": "access", "group": "g1", **ends, **intervals}
    return {f"{{{BFD}}}bfd": {"listen-address": ADDRESSES[name], "port": port, "session": [session]}}


class World(Processes):
    async def text(self, name: str, top: str, namespace: str, leaf: str) -> str:
        """Return the first leaf of that name in a tree of operational data."""
        reply = await (await self.session(name)).get(f'<{top} xmlns="{namespace}"/>'.encode())
        return reply.element.findtext(f".//{{{namespace}}}{leaf}") or ""

    async def becomes(self, name: str, wanted: str) -> None:
        async def holds() -> bool:
            return await self.text(name, "identity", IDENTITY, "role") == wanted

        await until(f"{name} is {wanted}", holds)

    async def shows(self, name: str, top: str, namespace: str, leaf: str, wanted: str) -> None:
        async def holds() -> bool:
            return await self.text(name, top, namespace, leaf) == wanted

        await until(f"{name} shows {leaf} {wanted}", holds)

    async def more(self, name: str, than: int) -> None:
        async def holds() -> bool:
            return (await self.holding(name)).count >= than

        await until(f"{name} holds {than}", holds)

    async def equal(self) -> None:
        for name in ADDRESSES:
            config = (
                f'<device xmlns="{DEVICE}"><group><id>g1</id><simulated>'
                "<arrivals>0</arrivals></simulated></group></device>"
            )
            await (await self.session(name)).edit_config(config.encode(), target="running")

        async def holds() -> bool:
            return len({(await self.holding(name)).digest for name in self.site.devices}) == 1

        await until("all hold the same", holds)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    vrrp, bfd = free_udp_port(), free_udp_port()
    group = Group(
        "g1",
        "bras-a",
        ("bras-b",),
        simulated={"arrivals": "60", "initial-population": "100"},
        router_leaves={"timers": FAST},
        cloud_leaves={"timers": {"link-timeout": FAST["link-timeout"]}},
        own_leaves={name: own_leaves(name, vrrp) for name in ADDRESSES},
    )
    site = Site(folder / "site", [group], leaves={name: sessions(name, bfd) for name in ADDRESSES})
    site.write()
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(folder))
        for name in site.devices:
            fleet.add(name, site.words(name))
        running = World(site, fleet, stack)
        await fleet.start([MANAGER, "bras-a"])
        await running.becomes("bras-a", "primary")
        await fleet.start(["bras-b"])
        yield running


async def test_a_killed_master_is_replaced_by_bfd_and_preempts_after_wait_to_restore(tmp_path: Path) -> None:
    async with world(tmp_path) as running:
        await running.shows("bras-b", "bfd-sessions", BFD, "local-state", "up")
        await running.shows("bras-b", "vrrp", ELECTIONS, "master-ip-address", ADDRESSES["bras-a"])
        await running.more("bras-b", 130)
        held = (await running.holding("bras-b")).count
        old = running.fleet.members["bras-a"]
        await old.kill()
        await running.becomes("bras-b", "primary")
        reason = await running.text("bras-b", "vrrp", ELECTIONS, "reason")
        assert reason == "the Master is dead by BFD"
        await running.shows("bras-b", "alarms", ALARMS, "alarm-type-id", "bfd-session-down")
        await running.more(MANAGER, held + 60)
        held = (await running.holding(MANAGER)).count

        await old.start()
        back = time.monotonic()
        await running.becomes("bras-a", "secondary")
        await running.more("bras-a", held)
        await running.becomes("bras-a", "primary")
        assert time.monotonic() - back >= WAIT_TO_RESTORE, "in sync is not enough"
        await running.becomes("bras-b", "secondary")
        await running.more("bras-b", held + 60)
        await running.equal()
