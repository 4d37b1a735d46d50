"""FIG. 6 and FIG. 7 with real processes: the cloud goes away, local backup carries on, the cloud returns."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, Group, Site
from tests.integration.site_rig import Processes, until

LINKS = "urn:rui-cloud:yang:link-status"
FAST = {"link-timeout": "1000", "hold-time": "1000", "max-wait": "5000", "query-timeout": "500"}


class World(Processes):
    """Three processes, and what their paths and tables are."""

    async def path(self, name: str) -> str:
        """The path in use, as a router names it."""
        reply = await (await self.session(name)).get(f'<link-status xmlns="{LINKS}"/>'.encode())
        return reply.element.findtext(f".//{{{LINKS}}}in-use") or ""

    async def holds(self, name: str) -> tuple[int, str]:
        holding = await self.holding(name)
        return holding.count, holding.digest

    async def uses(self, name: str, path: str) -> None:
        async def holds() -> bool:
            return await self.path(name) == path

        await until(f"{name} uses {path}", holds)

    async def equal(self, *names: str) -> None:
        async def holds() -> bool:
            return len({await self.holds(name) for name in names}) == 1

        await until(f"{', '.join(names)} hold the same", holds)

    def steps(self, name: str) -> list[str]:
        """The steps of the figures that a router's log names, in order."""
        lines = (self.fleet.folder / f"{name}.log").read_text().splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event["step"] for event in events if event.get("step")]


@asynccontextmanager
async def world(folder: Path, initiator: str, **leaves: str) -> AsyncIterator[World]:
    group = Group(
        "g1",
        "bras-a",
        ("bras-b",),
        simulated={"arrivals": "30", "initial-population": "100"},
        router_leaves={"initiator": initiator, "timers": FAST, **leaves},
        cloud_leaves={"timers": {"link-timeout": FAST["link-timeout"]}},
    )
    site = Site(folder / "site", [group])
    site.write()
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(folder))
        for name in site.devices:
            fleet.add(name, site.words(name))
        await fleet.start()
        yield World(site, fleet, stack)


@pytest.mark.parametrize(
    ("initiator", "decider", "ask", "start"),
    [
        ("primary", "bras-a", "S601a", {"S603a", "S603b"}),
        ("secondary", "bras-b", "S701a", {"S703a", "S703b"}),
    ],
)
async def test_users_stay_backed_up_while_the_cloud_is_away(
    tmp_path: Path, initiator: str, decider: str, ask: str, start: set[str]
) -> None:
    async with world(tmp_path, initiator) as running:
        await running.uses(decider, "cloud")
        cloud = running.fleet.members[MANAGER]
        await cloud.kill()
        await running.uses(decider, "local")
        users = (await running.holds("bras-b"))[0]

        async def more() -> bool:
            return (await running.holds("bras-b"))[0] >= users + 30

        await until("the secondary gets second user-info", more)
        await running.arrivals(0)
        await running.equal("bras-a", "bras-b")
        await running.arrivals(30)
        await cloud.start()
        await running.uses(decider, "cloud")
        await running.arrivals(0)
        await running.equal("bras-a", MANAGER, "bras-b")
        steps = running.steps(decider)
        assert ask in steps, "whichever link is found down first, the initiator asks about its own"
        assert start & set(steps)


async def test_policy_immediate_asks_nobody(tmp_path: Path) -> None:
    """[0177]."""
    async with world(tmp_path, "primary", **{"fault-policy": "immediate"}) as running:
        await running.uses("bras-a", "cloud")
        await running.fleet.members[MANAGER].kill()
        await running.uses("bras-a", "local")
        assert "S601a" not in running.steps("bras-a")
