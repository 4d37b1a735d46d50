"""A split access network with real processes: two Masters, of which one serves beside the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, VRRP, Content, Group, Site
from rui_cli.tables import ask_records
from tests.integration.site_rig import until
from tests.integration.test_failover import FAST
from tests.integration.test_switching_vrrp import ADDRESSES, ALARMS, IDENTITY, SWITCHING, World

LINKS = "urn:rui-cloud:yang:link-status"
POPULATION = 2000
A, B = "bras-a", "bras-b"


class Access(asyncio.DatagramProtocol):
    """One router's end of an access network of two: what the router sends comes in here."""

    def __init__(self) -> None:
        self.cut = False
        self.port = 0
        self.router: tuple[str, int] | None = None
        self.other: Access | None = None
        self._socket: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.router = addr
        if self.other is not None and not self.cut:
            self.other.pass_on(data)

    def pass_on(self, data: bytes) -> None:
        if self._socket is not None and self.router is not None:
            self._socket.sendto(data, self.router)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class Split(World):
    """What the routers say of a split, and the switch of the access network."""

    access: tuple[Access, Access]

    def cut(self, cut: bool) -> None:
        for end in self.access:
            end.cut = cut

    async def stands(self, name: str, standing: str) -> None:
        await self.shows(name, "identity", IDENTITY, "standing", standing)

    async def alarmed(self, name: str, yes: bool) -> None:
        async def holds() -> bool:
            reply = await (await self.session(name)).get(f'<alarms xmlns="{ALARMS}"/>'.encode())
            cleared = [
                alarm.findtext(f"{{{ALARMS}}}is-cleared")
                for alarm in reply.element.iter(f"{{{ALARMS}}}alarm")
                if alarm.findtext(f"{{{ALARMS}}}alarm-type-id") == "dual-primary"
            ]
            return ("false" in cleared) is yes

        await until(f"{name} has the alarm: {yes}", holds)

    async def beside(self, name: str) -> set[str]:
        """The users that a device holds, and that the router beside the primary has taken."""
        keys = await ask_records(await self.session(name), "g1")
        return {key for key in keys if int(key.partition("/")[0].replace(":", "")[4:], 16) >= POPULATION}

    async def hears_of(self, name: str, more_than: int) -> None:
        async def holds() -> bool:
            return len(await self.beside(name)) > more_than

        await until(f"{name} holds more than {more_than} of the other half", holds)

    def live_offers(self, name: str) -> int:
        lines = (self.fleet.folder / f"{name}.log").read_text().splitlines()
        events = [json.loads(line) for line in lines if '"changes-adopted"' in line]
        return sum(event["count"] for event in events if event["live"])


@asynccontextmanager
async def split(folder: Path) -> AsyncIterator[Split]:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        ends = []
        for name in (B, A):  # what a router sends to the other's address comes in at its own end
            end = Access()
            await loop.create_datagram_endpoint(lambda end=end: end, (ADDRESSES[name], 0))  # type: ignore[misc]
            stack.callback(end.close)
            ends.append(end)
        ends[0].other, ends[1].other = ends[1], ends[0]

        def leaves(name: str, far: str, end: Access) -> dict[str, Content]:
            peer = {"address": ADDRESSES[far], "port": str(end.port)}
            link: dict[str, Content] = {"local-address": ADDRESSES[name], "local-port": "0", "peer": [peer]}
            vrrp: dict[str, Content] = {
                "vrid": "52",
                "priority": "150" if name == A else "100",
                "advertise-interval-centi-sec": "50",
                "virtual-address": "192.0.2.254",
                "unicast": link,
            }
            restore: dict[str, Content] = {"wait-to-restore": "1"}
            return {VRRP: vrrp, f"{{{SWITCHING}}}identity-switching": restore}

        group = Group(
            "g1",
            A,
            (B,),
            simulated={
                "arrivals": "60",
                "initial-population": "50",
                "max-population": str(POPULATION),
                "mean-hold-time": "0",
            },
            router_leaves={"timers": FAST},
            cloud_leaves={"timers": {"link-timeout": FAST["link-timeout"]}},
            own_leaves={A: leaves(A, B, ends[0]), B: leaves(B, A, ends[1])},
        )
        site = Site(folder / "site", [group])
        site.write()
        fleet = await stack.enter_async_context(Fleet(folder))
        for name in site.devices:
            fleet.add(name, site.words(name))
        running = Split(site, fleet, stack)
        running.access = (ends[0], ends[1])
        await fleet.start([MANAGER, A])
        await running.becomes(A, "primary")
        await fleet.start([B])
        await running.more(B, 60)
        yield running


async def test_both_halves_are_served_and_nothing_of_either_is_lost(tmp_path: Path) -> None:
    async with split(tmp_path) as running:
        running.cut(True)
        await running.stands(B, "primary")
        await running.stands(A, "sharing")
        for name in (A, B):
            await running.alarmed(name, True)

        await running.hears_of(MANAGER, 20)
        through_cloud = running.live_offers(B)
        assert through_cloud >= 20, "relayed by the cloud, which stores nothing but what the primary writes"

        await running.fleet.members[MANAGER].kill()
        await running.hears_of(B, len(await running.beside(B)) + 40)
        await running.fleet.members[MANAGER].start()

        taken = await running.beside(B)
        running.cut(False)
        await running.stands(A, "primary")
        await running.stands(B, "secondary")
        for name in (A, B):
            await running.alarmed(name, False)
        await running.equal()
        assert await running.beside(A) >= taken
        reply = await (await running.session(A)).get(f'<link-status xmlns="{LINKS}"/>'.encode())
        assert not list(reply.element.iter(f"{{{LINKS}}}sharing"))
