"""What follows from BFD: access-side sessions move mastership, all others are evidence only [0108]."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address
from random import Random
from typing import Final

import structlog
from lxml import etree

from netconf_server import Stream
from router.alarms import Alarms
from router.bfd import BfdConfig, BfdRole, BfdThread, SessionConfig
from router.vrrp import Election
from rui.backup.alarms import AlarmType
from rui.bfd.fsm import StateChanged
from rui.bfd.packet import State
from rui.bfd.states import Trigger

log = structlog.get_logger(__name__)

_ON_PURPOSE: Final = {Trigger.DISABLE, Trigger.HEARD_ADMIN_DOWN}


class BfdWatch:
    """The BFD sessions of one router, and what it does about them. Belongs to the loop's thread.

    ``elections`` are asked for at each fall: those whose Master is the silent end take over from it.
    """

    def __init__(
        self, config: BfdConfig, elections: Iterable[Election], alarms: Alarms, events: Stream
    ) -> None:
        self._config = config
        self._elections = tuple(elections)
        self._alarms = alarms
        self._events = events
        self._thread: BfdThread | None = None
        self._order = asyncio.Lock()

    async def start(self) -> None:
        """Begin all sessions. Raises BfdSocketError."""
        async with self._order:
            await self._begin()

    async def close(self) -> None:
        """Take all sessions down on purpose."""
        async with self._order:
            await self._end()

    async def apply(self, config: BfdConfig) -> None:
        """Have these sessions from now on; one whose way stays does not fall. Raises BfdSocketError."""
        async with self._order:
            old, self._config = self._config, config
            listens = (old.addresses, old.port) == (config.addresses, config.port)
            if self._thread is not None and listens and config.sessions:
                await self._thread.apply(config.sessions)
            else:
                await self._end()
                await self._begin()
            log.info("bfd-sessions-configured", sessions=len(config.sessions))

    def read(self) -> etree._Element | None:
        """Return ``/rui-bfd:bfd-sessions``; None where there is no session."""
        return self._thread.read() if self._thread is not None else None

    async def _begin(self) -> None:
        if not self._config.sessions:
            return
        # Spreads packets and source ports; guards no secret
        thread = BfdThread(self._config, self._changed, rng=Random())  # noqa: S311
        await thread.start()
        self._thread = thread

    async def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close()

    def _changed(self, config: SessionConfig, change: StateChanged, notification: etree._Element) -> None:
        silent = change.previous is State.UP and change.trigger is Trigger.EXPIRED
        if silent and config.role is BfdRole.ACCESS:
            # The election first: users wait for it. Who says that he hears nothing is no dead Master
            address = ip_address(config.path.remote)
            for election in self._elections:
                election.bfd_down(address)
        trusted = change.state is State.UP or change.trigger in _ON_PURPOSE
        if trusted or change.previous is State.UP:
            for election in self._elections:
                election.track(config.name, trusted=trusted)
        self._events.publish(notification)
        self._alarm(config, change)

    def _alarm(self, config: SessionConfig, change: StateChanged) -> None:
        fell = change.previous is State.UP and change.trigger not in _ON_PURPOSE
        if not fell and change.state is not State.UP and change.trigger not in _ON_PURPOSE:
            return  # On its way up; what holds goes on to hold
        text = (
            f"{config.path.remote} is not reached from {config.path.local} ({change.trigger.value}): "
            f"look at the {config.role.value} path and at its other end"
        )
        self._alarms.set(
            AlarmType.BFD_SESSION_DOWN, fell, text if fell else "", group=config.group, peer=config.name
        )
