"""The virtual router's own interface: a macvlan with the virtual MAC on top of the access interface.

It is up, and has the virtual addresses, only while this router is Master: a second interface with the same
MAC that is up elsewhere would forward what the link floods. In bridge mode the frames of another Master,
which come from the same MAC, still reach the access interface, where they are listened for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar, Final

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink import nlmsg
from pyroute2.netlink.exceptions import NetlinkError

from router.vrrp.transport import TransportError
from rui.vrrp.packet import IPAddress

log = structlog.get_logger(__name__)

_SYSCTL = Path("/proc/sys/net")
_INET, _INET6 = 2, 10
_UP, _RUNNING = 0x1, 0x40
_NEW_LINK, _DELETED_LINK = 16, 17
_NO_DAD: Final = 0x02
"""IFA_F_NODAD: the address is to work at once, and its former holder may still answer."""
_LINK_GROUP: Final = 1
"""RTNLGRP_LINK: interfaces that come, go and change."""
_OF_VIRTUAL: Final = {
    "ipv4/conf/{}/arp_ignore": "1",  # answers for its own addresses only
    "ipv4/conf/{}/rp_filter": "2",  # the hosts are routed to over the access interface
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/addr_gen_mode": "1",  # no link-local address of its own
    "ipv6/conf/{}/accept_dad": "0",
}
_OF_ACCESS: Final = {
    "ipv4/conf/{}/arp_ignore": "1",  # else it answers for the virtual addresses too, with its own MAC
    "ipv4/conf/{}/arp_announce": "2",  # else it asks for a host in their name, and the host believes it
}


class _NotThereError(Exception):
    """An address that is to go is gone already."""


class _AccessSettings:
    """The settings of one access interface while any virtual router is on it."""

    _held: ClassVar[dict[str, _AccessSettings]] = {}

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._former = _set(_OF_ACCESS, interface)
        self._users = 0

    @classmethod
    def acquire(cls, interface: str) -> _AccessSettings:
        """Set them, unless they are set already."""
        settings = cls._held.get(interface) or cls(interface)
        cls._held[interface] = settings
        settings._users += 1
        return settings

    def release(self) -> None:
        """Restore them behind the last user."""
        self._users -= 1
        if self._users:
            return
        self._held.pop(self._interface, None)
        for path, value in self._former.items():
            with contextlib.suppress(OSError):
                path.write_text(value)


class VirtualInterface:
    """Where the virtual addresses are. ``open`` first; every method raises TransportError.

    Without ``mac``, or where the kernel has no macvlan, the addresses are put on the access interface itself,
    and hosts have to learn its MAC from announcements.
    """

    def __init__(self, access: str, name: str, mac: bytes | None, addresses: Iterable[IPAddress]) -> None:
        self.access = access
        self.mac = mac
        self.sending_mac = b""
        self.index = 0
        self._wanted_name = name
        self._addresses = tuple(addresses)
        self._holder = 0
        self._held = False
        self._settings: _AccessSettings | None = None
        self._netlink: AsyncIPRoute | None = None
        self._events: AsyncIPRoute | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The interface that holds the addresses."""
        return self.access if self.mac is None else self._wanted_name

    async def open(self, on_link: Callable[[bool], None]) -> None:
        """Make the interface, down and without addresses; remove what a killed process left.

        ``on_link`` is told whether the access interface is up, now and at each change.
        """
        self._netlink, self._events = AsyncIPRoute(), AsyncIPRoute()
        try:
            with self._errors(f"use {self.access}"):
                await self._netlink.setup_endpoint()
                # Before the link is looked at, so that no change is missed
                await self._events.bind(groups=_LINK_GROUP)
                found = await self._netlink.link_lookup(ifname=self.access)
                if not found:
                    raise TransportError(
                        errno.ENODEV, f"there is no interface {self.access!r}: create it, or correct its name"
                    )
                self.index = self._holder = found[0]
                (link,) = await self._netlink.link("get", index=self.index)
                self.sending_mac = bytes.fromhex(link.get_attr("IFLA_ADDRESS").replace(":", ""))
            await self._look_for_own()
            if self.mac is not None:
                await self._make_macvlan(self.mac)
            await self._clear()
        except BaseException:
            await self.close()
            raise
        on_link(_is_up(link))
        watching = self._watch_link(self._events, on_link, up=_is_up(link))
        self._watch = asyncio.create_task(watching, name=f"link-{self.access}")

    async def primary_address(self, family: int) -> IPAddress:
        """Return the access interface's own address: the first for IPv4, the link-local one for IPv6."""
        for address in await self._present():
            if address.version == family and (family == 4 or address.is_link_local):
                return address
        kind = "IPv4" if family == 4 else "IPv6 link-local"
        raise TransportError(
            errno.EADDRNOTAVAIL,
            f"{self.access} has no {kind} address of its own to send VRRP from: give it one",
        )

    async def take(self) -> None:
        """Put the addresses on the interface and bring it up."""
        if self._held:
            return
        self._held = True
        with self._errors(f"put the virtual addresses on {self.name}"):
            for address in self._addresses:
                await self._address("add", address)
            if self.mac is not None:
                await self._required().link("set", index=self._holder, state="up")

    async def release(self) -> None:
        """Take the interface down and the addresses away."""
        if not self._held:
            return
        self._held = False
        await self._clear()

    async def close(self) -> None:
        """Remove the interface and restore the settings of the access interface."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        if self._events is not None:
            self._events.close()
            self._events = None
        if self._netlink is not None:
            with contextlib.suppress(TransportError):
                await self.release()
            if self._holder not in (0, self.index):
                with contextlib.suppress(NetlinkError):
                    await self._netlink.link("del", index=self._holder)
            self._netlink.close()
            self._netlink = None
        if self._settings is not None:
            self._settings.release()
            self._settings = None

    async def _present(self) -> list[IPAddress]:
        """Return the access interface's own addresses. What we put there has the longest prefix."""
        with self._errors(f"read the addresses of {self.access}"):
            dump = await self._required().addr("dump", index=self.index)
            found = [
                (ip_address(message.get_attr("IFA_ADDRESS")), message["prefixlen"]) async for message in dump
            ]
        return [
            address
            for address, prefix in found
            if address not in self._addresses or prefix < address.max_prefixlen
        ]

    async def _look_for_own(self) -> None:
        """An owner's addresses are on the access interface already, with its MAC, and stay there."""
        own = set(await self._present()) & set(self._addresses)
        if own:
            self._addresses = tuple(address for address in self._addresses if address not in own)
            self.mac = None
            log.info("vrrp-addresses-are-own", interface=self.access, addresses=sorted(map(str, own)))

    async def _make_macvlan(self, mac: bytes) -> None:
        netlink, name = self._required(), self._wanted_name
        macvlan = {"kind": "macvlan", "macvlan_mode": "bridge", "address": mac.hex(":")}
        with self._errors(f"make {name} on {self.access}"):
            for leftover in await netlink.link_lookup(ifname=name):
                await netlink.link("del", index=leftover)
            try:
                await netlink.link("add", ifname=name, link=self.index, **macvlan)
            except NetlinkError as error:
                if error.code != errno.EOPNOTSUPP:
                    raise
                self.mac = None
                log.warning(
                    "vrrp-no-virtual-mac",
                    interface=self.access,
                    why="this kernel has no macvlan",
                    remedy="load the module macvlan, or set virtual-mac false",
                )
                return
            self._holder = (await netlink.link_lookup(ifname=name))[0]
        self.sending_mac = mac
        _set(_OF_VIRTUAL, name)
        self._settings = _AccessSettings.acquire(self.access)

    async def _clear(self) -> None:
        with self._errors(f"take the virtual addresses from {self.name}"):
            if self.mac is not None:
                await self._required().link("set", index=self._holder, state="down")
            for address in self._addresses:
                with contextlib.suppress(_NotThereError):
                    await self._address("del", address)

    async def _address(self, command: str, address: IPAddress) -> None:
        flags = {"flags": _NO_DAD} if address.version == 6 and command == "add" else {}
        try:
            await self._required().addr(
                command,
                index=self._holder,
                address=str(address),
                prefixlen=self._prefix(address),
                family=_INET if address.version == 4 else _INET6,
                **flags,
            )
        except NetlinkError as error:
            if error.code in (errno.EADDRNOTAVAIL, errno.ENODEV) and command == "del":
                raise _NotThereError from error
            if error.code != errno.EEXIST:
                raise

    def _prefix(self, address: IPAddress) -> int:
        # Answers from a link-local address leave by its interface, which so needs the prefix's route
        routed = self.mac is not None and address.version == 6 and address.is_link_local
        return 64 if routed else address.max_prefixlen

    async def _watch_link(self, events: AsyncIPRoute, on_link: Callable[[bool], None], *, up: bool) -> None:
        """Tell when the access interface loses or regains its carrier."""
        while True:
            async for message in events.get():
                kind = message["header"]["type"]
                if message.get("index") != self.index or kind not in (_NEW_LINK, _DELETED_LINK):
                    continue
                now_up = kind == _NEW_LINK and _is_up(message)
                if now_up is not up:
                    up = now_up
                    on_link(up)

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except NetlinkError as error:
            advice = "; run as root" if error.code in (errno.EPERM, errno.EACCES) else ""
            raise TransportError(error.code, f"cannot {what}: {error.args[-1]}{advice}") from error

    def _required(self) -> AsyncIPRoute:
        if self._netlink is None:
            raise TransportError(errno.ENOTCONN, f"{self.name} is closed")
        return self._netlink


def _is_up(link: nlmsg) -> bool:
    flags = link["flags"]
    return bool(flags & _UP and flags & _RUNNING)


def _set(settings: dict[str, str], interface: str) -> dict[Path, str]:
    """Write kernel settings; return what those that are there had before."""
    former: dict[Path, str] = {}
    for pattern, value in settings.items():
        path = _SYSCTL / pattern.format(interface)
        try:
            before = path.read_text().strip()
            if before != value:
                path.write_text(value)
                former[path] = before
        except OSError as error:
            # IPv6 may be switched off altogether
            log.debug("vrrp-setting-not-there", setting=str(path), why=error.strerror)
    return former
