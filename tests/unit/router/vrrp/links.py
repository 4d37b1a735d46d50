"""A link in memory: it carries advertisements between elections until it is cut, and keeps what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address

from router.vrrp.election import Election
from router.vrrp.transport import Handlers, TransportError
from rui.vrrp.packet import Advertisement
from rui.vrrp.values import Source, VrrpOptions

VIRTUAL = (IPv4Address("192.0.2.254"),)
FAST = VrrpOptions(51, VIRTUAL, interval=10)
OWNER = VrrpOptions(51, VIRTUAL, priority=255, interval=10)
"""Master from the start, so that a test need not wait."""


class Segment:
    """What joins the links of a test."""

    def __init__(self) -> None:
        self.links: list[MemoryLink] = []


class MemoryLink:
    """One election's link; ``cut`` loses what is sent, ``refusing`` makes addresses impossible to take."""

    def __init__(self, segment: Segment, last: int) -> None:
        self.source = Source(IPv4Address(f"192.0.2.{last}"))
        self.name = f"eth{last}"
        self.cut = False
        self.refusing = False
        self.done: list[str] = []
        self.sent: list[Advertisement] = []
        self.handlers: Handlers | None = None
        self._segment = segment
        segment.links.append(self)

    async def open(self, handlers: Handlers) -> Source:
        self.handlers = handlers
        return self.source

    def send(self, advertisement: Advertisement) -> None:
        self.sent.append(advertisement)
        for other in self._segment.links:
            if other is not self and other.handlers is not None and not (self.cut or other.cut):
                asyncio.get_running_loop().call_soon(other.handlers.heard, advertisement, self.source)

    def announce(self) -> None:
        self.done.append("announce")

    def claim(self, seconds: float) -> None:
        self.done.append("claim")

    def take(self) -> None:
        if self.refusing:
            raise TransportError(1, "no room for addresses")
        self.done.append("take")

    def release(self) -> None:
        self.done.append("release")

    async def close(self) -> None:
        self.handlers = None
        self.done.append("close")


class Told:
    """Remembers what an election said of its role; a test waits for it."""

    def __init__(self) -> None:
        self.roles: list[tuple[str, str]] = []
        self._unread: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def on_master(self, reason: str) -> None:
        self._add("master", reason)

    def on_backup(self, reason: str) -> None:
        self._add("backup", reason)

    def _add(self, role: str, reason: str) -> None:
        self.roles.append((role, reason))
        self._unread.put_nowait((role, reason))

    async def next(self, role: str) -> str:
        """Wait until that role is told, after those that were waited for before; return its reason."""
        async with asyncio.timeout(10):
            while True:
                told, reason = await self._unread.get()
                if told == role:
                    return reason


def election(link: MemoryLink, options: VrrpOptions, told: Told) -> Election:
    return Election("g1", options, link, on_master=told.on_master, on_backup=told.on_backup)


async def until(condition: Callable[[], object], explain: Callable[[], object] = lambda: "") -> None:
    """Wait for what nobody tells of."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 20
    while not condition():
        assert loop.time() < end, explain()
        await asyncio.sleep(0.005)
