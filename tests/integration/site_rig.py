"""A site of real processes with an operator's session to each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from netconf_client import ClientSession, NetconfClientError, connect
from rui.netconf.errors import RpcError
from rui_cli.launch import Fleet
from rui_cli.site import Site
from rui_cli.tables import Holding, ask_holding

GROUP = "g1"
WITHIN = 60.0


class Processes:
    """The devices of a site; ``stack`` closes the sessions in the end."""

    def __init__(self, site: Site, fleet: Fleet, stack: AsyncExitStack) -> None:
        self.site = site
        self.fleet = fleet
        self._stack = stack
        self._sessions: dict[str, ClientSession] = {}

    async def session(self, name: str) -> ClientSession:
        """The operator's session with a device; a new one where the last has ended."""
        found = self._sessions.get(name)
        if found is None or found.closed_reason is not None:
            found = self._sessions[name] = await connect(self.site.target(name), timeout=WITHIN)
            self._stack.push_async_callback(found.close)
        return found

    async def holding(self, name: str) -> Holding:
        """What a device holds of the group."""
        return await ask_holding(await self.session(name), GROUP)

    async def arrivals(self, rate: int) -> None:
        """Let users come to the primary at this rate from now on."""
        config = (
            '<device xmlns="urn:rui-cloud:yang:device"><group><id>g1</id><simulated>'
            f"<arrivals>{rate}</arrivals></simulated></group></device>"
        )
        await (await self.session("bras-a")).edit_config(config.encode(), target="running")


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that nobody announces; a device may be away meanwhile."""
    deadline = time.monotonic() + WITHIN
    while True:
        try:
            if await holds():
                return
        except (RpcError, NetconfClientError):
            pass  # a process that is away, or has no such group yet
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {WITHIN:g} s")
        await asyncio.sleep(0.05)
