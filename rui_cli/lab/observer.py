"""The operator's eyes: what the devices of a lab say of themselves over NETCONF."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lxml import etree

from netconf_client import ClientSession, NetconfClientError, connect
from rui.backup.switchover import SwitchIdentity, encode_switch
from rui.netconf.errors import RpcError
from rui_cli.errors import CliError
from rui_cli.lab.pair import GROUP
from rui_cli.site import MANAGER, Site
from rui_cli.tables import Holding, ask_holding

_IDENTITY = "urn:rui-cloud:yang:identity"
_LINKS = "urn:rui-cloud:yang:link-status"
_ANSWER_SECONDS = 10.0
_LOOK_EVERY = 0.1
WITHIN = 90.0
"""Seconds in which what is waited for has to come."""

Answer = TypeVar("Answer")
Holds = Callable[[], Awaitable[bool]]


class Observer:
    """Keeps a session with each device, and dials anew what has ended."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._sessions: dict[str, ClientSession] = {}

    async def close(self) -> None:
        """End all sessions."""
        for name in list(self._sessions):
            await self._drop(name)

    async def role(self, name: str) -> str:
        """Return what a router is in the group: primary or secondary. Raises NetconfClientError, RpcError."""
        tree = await self._get(name, f'<identity xmlns="{_IDENTITY}"/>')
        return tree.findtext(f".//{{{_IDENTITY}}}role") or ""

    async def link(self, name: str, far_end: str) -> str:
        """Return how a router judges its link to another device, as `up` or `degraded`."""
        tree = await self._get(name, f'<link-status xmlns="{_LINKS}"/>')
        for link in tree.iter(f"{{{_LINKS}}}link"):
            if link.findtext(f"{{{_LINKS}}}far-end") == far_end:
                return link.findtext(f"{{{_LINKS}}}state") or ""
        return ""

    async def holding(self, name: str) -> Holding:
        """Return what a device holds of the group."""
        return await self._with(name, lambda session: ask_holding(session, GROUP))

    async def same(self, users: int) -> bool:
        """Whether all devices hold the same, and so many users."""
        held = await asyncio.gather(*(self.holding(name) for name in self._site.devices))
        return len({one.digest for one in held}) == 1 and held[0].count == users

    async def switch(self, to: str) -> None:
        """Move the role, as an operator at the cloud does. Raises RpcError where it is refused."""
        await self._with(MANAGER, lambda session: session.rpc(encode_switch(SwitchIdentity(GROUP, to))))

    async def until(self, what: str, holds: Holds, within: float = WITHIN) -> None:
        """Wait until something holds; who does not answer is asked again. Raises CliError if it does not."""
        end = time.monotonic() + within
        while True:
            said = ""
            try:
                if await holds():
                    return
            except (NetconfClientError, RpcError, TimeoutError) as error:
                said = f" ({error})"  # a device may be away meanwhile
            if time.monotonic() > end:
                raise CliError(f"after {within:g} s it is not so that {what}{said}")
            await asyncio.sleep(_LOOK_EVERY)

    async def _get(self, name: str, subtree: str) -> etree._Element:
        reply = await self._with(name, lambda session: session.get(subtree.encode()))
        return reply.element

    async def _with(self, name: str, ask: Callable[[ClientSession], Awaitable[Answer]]) -> Answer:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                session = self._sessions.get(name)
                if session is None:
                    session = await connect(self._site.target(name), timeout=_ANSWER_SECONDS)
                    self._sessions[name] = session
                return await ask(session)
        except (NetconfClientError, TimeoutError):
            await self._drop(name)
            raise

    async def _drop(self, name: str) -> None:
        session = self._sessions.pop(name, None)
        if session is not None:
            with contextlib.suppress(NetconfClientError, TimeoutError):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await session.close()
