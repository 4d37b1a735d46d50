"""Whether an interface is up: what the kernel tells of it, and its carrier, looked at many times a second.

The kernel tells of a carrier that is lost up to a second late. Until then a router whose cable was pulled
would keep for itself what another one has to forward by now.
"""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import socket
import struct
from collections.abc import Callable
from typing import Final

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink import nlmsg

log = structlog.get_logger(__name__)

_UP, _RUNNING = 0x1, 0x40
_NEW_LINK, _DELETED_LINK = 16, 17
_LINK_GROUP: Final = 1
"""RTNLGRP_LINK: interfaces that come, go and change."""
_LOOK_EVERY: Final = 0.02
_SIOCETHTOOL, _GET_LINK = 0x8946, 0x0000000A
_REQUEST = struct.Struct("16sP16x")


class Carrier:
    """Asks the driver of an interface for its carrier."""

    def __init__(self, interface: str) -> None:
        self._interface = interface.encode()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def read(self) -> bool:
        """Return whether there is one. Raises OSError where the driver does not say, or it is gone."""
        value = array.array("I", (_GET_LINK, 0))
        request = _REQUEST.pack(self._interface, value.buffer_info()[0])
        fcntl.ioctl(self._socket, _SIOCETHTOOL, request)
        return bool(value[1])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class LinkWatch:
    """``open`` before the link is looked at, so that no change is missed; then ``start``; ``close`` last."""

    def __init__(self, interface: str, index: int, on_link: Callable[[bool], None]) -> None:
        """``on_link`` is told whether the interface is up: at the start, and at each change."""
        self._interface = interface
        self._index = index
        self._on_link = on_link
        self._events = AsyncIPRoute()
        self._carrier: Carrier | None = None
        self._told: bool | None = None
        self._up = False
        self._has_carrier = True
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def open(self) -> None:
        """Listen to the kernel. Raises NetlinkError."""
        await self._events.bind(groups=_LINK_GROUP)

    def start(self, link: nlmsg) -> None:
        """Begin with what the interface is now."""
        self._carrier = Carrier(self._interface)
        self._up = _is_up(link)
        self._judge()
        self._tasks = (
            asyncio.create_task(self._listen(), name=f"link-{self._interface}"),
            asyncio.create_task(self._look(self._carrier), name=f"carrier-{self._interface}"),
        )

    async def close(self) -> None:
        """Watch no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = ()
        self._events.close()
        if self._carrier is not None:
            self._carrier.close()

    def _judge(self) -> None:
        up = self._up and self._has_carrier
        if up is not self._told:
            self._told = up
            self._on_link(up)

    async def _listen(self) -> None:
        while True:
            async for message in self._events.get():
                kind = message["header"]["type"]
                if message.get("index") == self._index and kind in (_NEW_LINK, _DELETED_LINK):
                    self._up = kind == _NEW_LINK and _is_up(message)
                    self._judge()

    async def _look(self, carrier: Carrier) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                self._has_carrier = carrier.read()
            except OSError as error:
                # Without an answer the kernel's own word has to do
                self._has_carrier = True
                if error.errno != errno.ENODEV:
                    log.debug("vrrp-no-carrier-to-read", interface=self._interface, why=error.strerror)
                    self._judge()
                    return
            self._judge()


def _is_up(link: nlmsg) -> bool:
    flags = link["flags"]
    return bool(flags & _UP and flags & _RUNNING)
