"""What follows from BFD: access-side sessions move mastership, all others are evidence only [0108]."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from random import Random
from typing import Final

from lxml import etree

from netconf_server import Stream
from router.alarms import Alarms
from router.bfd import BfdConfig, BfdRole, BfdThread, SessionConfig
from router.vrrp import Election
from rui.backup.alarms import AlarmType
from rui.bfd.fsm import StateChanged
from rui.bfd.packet import State
from rui.bfd.states import Trigger

_ON_PURPOSE: Final = {Trigger.DISABLE, Trigger.HEARD_ADMIN_DOWN}


class BfdWatch:
    """The BFD sessions of one router, and what it does about them. Belongs to the loop's thread.

    ``elections`` are asked for at each fall: those whose Master is the silent end take over from it.
    """

    def __init__(
        self, config: BfdConfig, elections: Iterable[Election], alarms: Alarms, events: Stream
    ) -> None:
        self._elections = tuple(elections)
        self._alarms = alarms
        self._events = events
        # Spreads packets and source ports; guards no secret
        self._thread = BfdThread(config, self._changed, rng=Random())  # noqa: S311

    async def start(self) -> None:
        """Begin all sessions. Raises BfdSocketError."""
        await self._thread.start()

    async def close(self) -> None:
        """Take all sessions down on purpose."""
        await self._thread.close()

    def read(self) -> etree._Element:
        """Return ``/rui-bfd:bfd-sessions``."""
        return self._thread.read()

    def _changed(self, config: SessionConfig, change: StateChanged, notification: etree._Element) -> None:
        silent = change.previous is State.UP and change.trigger is Trigger.EXPIRED
        if silent and config.role is BfdRole.ACCESS:
            # The election first: users wait for it. Who says that he hears nothing is no dead Master
            address = ip_address(config.path.remote)
            for election in self._elections:
                election.bfd_down(address)
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
