"""How the stories of two routers' failover begin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rui.backup.failover import FailoverOptions
from rui.backup.identity import Role
from rui.schema import Schema
from tests.unit.router.rbs.rig import OPTIONS, Site

DECIDER = {Role.PRIMARY: "bras-a", Role.SECONDARY: "bras-b"}
OTHER = {"bras-a": "bras-b", "bras-b": "bras-a"}


@asynccontextmanager
async def site(
    schema: Schema, initiator: Role, options: FailoverOptions = OPTIONS, **more: Role
) -> AsyncIterator[Site]:
    """Two routers, all links up; ``bras-a`` is primary of ``g1``."""
    made = Site(schema)
    made.add("g1", "bras-a", initiator, options=options, **more)
    made.start()
    try:
        yield made
    finally:
        await made.close()


async def settled(site: Site) -> None:
    """Wait until all three links are known to be up."""
    await site.until(
        "links are up",
        lambda: all(
            failover.cloud.state.value == peer.link.state.value == "up"
            for end in site.ends.values()
            for failover in end.failovers.values()
            for peer in failover.peers.values()
        ),
    )


async def backed_up_locally(site: Site, decider: str) -> None:
    await settled(site)
    site.cloud.update({"bras-a": False, "bras-b": False})
    (peer,) = site.failover(decider).peers.values()
    await site.until("local backup", lambda: peer.local)
